package receive

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// of is an erasure of one visitor of example.com.
func of(visitor uint64) Erased {
	return func(site string, e *shared.Event) bool { return site == "example-com" && e.VisitorID == visitor }
}

func by(visitor uint64) func(*shared.Event) {
	return func(e *shared.Event) { e.VisitorID = visitor }
}

// TestErasedDeadLettersGo: a batch with an erased event goes, one that can't be
// read too, and what has others' events only stays.
func TestErasedDeadLettersGo(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 3, e.frame(1, 1, by(1)), e.frame(2, 1, by(2)), e.undecodable(3, 1))
	g.mustAck(e, 3, e.frame(1, 1, by(7)), e.frame(2, 1, by(8))) // the same sequences with other bytes
	g.wantLetters(3)
	for _, dry := range []bool{true, false} {
		if n, err := g.recv.EraseDeadLetters(of(7), dry); err != nil || n != 2 {
			t.Fatalf("dry %v: %d, %v", dry, n, err)
		}
	}
	g.wantLetters(1)
	if n, err := g.recv.EraseDeadLetters(of(7), false); err != nil || n != 0 || g.recv.dead.size() == 0 {
		t.Errorf("a second time: %d of %d bytes, %v", n, g.recv.dead.size(), err)
	}

	// What comes later is looked at first.
	g.recv.cfg.Erased = func() Erased { return of(9) }
	g.mustAck(e, 3, e.frame(1, 1, by(9)))
	g.wantLetters(1)
	g.mustAck(e, 3, e.frame(1, 1, by(10)))
	g.wantLetters(2)

	// Without a receiver.
	dir := filepath.Join(g.dir, "dead-letters")
	g.close()
	if n, err := EraseDeadLetters(dir, g.sites, of(8), false); err != nil || n != 1 {
		t.Errorf("without a receiver: %d, %v", n, err)
	}
	g.wantLetters(1)
	if n, err := EraseDeadLetters(filepath.Join(dir, "not there"), g.sites, of(8), false); err != nil || n != 0 {
		t.Errorf("a directory that is not there: %d, %v", n, err)
	}
}

func TestWhatIsWithTheSinkIsKnown(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	if g.recv.Through() != 0 {
		t.Errorf("through %d before anything came", g.recv.Through())
	}
	g.mustAck(e, 20, e.frame(1, 10, nil), e.frame(11, 10, nil))
	end := g.spool.Next() - 1
	if !g.recv.WaitThrough(t.Context().Done(), end) || g.recv.Through() != end {
		t.Errorf("through %d of %d", g.recv.Through(), end)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if g.recv.WaitThrough(ctx.Done(), end+1) {
		t.Error("what never came is said to be there")
	}
	g.restart()
	if g.recv.Through() != end {
		t.Errorf("through %d after a restart", g.recv.Through())
	}
}
