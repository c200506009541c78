package erasure

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

const day = int64(24 * time.Hour / time.Microsecond)

// now is a time that nothing is younger than.
func now() int64 { return time.Now().UnixMicro() }

// TestErasureOfAVisitor follows one visitor into segments, hot rows, the spool,
// dead letters and late deliveries.
func TestErasureOfAVisitor(t *testing.T) {
	g := newRig(t, t.TempDir())
	e := newEdge()
	at := now() - day
	const gone, stays, also = 1111111, 2222222, 3333333
	g.send(e, e.seal(event("a.example", gone, at), event("a.example", stays, at), event("b.example", also, at)))
	_, err := g.settle(t.Context())
	g.must(err)
	time.Sleep(2 * time.Millisecond)
	g.send(e, e.seal(event("a.example", gone, at+5), event("a.example", also, at)))
	again := &edge{e.id, e.epoch, 1} // the same sequences with other bytes: a dead letter
	g.send(e, again.seal(event("a.example", gone, at), event("a.example", stays, at), event("b.example", stays, at)))
	if files := g.holds(pathOf(gone)); len(files) < 2 {
		t.Fatalf("only %q have the visitor: the search does not find what is there", files)
	}
	dry, err := g.eraser.Erase(t.Context(), Request{Site: "a.example", VisitorID: "1111111", DryRun: true})
	if err != nil || !dry.DryRun || dry.Events+dry.Hot != 2 || dry.Hot == 0 || dry.DeadLetters != 1 || dry.Spool != 2 || dry.LedgerID != "" ||
		len(g.ledger.List()) != 0 || g.paths()["a-example"+pathOf(gone)] != 2 {
		t.Fatalf("a dry run: %+v %v", dry, err)
	}
	report, err := g.eraser.Erase(t.Context(), Request{Site: "a.example", VisitorID: "1111111", By: "key-1"})
	if err != nil || report.State != state.ErasureDone || report.Events+report.Hot != 2 || report.DeadLetters != 1 || report.Spool != 2 || report.LedgerID == "" {
		t.Fatalf("%+v %v", report, err)
	}
	if files := g.holds(pathOf(gone)); len(files) != 0 {
		t.Errorf("%q still have the visitor", files)
	}
	want := map[string]int{"a-example" + pathOf(stays): 1, "a-example" + pathOf(also): 1, "b-example" + pathOf(also): 1}
	g.wantPaths(want)
	if rows, erased := g.verify(); erased != 2 || rows != 3 {
		t.Errorf("%d rows, %d erased", rows, erased)
	}

	// What comes late is left out, and swept from the spool.
	g.send(e, e.seal(event("a.example", gone, at+9), event("a.example", stays, at+9)))
	want["a-example"+pathOf(stays)]++
	g.wantPaths(want)
	if len(g.holds(pathOf(gone))) == 0 {
		t.Error("the spool has nothing of it: the sweep is not tested")
	}
	g.must(g.eraser.Sweep(t.Context()))
	if files := g.holds(pathOf(gone)); len(files) != 0 {
		t.Errorf("%q have the visitor again", files)
	}
	g.send(e, again.seal(event("a.example", gone, at))) // a conflict that is not kept
	if files := g.holds(pathOf(gone)); len(files) != 0 {
		t.Errorf("%q have the visitor once more", files)
	}
	if rows, erased := g.verify(); erased != 3 || rows != 4 {
		t.Errorf("%d rows, %d erased", rows, erased)
	}

	// After a restart too; and what happens from now on is another matter.
	g.restart()
	g.wantPaths(want)
	g.send(e, e.seal(event("a.example", gone, now()+1000)))
	want["a-example"+pathOf(gone)] = 1
	g.wantPaths(want)
	g.verify()
	g.wantNoIDs("1111111", strconv.FormatUint(1111111, 16))
}

// wantNoIDs looks for ids in the ledger, the state and the log.
func (g *rig) wantNoIDs(ids ...string) {
	g.t.Helper()
	for _, id := range ids {
		if strings.Contains(g.logged.String(), id) {
			g.t.Errorf("the log has %s", id)
		}
		for _, path := range g.holds(id) {
			if rel, _ := filepath.Rel(g.dir, path); strings.HasPrefix(rel, "erasures") || strings.HasPrefix(rel, "state") {
				g.t.Errorf("%s has %s", rel, id)
			}
		}
	}
}

func TestErasureOfADistinctID(t *testing.T) {
	g := newRig(t, t.TempDir())
	e := newEdge()
	at := now() - 3*day
	as := func(id string, ev shared.Event) shared.Event {
		ev.DistinctID = id
		return ev
	}
	next := event("a.example", 55, at+day)
	next.PrevVisitorID = 44
	prev := event("a.example", 44, at+day-1000) // there a moment before midnight
	identify := as("customer-17@example.com", shared.Event{
		Site: "a.example", Kind: shared.KindCompletion, Name: shared.CompletionIdentify, Origin: shared.OriginUmami, Time: at + 1, VisitorID: 11,
		Verdict: shared.VerdictLikely,
	})
	g.send(e, e.seal(
		event("a.example", 11, at), identify, event("a.example", 11, at+2), // said of 11
		as("customer-17@example.com", event("a.example", 44, at+day-2000)), prev, next, event("a.example", 55, at+day+5), // 44 goes on as 55
		as("customer-18@example.com", event("a.example", 22, at)), event("a.example", 33, at),
		as("customer-17@example.com", event("a.example", 0, at)), // nobody a visitor
	))
	report, err := g.eraser.Erase(t.Context(), Request{Site: "a.example", DistinctID: "customer-17@example.com"})
	if err != nil || report.Events+report.Hot != 8 || report.State != state.ErasureDone {
		t.Fatalf("%+v %v", report, err)
	}
	want := map[string]int{"a-example" + pathOf(22): 1, "a-example" + pathOf(33): 1}
	g.wantPaths(want)
	for _, text := range []string{"customer-17", pathOf(11), pathOf(44), pathOf(55)} {
		if files := g.holds(text); len(files) != 0 {
			t.Errorf("%q have %s", files, text)
		}
	}
	g.send(e, e.seal(as("customer-17@example.com", event("a.example", 66, at)), event("a.example", 55, at), event("a.example", 33, at)))
	want["a-example"+pathOf(33)]++
	g.wantPaths(want)
	g.wantNoIDs("customer-17")
	g.verify()
}

func TestErasuresAreCombinedAndKeepToTheirDays(t *testing.T) {
	g := newRig(t, t.TempDir())
	e := newEdge()
	berlin, err := time.LoadLocation("Europe/Berlin")
	g.must(err)
	at := func(d, h int) int64 { return time.Date(2026, 11, d, h, 30, 0, 0, berlin).UnixMicro() }
	as := func(id string, ev shared.Event) shared.Event {
		ev.DistinctID = id
		return ev
	}
	// Midnight in Berlin is 23:00 UTC the day before.
	var events []shared.Event
	for d := 10; d <= 14; d++ {
		for _, h := range []int{0, 23} {
			events = append(events, event("a.example", 100+uint64(d), at(d, h)), event("a.example", 7, at(d, h)), as("x", event("a.example", 8, at(d, h))), event("a.example", 8, at(d, h)))
		}
	}
	g.send(e, e.seal(events...))
	total := func(visitor uint64) int { return g.paths()["a-example"+pathOf(visitor)] }
	for _, c := range []struct {
		ask                   Request
		rows                  int64
		seven, eight, day12th int // left
	}{
		{Request{Start: "2026-11-11", End: "2026-11-12", VisitorID: "7"}, 4, 6, 20, 2},
		{Request{Start: "2026-11-10", End: "2026-11-10", VisitorID: "0x8", DistinctID: "x"}, 2, 6, 18, 2},
		{Request{Start: "2026-11-12", End: "2026-11-12"}, 2 + 4, 6, 14, 0},
		{Request{Start: "2026-11-14", End: "2026-11-14", DistinctID: "x"}, 4, 6, 10, 0},
		{Request{Start: "2026-11-15", End: "2026-11-15"}, 0, 6, 10, 0},
		{Request{Everything: true}, 6 + 10 + 8, 0, 0, 0},
	} {
		c.ask.Site = "a-example"
		report, err := g.eraser.Erase(t.Context(), c.ask)
		if err != nil || report.Events+report.Hot != c.rows {
			t.Errorf("%+v: %+v %v", c.ask, report, err)
		}
		if got := [3]int{total(7), total(8), total(112)}; got != [3]int{c.seven, c.eight, c.day12th} {
			t.Errorf("%+v leaves %v", c.ask, got)
		}
		g.verify()
	}
	// A site of which everything was erased goes on.
	g.send(e, e.seal(event("a.example", 9, now()+10), event("a.example", 9, at(12, 5))))
	if total(9) != 1 {
		t.Errorf("%d events after everything was erased, one is new", total(9))
	}
}

func TestAForgottenErasureLetsRowsIn(t *testing.T) {
	g := newRig(t, t.TempDir())
	e := newEdge()
	at := now() - day
	g.send(e, e.seal(event("a.example", 7, at)))
	report, err := g.eraser.Erase(t.Context(), Request{Site: "a.example", Everything: true})
	g.must(err)
	g.send(e, e.seal(event("a.example", 7, at)))
	g.wantPaths(nil)
	if _, err := g.eraser.Forget(t.Context(), "no such"); err == nil {
		t.Error("an erasure that is not there was forgotten")
	}
	if entry, err := g.eraser.Forget(t.Context(), report.LedgerID); err != nil || entry.ForgottenAt == 0 {
		t.Fatalf("%+v %v", entry, err)
	}
	g.send(e, e.seal(event("a.example", 7, at)))
	want := map[string]int{"a-example" + pathOf(7): 1}
	g.wantPaths(want)
	g.restart()
	g.must(g.eraser.Resume(t.Context()))
	g.wantPaths(want)
	g.verify()
}

// TestAnOlderStateIsBroughtUpToTheLedger restores everything but the ledger.
func TestAnOlderStateIsBroughtUpToTheLedger(t *testing.T) {
	g := newRig(t, t.TempDir())
	e := newEdge()
	at := now() - day
	g.send(e, e.seal(event("a.example", 7, at), event("a.example", 8, at)))
	_, err := g.settle(t.Context())
	g.must(err)
	g.stop()
	backup := t.TempDir()
	parts := []string{"state", "lake", "spool", "dead-letters"}
	for _, part := range parts {
		g.must(os.CopyFS(filepath.Join(backup, part), os.DirFS(g.path(part))))
	}
	g.open()
	report, err := g.eraser.Erase(t.Context(), Request{Site: "a.example", VisitorID: "7"})
	if err != nil || report.Events != 1 {
		t.Fatalf("%+v %v", report, err)
	}
	g.stop()
	for _, part := range parts {
		g.must(os.RemoveAll(g.path(part)), os.CopyFS(g.path(part), os.DirFS(filepath.Join(backup, part))))
	}
	g.open()
	if list := g.ledger.List(); len(list) != 1 || list[0].State != state.ErasureOpen {
		t.Fatalf("the ledger is %+v", list)
	}
	g.must(g.eraser.Resume(t.Context()))
	g.wantPaths(map[string]int{"a-example" + pathOf(8): 1})
	if files := g.holds(pathOf(7)); len(files) != 0 {
		t.Errorf("%q have the visitor", files)
	}
	if list := g.ledger.List(); list[0].State != state.ErasureDone || list[0].Counts.Events != 1 {
		t.Errorf("the ledger is %+v", list)
	}
	g.verify()
	// And the ledger's file comes back from the state.
	g.stop()
	g.must(os.Remove(filepath.Join(g.path("erasures"), ledgerFile)))
	g.open()
	filed, err := readLedger(filepath.Join(g.path("erasures"), ledgerFile))
	if err != nil || len(filed) != 1 || filed[0].ID != report.LedgerID {
		t.Errorf("the file has %+v %v", filed, err)
	}
}

func TestRequestsThatCantBeMeant(t *testing.T) {
	g := newRig(t, t.TempDir())
	e := newEdge()
	g.send(e, e.seal(event("a.example", 7, now()-day)))
	for _, c := range []struct {
		ask   Request
		field string
	}{
		{Request{}, "start_date"},
		{Request{Start: "2026-11-10"}, "end_date"},
		{Request{End: "2026-11-10"}, "start_date"},
		{Request{Start: "2026-11-10", End: "2026-11-09"}, "end_date"},
		{Request{Start: "10.11.2026", End: "2026-11-10"}, "start_date"},
		{Request{Start: "2026-11-10", End: "2026-02-30"}, "end_date"},
		{Request{Start: "0001-01-01", End: "2026-02-03"}, "start_date"},
		{Request{VisitorID: "0"}, "visitor_id"},
		{Request{VisitorID: "-1"}, "visitor_id"},
		{Request{VisitorID: "+1"}, "visitor_id"},
		{Request{VisitorID: "1_000"}, "visitor_id"},
		{Request{VisitorID: "18446744073709551616"}, "visitor_id"},
		{Request{VisitorID: "deadbeef"}, "visitor_id"},
		{Request{VisitorID: "0x"}, "visitor_id"},
		{Request{DistinctID: strings.Repeat("x", shared.MaxShort+1)}, "distinct_id"},
		{Request{DistinctID: "a\x00b"}, "distinct_id"},
		{Request{Everything: true, VisitorID: "7"}, "everything"},
		{Request{Everything: true, Start: "2026-11-10", End: "2026-11-11"}, "everything"},
	} {
		c.ask.Site = "a.example"
		var bad *InvalidError
		if _, err := g.eraser.Erase(t.Context(), c.ask); !errors.As(err, &bad) || bad.Field != c.field || !strings.HasPrefix(bad.Error(), c.field+": ") {
			t.Errorf("%+v: %v, want something about %s", c.ask, err, c.field)
		}
	}
	if _, err := g.eraser.Erase(t.Context(), Request{Site: "c.example", Everything: true}); !errors.Is(err, ErrUnknownSite) {
		t.Errorf("an unknown site: %v", err)
	}
	if len(g.ledger.List()) != 0 {
		t.Errorf("the ledger has %+v", g.ledger.List())
	}
	g.wantPaths(map[string]int{"a-example" + pathOf(7): 1})
	for text, want := range map[string]uint64{"1": 1, "18446744073709551615": math.MaxUint64, "0xDEADbeef": 0xdeadbeef, "0XFF": 255} {
		if got, err := ParseVisitor(text); err != nil || got != want {
			t.Errorf("%s is %d, %v", text, got, err)
		}
	}
}

// TestCallsThatAreGivenUpAreFinished: the ledger has it, so Run does it.
func TestCallsThatAreGivenUpAreFinished(t *testing.T) {
	g := newRig(t, t.TempDir())
	e := newEdge()
	g.send(e, e.seal(event("a.example", 7, now()-day), event("a.example", 8, now()-day)))
	_, err := g.settle(t.Context())
	g.must(err)
	entry, err := g.eraser.entry(t.Context(), &subject{site: "a-example", to: math.MaxInt64, visitor: 7}, now())
	g.must(err)
	entry.ID = "given-up"
	g.must(g.ledger.put(entry))
	g.restart()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(done); g.eraser.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); g.ledger.List()[0].State != state.ErasureDone; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is never finished")
		}
	}
	cancel()
	<-done
	if files := g.holds(pathOf(7)); len(files) != 0 {
		t.Errorf("%q have the visitor", files)
	}
	g.wantPaths(map[string]int{"a-example" + pathOf(8): 1})
}
