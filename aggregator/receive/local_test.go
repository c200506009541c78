package receive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/shared"
)

func localEvent(path string) shared.Event {
	return shared.Event{
		Site: "example.com", Kind: shared.KindPageview, Origin: shared.OriginPlausible, Time: time.Now().UnixMicro(), Pathname: path,
		Verdict: shared.VerdictPerson,
	}
}

// wantLocal holds the books of the aggregator's own edge against what was
// taken.
func (g *rig) wantLocal(accepted, rejected uint64) {
	g.t.Helper()
	for _, e := range g.recv.Edges() {
		if e.ID != LocalEdge {
			continue
		}
		c := e.Counters
		if e.Accepted != accepted || e.Rejected != rejected || c.Captured != accepted+rejected || c.Unbalanced() != 0 {
			g.t.Errorf("%d accepted, %d rejected, counters %+v; want %d and %d", e.Accepted, e.Rejected, c, accepted, rejected)
		}
		return
	}
	g.t.Error("there is no edge of the aggregator's own")
}

func TestOwnEventsGoTheOrdinaryWay(t *testing.T) {
	g := newRig(t)
	l := g.recv.Local("v1")
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if err := l.AddWait(context.Background(), []shared.Event{localEvent(fmt.Sprint("/", i)), localEvent("/x")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	unknown := localEvent("/")
	unknown.Site = "nobody.example"
	if err := l.AddWait(context.Background(), []shared.Event{unknown}); err != nil {
		t.Error(err)
	}
	g.settle()
	g.wantLocal(80, 1)
	paths := map[string]int{}
	for _, e := range g.sink.events() {
		paths[e.Pathname]++
		if e.Edge != LocalEdge || e.SiteID != "example-com" || e.ReceivedAt == 0 {
			t.Fatalf("%+v", e)
		}
	}
	if len(paths) != 41 || paths["/x"] != 40 {
		t.Errorf("%v", paths)
	}
	// The next process goes on with the same books, in an epoch of its own.
	g.restart()
	if err := g.recv.Local("v2").AddWait(context.Background(), []shared.Event{localEvent("/after")}); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.wantLocal(81, 1)
}

// reluctant is a spool that refuses for a while.
type reluctant struct {
	Spool
	refuse bool
}

func (s *reluctant) AppendSync(ctx context.Context, records ...spool.Record) (uint64, int, error) {
	if s.refuse {
		return 0, 0, errors.New("the disk says no")
	}
	return s.Spool.AppendSync(ctx, records...)
}

func TestOwnEventsThatAreNotRecordedAreRefused(t *testing.T) {
	g := newRig(t)
	slow := &reluctant{Spool: g.recv.cfg.Spool}
	g.recv.cfg.Spool = slow
	l := g.recv.Local("")
	add := func() error { return l.AddWait(context.Background(), []shared.Event{localEvent("/")}) }
	if err := add(); err != nil {
		t.Fatal(err)
	}
	before := l.epoch
	slow.refuse = true
	if err := add(); err == nil {
		t.Error("what is not recorded is acknowledged")
	}
	if l.epoch == before {
		t.Error("the sequences of what may be on the disk are used again")
	}
	slow.refuse = false
	if err := add(); err != nil {
		t.Error(err)
	}
	g.settle()
	g.wantLocal(2, 0)

	if err := l.AddWait(context.Background(), make([]shared.Event, localWaiting+1)); err == nil {
		t.Error("what waits is not bounded")
	}
	if err := add(); err != nil {
		t.Errorf("what was refused still counts as waiting: %v", err)
	}
}

func TestNobodyElseSpeaksAsTheAggregator(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	e.id = LocalEdge
	if a := g.hello(e); a.status != http.StatusConflict || a.err.Code != shared.CodeEdgeInUse {
		t.Errorf("%d %+v", a.status, a.err)
	}
}

// BenchmarkLocal is the aggregator's own way in: sealed, decoded, validated and
// fsynced, a thousand events a call.
func BenchmarkLocal(b *testing.B) {
	g := newRig(b)
	g.recv.cfg.Sink = nowhere{}
	l := g.recv.Local("")
	events := make([]shared.Event, 1000)
	for i := range events {
		events[i] = localEvent(fmt.Sprint("/", i))
		realistic(&events[i])
		events[i].Site = "example.com"
	}
	n := 0
	for b.Loop() {
		if err := l.AddWait(context.Background(), events); err != nil {
			b.Fatal(err)
		}
		n += len(events)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// TestLocalPanic: where the caller that records a batch for all panics, nobody
// is told that it is recorded, and no room is taken for ever.
func TestLocalPanic(t *testing.T) {
	l := (*Receiver)(nil).Local("test") // which has nothing to record with
	const callers = 8
	told := make(chan any, callers)
	for range callers {
		go func() {
			var err error
			defer func() {
				if v := recover(); v != nil {
					told <- v
				} else {
					told <- err
				}
			}()
			err = l.AddWait(t.Context(), []shared.Event{{Site: "example.com"}})
		}()
	}
	for range callers {
		if <-told == nil {
			t.Error("a caller is told that its event is recorded")
		}
	}
	if l.waiting != 0 {
		t.Errorf("%d events wait for ever", l.waiting)
	}
}

// TestNobodyElseSendsAsOurOwnEdge, whose id everybody can read: it would move
// its marks and write its books.
func TestNobodyElseSendsAsOurOwnEdge(t *testing.T) {
	g := newRig(t)
	l := g.recv.Local("v1")
	if err := l.AddWait(context.Background(), []shared.Event{localEvent("/ours")}); err != nil {
		t.Fatal(err)
	}
	e := newEdge(1)
	if a := g.hello(e); a.status != http.StatusOK {
		t.Fatal(a.status, a.err)
	}
	// As one that has taken a new id sends what it has sealed under the old one.
	e.id = LocalEdge
	e.counters.Captured = 1 << 40
	const far = maxSequence - 10
	e.epochFirst = far
	broken := e.frame(far, 2, nil)
	broken[len(broken)-1] ^= 1
	for what, frames := range map[string][]byte{"events": e.frame(far, 2, nil), "losses": e.lost(far, 2, shared.LossDropOldest), "damage": broken} {
		if a := g.post(e, frames); a.status != http.StatusConflict || a.err.Code != shared.CodeEdgeInUse {
			t.Errorf("%s: %d %+v %+v", what, a.status, a.err, a.ack)
		}
	}
	if err := l.AddWait(context.Background(), []shared.Event{localEvent("/ours")}); err != nil {
		t.Fatal(err)
	}
	g.settle()
	g.wantLocal(2, 0)
}
