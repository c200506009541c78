package receive

import (
	"net/http"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestARestartAfterAKillTakesOverAtOnce(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	for range 5 {
		e.boot, e.epoch = shared.NewEpoch(), shared.NewEpoch()
		if a := g.hello(e); a.status != http.StatusOK {
			t.Fatalf("%d %+v", a.status, a.err)
		}
		first := e.epochFirst
		g.mustAck(e, first+9, e.frame(first, 10, nil))
		e.epochFirst += 10
	}
}

func TestTwoProcessesWithOneIdentityAreNoticed(t *testing.T) {
	g := newRig(t)
	original := newEdge(1)
	g.hello(original)
	g.mustAck(original, 10, original.frame(1, 10, nil))
	unsent := original.frame(11, 10, nil) // in the queue when the disk is copied

	// The copy starts: a new epoch, the same edge id.
	clone := *original
	clone.boot, clone.epoch, clone.epochFirst = shared.NewEpoch(), shared.NewEpoch(), 21
	g.hello(&clone)
	g.mustAck(original2(original, &clone), 20, unsent) // the copy sends what it found
	g.mustAck(&clone, 25, clone.frame(21, 5, nil))

	// The original speaks again, with a batch or a hello: it is the second.
	if a := g.post(original, unsent); a.status != http.StatusConflict || a.err.Code != shared.CodeEdgeInUse {
		t.Fatalf("%d %+v", a.status, a.err)
	}
	if a := g.hello(original); a.status != http.StatusConflict || a.err.Code != shared.CodeEdgeInUse {
		t.Fatalf("%d %+v", a.status, a.err)
	}
	// It takes a new id and still delivers what it had sealed under the old one.
	renamed := *original
	renamed.id, renamed.epoch, renamed.epochFirst = shared.NewEdgeID(), shared.NewEpoch(), 21
	if a := g.hello(&renamed); a.status != http.StatusOK {
		t.Fatalf("%d %+v", a.status, a.err)
	}
	g.mustAck(original, 20, unsent)
	g.mustAck(&renamed, 24, renamed.frame(21, 4, nil))
	g.mustAck(&clone, 30, clone.frame(26, 5, nil)) // undisturbed

	g.settle()
	g.wantCounts(original, seqs(1, 20)...)
	g.wantCounts(&clone, seqs(21, 30)...)
	g.wantCounts(&renamed, seqs(21, 24)...)
}

// original2 sends frames of one edge's epoch as another process.
func original2(frames, process *edgeSim) *edgeSim {
	e := *frames
	e.boot = process.boot
	return &e
}

func TestAfterARestartEverybodySaysHello(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	frame := e.frame(1, 3, nil)
	if a := g.post(e, frame); a.status != http.StatusConflict || a.err.Code != shared.CodeEdgeUnknown {
		t.Fatalf("%d %+v", a.status, a.err)
	}
	g.hello(e)
	g.mustAck(e, 3, frame)
	g.restart()
	if a := g.post(e, frame); a.status != http.StatusConflict || a.err.Code != shared.CodeEdgeUnknown {
		t.Fatalf("%d %+v", a.status, a.err)
	}
}

func TestForgottenProcessesAreAskedAgain(t *testing.T) {
	b := newBoots()
	id := shared.NewEdgeID()
	b.hello(id, 1, 1)
	for n := shared.Epoch(2); n < keptBoots+10; n++ {
		b.hello(shared.NewEdgeID(), n, n)
	}
	if len(b.of) > keptBoots || len(b.order) > keptBoots || len(b.speaker) > keptBoots {
		t.Errorf("%d, %d, %d kept", len(b.of), len(b.order), len(b.speaker))
	}
	if b.batch(id, 1) != standsUnknown {
		t.Error("the oldest is still known")
	}
	if !b.hello(id, 1, 1) || b.batch(id, 1) != standsWell {
		t.Error("it can't come back")
	}
}
