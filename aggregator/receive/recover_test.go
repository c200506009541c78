package receive

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

var errRefused = errors.New("the lake is out")

// cfg2 is the receiver's configuration for another one beside it.
func (r *Receiver) cfg2(t *testing.T) Config {
	cfg := r.cfg
	cfg.Registerer = prometheus.NewRegistry()
	cfg.DeadLetters = t.TempDir()
	return cfg
}

func TestTheLakeGetsTheOrderOfTheSpool(t *testing.T) {
	g := newRig(t)
	done := make(chan *edgeSim)
	for range 6 {
		go func() {
			e := newEdge(1)
			defer func() { done <- e }()
			g.hello(e)
			for first := uint64(1); first < 200; first += 10 {
				if a := g.post(e, e.frame(first, 10, nil)); a.status != http.StatusOK {
					t.Errorf("%d %+v", a.status, a.err)
					return
				}
			}
		}()
	}
	for range 6 {
		e := <-done
		defer g.wantCounts(e, seqs(1, 200)...)
	}
	g.settle()
	if len(g.sink.order) != 120 || !slices.IsSorted(g.sink.order) || g.sink.order[0] != 1 || g.sink.order[119] != 120 {
		t.Errorf("positions %v", g.sink.order)
	}
}

func TestALakeThatTakesNothingIsOfferedTheSameAgain(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.sink.mu.Lock()
	g.sink.refuse = errRefused
	g.sink.mu.Unlock()
	g.mustAck(e, 10, e.frame(1, 10, nil)) // durable, so it is answered
	g.mustAck(e, 20, e.frame(11, 10, nil))
	time.Sleep(50 * time.Millisecond)
	g.sink.mu.Lock()
	g.sink.refuse = nil
	g.sink.mu.Unlock()
	g.settle()
	g.wantCounts(e, seqs(1, 20)...)
}

func TestAStuckLakeMakesEdgesWait(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the receiver's patience")
	}
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	gate := make(chan struct{})
	g.sink.mu.Lock()
	g.sink.gate = gate
	g.sink.mu.Unlock()
	var acked uint64
	for {
		a := g.post(e, e.frame(acked+1, 4000, nil))
		if a.status == http.StatusServiceUnavailable {
			if a.header.Get("Retry-After") != "3" || a.err.Code != "busy" {
				t.Errorf("%v %+v", a.header, a.err)
			}
			break
		}
		if acked += 4000; a.status != http.StatusOK || acked > 2*pendingEvents {
			t.Fatalf("%d %+v after %d events", a.status, a.err, acked)
		}
	}
	if n := g.recv.PendingEvents(); n > pendingEvents {
		t.Errorf("%d events wait", n)
	}
	close(gate)
	g.settle()
	g.mustAck(e, acked+4000, e.frame(acked+1, 4000, nil))
	g.settle()
	g.wantCounts(e, seqs(1, acked+4000)...)
}

// fullSpool takes so many records, then no more.
type fullSpool struct {
	Spool
	left int
}

func (s *fullSpool) AppendSync(ctx context.Context, records ...spool.Record) (uint64, int, error) {
	n := min(s.left, len(records))
	s.left -= n
	if n == len(records) {
		return s.Spool.AppendSync(ctx, records...)
	}
	if n == 0 {
		return 0, 0, spool.ErrFull
	}
	first, n, err := s.Spool.AppendSync(ctx, records[:n]...)
	return first, n, errors.Join(err, spool.ErrFull)
}

func TestAFullSpoolAcknowledgesWhatFitted(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	full := &fullSpool{Spool: g.spool, left: 2}
	g.recv.cfg.Spool = full
	bad := func(ev *shared.Event) { ev.Site = "unknown.example" }
	frames := [][]byte{e.frame(1, 5, nil), e.frame(6, 5, bad), e.frame(11, 5, bad), e.undecodable(16, 5), e.frame(21, 5, nil)}
	ack := g.mustAck(e, 10, frames...)
	if len(ack.Rejected) != 5 || len(ack.Undecodable) != 0 {
		t.Errorf("%+v", ack)
	}
	if a := g.post(e, frames[2:]...); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Fatalf("%d %+v", a.status, a.err)
	}
	full.left = 100
	ack = g.mustAck(e, 25, frames[2:]...)
	if len(ack.Rejected) != 5 || len(ack.Undecodable) != 1 {
		t.Errorf("%+v", ack)
	}
	g.settle()
	g.wantCounts(e, append(seqs(1, 5), seqs(21, 25)...)...)
	g.wantLetters(1)
}

// patchySpool hides records at replay, as damage on the disk does.
type patchySpool struct {
	Spool
	hide func(pos uint64) bool
}

func (s *patchySpool) Replay(from uint64, fn func(uint64, spool.Record) error) (damaged uint64, err error) {
	_, err = s.Spool.Replay(from, func(pos uint64, r spool.Record) error {
		if s.hide(pos) {
			damaged++
			return nil
		}
		return fn(pos, r)
	})
	return damaged, err
}

func TestWhatADamagedSpoolLostIsAskedForAgain(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	var frames [][]byte
	for first := uint64(1); first <= 50; first += 10 {
		frames = append(frames, e.frame(first, 10, nil))
		g.mustAck(e, first+9, frames[len(frames)-1])
	}
	g.settle()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := g.recv.Close(ctx); err != nil {
		t.Fatal(err)
	}
	g.sink.crash()
	cfg := g.recv.cfg2(t)
	cfg.Spool = &patchySpool{Spool: g.spool, hide: func(pos uint64) bool { return pos == 3 }}
	var err error
	if g.recv, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := g.recv.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.wantCounts(e, seqs(1, 20)...)
	kept := shared.EpochSpan{Epoch: e.epoch, Range: shared.Range{First: 1, Last: 50}}
	if a := g.hello(e, kept); len(a.hello.Expected) != 1 || a.hello.Expected[0].Expected != 21 {
		t.Fatalf("%+v", a.hello)
	}
	g.mustAck(e, 50, frames[2:]...)
	g.settle()
	g.wantCounts(e, seqs(1, 50)...)
}

func TestWhatAStraddlingBatchWasNotAcceptedForStaysOut(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	first, second := e.frame(1, 5, nil), e.frame(6, 5, nil)
	forged := e.frame(4, 12, func(ev *shared.Event) { ev.Pathname = "/forged" })
	g.mustAck(e, 15, first, second, forged) // counts from 11 on
	g.settle()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := g.recv.Close(ctx); err != nil {
		t.Fatal(err)
	}
	g.sink.crash()
	cfg := g.recv.cfg2(t)
	cfg.Spool = &patchySpool{Spool: g.spool, hide: func(pos uint64) bool { return pos == 2 }}
	var err error
	if g.recv, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := g.recv.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.wantCounts(e, seqs(1, 5)...)
}

func TestAReplacedSpoolNeverReusesPositions(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 10, e.frame(1, 5, nil), e.frame(6, 5, nil))
	g.settle()
	g.sink.commit(t, g.state)
	through := g.spool.Next()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := errors.Join(g.recv.Close(ctx), g.spool.Close()); err != nil {
		t.Fatal(err)
	}
	var err error
	if g.spool, err = spool.Open(spool.Config{Dir: t.TempDir(), ReserveFree: 16 << 20}); err != nil {
		t.Fatal(err)
	}
	cfg := g.recv.cfg2(t)
	cfg.Spool = g.spool
	if g.recv, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if err := g.recv.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	g.hello(e)
	g.mustAck(e, 15, e.frame(1, 5, nil), e.frame(6, 5, nil), e.frame(11, 5, nil))
	g.settle()
	if first := g.sink.order[len(g.sink.order)-1]; first < through {
		t.Errorf("position %d is given out again, %d were committed", first, through-1)
	}
	g.sink.commit(t, g.state)
	g.wantCounts(e, seqs(1, 15)...)
}

func FuzzBatches(f *testing.F) {
	e := newEdge(1)
	f.Add(e.frame(1, 3, nil), false)
	f.Add(append(e.frame(1, 3, nil), e.frame(4, 2, func(ev *shared.Event) { ev.Kind = "x" })...), true)
	f.Add(e.lost(1, 9, shared.LossCorruption), true)
	f.Add(e.undecodable(1, 5), true)
	g := newRig(f)
	f.Fuzz(func(t *testing.T, body []byte, mend bool) {
		if mend {
			body = mended(body)
		}
		g.t = t
		g.hello(e)
		a := g.post(e, body)
		switch a.status {
		case http.StatusOK:
			if a.ack.Expected != a.ack.AckedThrough+1 || a.ack.Epoch == 0 {
				t.Fatalf("%+v", a.ack)
			}
		case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("%d %+v", a.status, a.err)
		}
		for n, k := range g.sink.counts() {
			if k != 1 {
				t.Fatalf("%+v counts %d times", n, k)
			}
		}
	})
}

// mended gives a frame a right checksum, which lets the fuzzer in behind it.
func mended(b []byte) []byte {
	f, err := batch.Unverified(b)
	if err != nil {
		return b
	}
	b = slices.Clone(b)
	copy(b[len(f.Bytes)-batch.SumSize:], f.Sum[:])
	return b
}
