package seal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/seal"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/shared"
)

// rig is a lake whose days are sealed by the real thing, under a clock.
type rig struct {
	*seal.Sealer
	t    *testing.T
	dir  string
	lake *lake.Lake
	logs *observer.ObservedLogs
	pos  uint64

	mu     sync.Mutex
	now    time.Time
	rules  int
	order  []string                                   // dates, as they were derived
	before func(context.Context, *lake.Sealing) error // nil = nothing
	real   seal.Deriver
}

var berlin = func() *time.Location {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return zone
}()

func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	st, err := state.Open(filepath.Join(dir, "state"), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(lake.Config{
		Dir: filepath.Join(dir, "lake"), State: st, CutAge: time.Hour, Zone: func(string) string { return "Europe/Berlin" },
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := duck.Open(duck.Config{Lake: filepath.Join(dir, "lake"), Temp: filepath.Join(dir, "tmp"), Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = db.Close()
		_ = l.Close(context.Background())
		_ = st.Close()
	})
	core, logs := observer.New(zapcore.InfoLevel)
	r := &rig{t: t, dir: dir, lake: l, logs: logs, rules: 7, real: stats.NewSealer(stats.NewEngine(db))}
	r.Sealer = seal.New(seal.Config{Lake: l, Deriver: r, Duty: 100, Every: 5 * time.Millisecond, Now: r.clock, Logger: zap.New(core)})
	return r
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) set(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = now
}

// Rules and Derive make the rig the deriver.
func (r *rig) Rules() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rules
}

func (r *rig) Derive(ctx context.Context, s *lake.Sealing) (lake.Sealed, error) {
	r.mu.Lock()
	r.order = append(r.order, s.Key.SiteID+" "+s.Key.Date)
	before := r.before
	r.mu.Unlock()
	if before != nil {
		if err := before(ctx, s); err != nil {
			return lake.Sealed{}, err
		}
	}
	made, err := r.real.Derive(ctx, s)
	made.Rules = r.Rules()
	return made, err
}

// derived returns what was derived since the last call.
func (r *rig) derived() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.order
	r.order = nil
	return list
}

// send takes n events of a site at noon of a day in Berlin.
func (r *rig) send(site string, day, n int) {
	r.t.Helper()
	r.pos++
	events := make([]shared.Event, n)
	for i := range events {
		at := time.Date(2026, 11, day, 12, 0, i, 0, berlin).UnixMicro()
		events[i] = shared.Event{
			SiteID: site, Edge: shared.EdgeID{1}, Epoch: 1, Seq: r.pos<<32 + uint64(i), Time: at, ReceivedAt: at, Origin: shared.OriginEdge,
			Kind: shared.KindPageview, Pathname: "/", VisitorID: uint64(i%7 + 1), Verdict: shared.VerdictLikely,
		}
	}
	if err := r.lake.Ingest(r.t.Context(), lake.Batch{SpoolPos: r.pos, Events: events}); err != nil {
		r.t.Fatal(err)
	}
	if err := r.lake.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// run lets it seal until nothing is due, and stops it.
func (r *rig) run() {
	r.t.Helper()
	ctx, stop := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	for deadline := time.Now().Add(60 * time.Second); r.Stats().Due > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("it is never done: %+v", r.Stats())
		}
	}
	stop()
	<-done
}

func at(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, berlin) }

func TestWhatIsDueAndInWhichOrder(t *testing.T) {
	r := newRig(t)
	for _, day := range []int{18, 19, 20, 21} {
		r.send("a", day, 400)
	}
	r.send("b", 20, 10)
	check := func(what string, due, sealed, late int, order ...string) {
		t.Helper()
		s := r.Stats()
		if got := r.derived(); s.Due != due || s.Sealed != sealed || s.Late != late || !slices.Equal(got, order) {
			t.Fatalf("%s: %d due, %d sealed, %d late, derived %q; want %d, %d, %d, %q", what, s.Due, s.Sealed, s.Late, got, due, sealed, late, order)
		}
	}
	r.set(at(19, 2, 59))
	check("three hours have not passed", 0, 0, 0)
	r.set(at(19, 3, 0))
	check("they have", 1, 0, 0)
	r.set(at(22, 2, 0))
	check("all but the last day", 4, 0, 0)
	r.run()
	check("the newest first", 0, 4, 0, "a 2026-11-20", "b 2026-11-20", "a 2026-11-19", "a 2026-11-18")
	r.set(time.Now().Add(time.Second)) // days are sealed by the lake's clock
	r.run()
	check("the last day", 0, 5, 0, "a 2026-11-21")

	r.send("a", 18, 4) // 1 %, and no more; the next day is late with it, by 1 %
	check("a few late rows", 0, 5, 2)
	r.set(r.clock().Add(30 * time.Minute))
	check("half an hour later", 0, 5, 2)
	r.set(r.clock().Add(31 * time.Minute))
	check("an hour later", 2, 5, 2)
	r.run()
	check("sealed again", 0, 5, 0, "a 2026-11-19", "a 2026-11-18")
	r.set(time.Now())
	r.send("b", 20, 1) // 10 %
	check("many late rows, at once", 0, 5, 1)
	r.set(time.Now().Add(2 * time.Minute))
	check("a minute later", 1, 5, 1)
	r.mu.Lock()
	r.rules++
	r.mu.Unlock()
	check("and other definitions", 5, 5, 1)
	r.run()
	check("come last", 0, 5, 0, "b 2026-11-20", "a 2026-11-21", "a 2026-11-20", "a 2026-11-19", "a 2026-11-18")
}

func TestADayThatFailsStopsNoOther(t *testing.T) {
	r := newRig(t)
	for _, day := range []int{18, 19, 20} {
		r.send("a", day, 10)
	}
	r.set(at(22, 0, 0))
	broken := errors.New("no room")
	r.before = func(_ context.Context, s *lake.Sealing) error {
		if s.Key.Date == "2026-11-19" {
			return broken
		}
		return nil
	}
	report, err := r.Seal(t.Context(), seal.Selection{})
	if err != nil || report.Days != 3 || report.Sealed != 2 || report.Rows != 20 || len(report.Failed) != 1 || !strings.Contains(report.Failed[0], "no room") {
		t.Fatalf("%+v %v", report, err)
	}
	if _, err := r.Seal(t.Context(), seal.Selection{From: "2026-11-19", To: "2026-11-19"}); err != nil {
		t.Fatal(err)
	}
	s := r.Stats()
	if !errors.Is(s.Err, broken) || s.Sealed != 2 || s.Due != 1 || s.Done != 2 {
		t.Errorf("%+v", s)
	}
	if n := r.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("it was logged %d times", n)
	}
	left, _ := os.ReadDir(filepath.Join(r.dir, "lake", "sealing"))
	if len(left) != 0 {
		t.Errorf("%d directories are left", len(left))
	}
	r.derived()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	time.Sleep(50 * time.Millisecond) // it looks every 5 ms
	if tried := r.derived(); len(tried) != 0 {
		t.Errorf("it was tried again within a minute: %q", tried)
	}
	stop()
	<-done
	r.before = nil
	r.set(at(22, 0, 10))
	r.run()
	if s := r.Stats(); s.Err != nil || s.Sealed != 3 {
		t.Errorf("%+v", s)
	}
	if n := r.logs.FilterMessage("every day can be sealed again").Len(); n != 1 {
		t.Errorf("that it went well again was logged %d times", n)
	}
}

func TestSealNow(t *testing.T) {
	r := newRig(t)
	for _, site := range []string{"a", "b"} {
		for _, day := range []int{18, 19, 20, 21} {
			r.send(site, day, 10)
		}
	}
	r.set(at(22, 1, 0)) // the 21st is not over for long enough
	for _, c := range []struct {
		sel          seal.Selection
		days, sealed int
	}{
		{seal.Selection{Site: "a", From: "2026-11-19", To: "2026-11-21"}, 2, 2},
		{seal.Selection{Site: "a"}, 3, 1},
		{seal.Selection{Site: "a", Force: true, To: "2026-11-18"}, 1, 1},
		{seal.Selection{Site: "nobody"}, 0, 0},
		{seal.Selection{}, 6, 3},
	} {
		report, err := r.Seal(t.Context(), c.sel)
		if err != nil || report.Days != c.days || report.Sealed != c.sealed || len(report.Failed) != 0 {
			t.Errorf("%+v: %+v %v", c.sel, report, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Seal(ctx, seal.Selection{Force: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestStoppingLeavesNoDayHalfSealed(t *testing.T) {
	r := newRig(t)
	r.send("a", 18, 10)
	r.set(at(22, 0, 0))
	began := make(chan struct{})
	r.before = func(ctx context.Context, _ *lake.Sealing) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	<-began
	stop()
	<-done
	if s := r.Stats(); s.Sealed != 0 || s.Due != 1 || s.Err != nil {
		t.Errorf("%+v", s)
	}
	r.before = nil
	r.run()
	if s := r.Stats(); s.Sealed != 1 {
		t.Errorf("%+v", s)
	}
}
