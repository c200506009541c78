package stats

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// growingLake is a lake that takes events while questions are asked.
type growingLake struct {
	t         testing.TB
	lake      *lake.Lake
	pos       uint64
	rowsTaken int64
	*Engine
}

func newGrowingLake(t testing.TB) *growingLake { return newGrowingLakeIn(t, time.UTC) }

// newGrowingLakeIn is one whose days are those of a zone.
func newGrowingLakeIn(t testing.TB, zone *time.Location) *growingLake {
	t.Helper()
	dir := t.TempDir()
	s, err := state.Open(filepath.Join(dir, "state"), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(lake.Config{Dir: filepath.Join(dir, "lake"), State: s, HotDelay: time.Millisecond, Zone: func(string) string { return zone.String() }})
	if err != nil {
		t.Fatal(err)
	}
	db, err := duck.Open(duck.Config{Lake: filepath.Join(dir, "lake"), Temp: filepath.Join(dir, "tmp")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = db.Close()
		_ = l.Close(context.Background())
		_ = s.Close()
	})
	return &growingLake{t: t, lake: l, Engine: NewEngine(db)}
}

func (g *growingLake) take(events []shared.Event, cut bool) {
	g.t.Helper()
	g.pos++
	g.rowsTaken += int64(len(events))
	var err error
	if len(events) > 0 {
		err = g.lake.Ingest(context.Background(), lake.Batch{SpoolPos: g.pos, Events: slices.Clone(events)})
	}
	if err == nil && cut {
		err = g.lake.Flush(context.Background())
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// files are those of everything that was taken. The test keeps them.
func (g *growingLake) files() []lake.File {
	for {
		snap := g.lake.Snapshot()
		g.t.Cleanup(snap.Release)
		shown := int64(0)
		for i := range snap.Files {
			shown += snap.Files[i].Rows
		}
		if shown == g.rowsTaken {
			return snap.Files
		}
		time.Sleep(time.Millisecond)
	}
}

// longStory is one of more days than are unsettled, with much of it around the
// moments at which spans of days are cut.
func longStory(seed, round uint64) *story {
	r := rand.New(rand.NewPCG(seed, round))
	zone, err := time.LoadLocation(pickOf(r, "UTC", "Europe/Berlin", "America/Havana", "Australia/Lord_Howe"))
	if err != nil {
		panic(err)
	}
	first := pickOf(r, time.Date(2026, time.March, 1+r.IntN(28), 0, 0, 0, 0, zone), time.Date(2026, time.October, 15+r.IntN(14), 0, 0, 0, 0, zone))
	s := &story{r: r, zone: zone, first: first, days: unsettledDays + 2 + r.IntN(5)}
	for range 30 + r.IntN(30) {
		at := s.at()
		if r.IntN(3) > 0 { // around a midnight
			at = s.around(dateOf(first).add(0, 0, r.IntN(s.days+1)).start(zone) + int64(r.IntN(3)-1)*Margin.Microseconds())
		}
		s.view(s.visitor(), at)
	}
	if r.IntN(2) == 0 {
		s.crowd()
	}
	if r.IntN(2) == 0 {
		s.midnights()
	}
	// Keys that come again a day or two later, on rows of every kind.
	for range r.IntN(12) {
		e := s.events[r.IntN(len(s.events))]
		if trackers(&e) {
			e.DedupeKey = fmt.Sprint("again", r.IntN(3))
			e.LoadID = pickOf(r, e.LoadID, 1+r.Uint64N(1<<40))
			for range 1 + r.IntN(3) {
				s.add(e)
				e.Time += pickOf(r, 1, int64(time.Hour/time.Microsecond), late.Microseconds()/2, late.Microseconds(), late.Microseconds()+1)
			}
		}
	}
	return s
}

// TestQuestionsInAnyOrder asks one engine about many ranges of a lake that
// grows, so that what is remembered of one question answers the next, and
// compares every row with the reference.
func TestQuestionsInAnyOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rounds := uint64(3)
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		s := longStory(seed, round)
		shuffled := slices.Clone(s.events)
		s.r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		g := newGrowingLake(t)
		taken := 0
		for taken < len(shuffled) {
			n := min(len(shuffled)-taken, 1+s.r.IntN(len(shuffled)/2))
			g.take(shuffled[taken:taken+n], s.r.IntN(2) == 0)
			taken += n
			files := g.files()
			events := slices.Clone(shuffled[:taken])
			keptPrevious(t, g.Engine, files, events)
			want := resolveNaively(s.zone, events)
			for range 4 {
				first := dateOf(s.first).add(0, 0, s.r.IntN(s.days))
				r := newRange(s.zone, first, first.add(0, 0, pickOf(s.r, 0, unsettledDays-2, unsettledDays-1, unsettledDays, unsettledDays+1, s.days)))
				fill, wide := s.r.IntN(2) == 0, s.r.IntN(2) == 0
				name := fmt.Sprintf("round %d, %d rows, %s, %s to %s, filled %t, wide %t", round, taken, s.zone, r.First, r.Last, fill, wide)
				st := rangeStatement(r, wide, fill)
				compareRows(t, name, events, want, &st, askRows(g.t, g.Engine, g.files(), st))
			}
		}
	}
}

// rangeStatement looks at the rows of a range, or at those of its visits.
func rangeStatement(r Range, wide, fill bool) statement {
	s := newPlan(&Query{}, r, &builder{}).statement(wide)
	s.fill = fill
	return s
}

func compareRows(t *testing.T, name string, events []shared.Event, want map[rowKey]outcome, s *statement, got map[rowKey]outcome) {
	t.Helper()
	for i := range events {
		e := &events[i]
		w, counts := want[keyOfEvent(e)]
		counts = counts && e.Time >= s.from && e.Time < s.to
		g, counted := got[keyOfEvent(e)]
		if !s.fill {
			w.screen, w.title, g.screen, g.title = "", "", "", ""
		}
		if counts != counted || counts && g.withRoot(e) != w.withRoot(e) {
			t.Fatalf("%s: row %d at %s, %+v:\n got %t %+v\nwant %t %+v", name, i, time.UnixMicro(e.Time).UTC(), *e, counted, g, counts, w)
		}
	}
}

// TestManyExceptions: of a site without proxy every page view is one. They are
// no list of values among the arguments, which DuckDB keeps with a kilobyte for
// each, outside of its memory limit.
func TestManyExceptions(t *testing.T) {
	const views, visitors = 5000, 40
	s := &story{r: rand.New(rand.NewPCG(1, 1))}
	day := Date{2026, time.November, 22}
	for i := range views {
		e := shared.Event{Kind: shared.KindPageview, Origin: shared.OriginUmami, Verdict: shared.VerdictLikely, VisitorID: uint64(1 + i%visitors)}
		e.Time, e.DedupeKey = day.start(time.UTC)+int64(i)*1e6, fmt.Sprint(i/2) // each comes twice
		s.add(e)
	}
	e, files := realLake(t, s.events, views)
	q := Query{SiteID: testSite, Range: newRange(time.UTC, day, day), Interval: Day, Limit: 10}
	b, err := e.Books(t.Context(), files, q)
	if err != nil || b.Pageviews.ScriptOnly != views/2 || b.Pageviews.People != views/2 {
		t.Errorf("%+v, %v", b, err)
	}
	books := compileBooks(q)
	known, err := e.exceptions(t.Context(), files, testSite, &books)
	if err != nil {
		t.Fatal(err)
	}
	judged := unprovenDays{{day: 20000, n: views, visitors: numbers(strings.Repeat("7 ", views-1) + "7")}}
	for _, arg := range resolve(books, factsOf(files), judged, known).args {
		if v := reflect.ValueOf(arg); v.Kind() == reflect.Slice && v.Len() > 10 {
			t.Errorf("an argument is a list of %d values", v.Len())
		}
	}
}
