package lake

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// always is every time there is.
const always = int64(math.MaxInt64)

// rule erases the rows of a site: of one visitor, where there is one, within a
// span of times.
type rule struct {
	Span
	visitor uint64
}

func (r *rule) gone(w *Who) bool {
	return w.Time >= r.From && w.Time < r.To && (r.visitor == 0 || w.VisitorID == r.visitor)
}

// rules is a ledger.
type rules struct{ list atomic.Pointer[[]rule] }

func (r *rules) add(one rule) {
	var list []rule
	if old := r.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = append(list, one)
	r.list.Store(&list)
}

func (r *rules) erased(site string, w *Who) bool {
	list := r.list.Load()
	return list != nil && slices.ContainsFunc(*list, func(one rule) bool { return one.SiteID == site && one.gone(w) })
}

func (r *rules) Of(site string) func(*Who) bool {
	list := r.list.Load()
	if list == nil || !slices.ContainsFunc(*list, func(one rule) bool { return one.SiteID == site }) {
		return nil
	}
	return func(w *Who) bool { return r.erased(site, w) }
}

func whoOf(e *shared.Event) *Who {
	w := WhoOf(e)
	return &w
}

// factsOf counts what a file's rows take part in anew.
func factsOf(events []shared.Event) *state.Facts {
	var f state.Facts
	for i := range events {
		note(&f, &events[i])
	}
	return &f
}

func TestEraseTakesRowsOutAndNothingElse(t *testing.T) {
	st := openState(t, t.TempDir())
	l := openLake(t, Config{State: st, CutAge: time.Hour})
	tr := newTraffic(5, "a")
	var events []shared.Event
	for pos := uint64(1); pos <= 4; pos++ {
		batch := tr.take(500)
		for i := range batch {
			batch[i].VisitorID = 1 + uint64(i)%7 // a pattern of rows that go, among nulls
			if i%5 == 0 {
				batch[i].DedupeKey = fmt.Sprint(pos, "-", i)
			}
		}
		events = append(events, batch...)
		ingest(t, l, Batch{SpoolPos: pos, Events: batch})
		flush(t, l)
	}
	other := newTraffic(6, "b").take(50)
	for i := range other {
		other[i].VisitorID = 3
	}
	ingest(t, l, Batch{SpoolPos: 5, Events: other})
	flush(t, l)
	held := l.Snapshot()
	defer held.Release()
	before := rowsOf(t, held)
	asked := time.Now().UnixMicro() + 1
	one := Erasing{Span: Span{"a", 0, always}, ID: "x", AskedAt: asked, Gone: (&rule{Span{"a", 0, always}, 3}).gone}
	want := state.Erasing{}
	for i := range events {
		if events[i].VisitorID == 3 {
			want.Events++
		}
	}
	dry := one
	dry.Dry = true
	if got, err := l.Erase(t.Context(), dry); err != nil || got != want {
		t.Fatalf("a dry run: %+v %v, want %+v", got, err, want)
	}
	same := l.Snapshot()
	if !reflect.DeepEqual(same.Files, held.Files) {
		t.Fatal("a dry run changed the list of files")
	}
	same.Release()
	if got, err := l.Erase(t.Context(), one); err != nil || got != want {
		t.Fatalf("%+v %v, want %+v", got, err, want)
	}
	after := l.Snapshot()
	defer after.Release()
	now := rowsOf(t, after)
	for key, was := range before {
		is, there := now[key]
		if gone := was.text("visitor_id") == "3" && was.text("site_id") == "a"; gone == there {
			t.Fatalf("%v of visitor %s: there is %v", key, was.text("visitor_id"), there)
		}
		if there && !sameRecord(was, is) {
			t.Fatalf("%v was\n%v\nis\n%v", key, was, is)
		}
	}
	if int64(len(now)) != int64(len(before))-want.Events {
		t.Errorf("%d rows are left of %d", len(now), len(before))
	}
	// The order of rows, and what the manifest says of them.
	for n, f := range after.Files[:4] {
		var rest []shared.Event
		var keys []rowKey
		for _, e := range events[n*500 : n*500+500] {
			if e.VisitorID != 3 {
				rest, keys = append(rest, e), append(keys, keyOf(&e))
			}
		}
		if !slices.Equal(readKeys(t, f.Path), keys) || !reflect.DeepEqual(f.Facts, factsOf(rest)) || f.Rows != int64(len(rest)) ||
			f.MinTime != rest[0].Time || f.MaxTime != rest[len(rest)-1].Time {
			t.Errorf("file %+v, facts %+v, want %+v", f, f.Facts, factsOf(rest))
		}
	}
	for key, r := range rowsOf(t, held) { // who began to read before keeps what there was
		if !sameRecord(r, before[key]) {
			t.Fatalf("a held snapshot changed at %v", key)
		}
	}
	held.Release()
	for _, f := range held.Files[:4] {
		if _, err := os.Stat(f.Path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there after its last reader: %v", f.Path, err)
		}
	}
	erased, _ := st.Erased()
	counted, _ := st.Erasing("x")
	if !reflect.DeepEqual(erased, []state.Erased{{SiteID: "a", Date: "2026-11-22", Rows: want.Events}}) || counted != want {
		t.Errorf("counted %+v and %+v", erased, counted)
	}
	if got, err := l.Erase(t.Context(), one); err != nil || got != (state.Erasing{}) {
		t.Errorf("a second time: %+v %v", got, err)
	}
	// Nothing is left of a site, not even files.
	all := Erasing{Span: Span{"a", 0, always}, ID: "y", AskedAt: 1, Gone: func(*Who) bool { return true }}
	if got, err := l.Erase(t.Context(), all); err != nil || got != (state.Erasing{Hot: 2000 - want.Events}) {
		t.Errorf("all: %+v %v", got, err)
	}
	last := l.Snapshot()
	defer last.Release()
	if len(last.Files) != 1 || last.Files[0].SiteID != "b" {
		t.Errorf("files %+v", last.Files)
	}
	after.Release()
	if left, _ := filepath.Glob(filepath.Join(l.cfg.Dir, "events/site_id=a/*/*")); len(left) != 0 {
		t.Errorf("files are left: %v", left)
	}
}

func TestWhatIsErasedDoesNotComeIn(t *testing.T) {
	st := openState(t, t.TempDir())
	var ledger rules
	var told, committed atomic.Int64
	l := openLake(t, Config{
		State: st, CutAge: time.Hour, Erasures: &ledger, Zone: func(string) string { return "Asia/Tokyo" },
		OnErased: func() { told.Add(1) }, OnCommitted: func(uint64) { committed.Store(told.Load()) },
	})
	events := newTraffic(1, "a").take(100)
	for i := range events {
		events[i].VisitorID = uint64(i%4) + 1
	}
	ledger.add(rule{Span{"a", 0, always}, 2})
	ingest(t, l, Batch{SpoolPos: 1, Mark: state.Mark{Edge: events[0].Edge, Epoch: 1, Accepted: 100}, Events: events})
	flush(t, l)
	s := l.Snapshot()
	defer s.Release()
	for _, r := range rowsOf(t, s) {
		if r.text("visitor_id") == "2" {
			t.Fatal("an erased row came in")
		}
	}
	if rows(s) != 75 || told.Load() != 1 || committed.Load() != 1 {
		t.Errorf("%d rows, told %d times, %d before the commit was", rows(s), told.Load(), committed.Load())
	}
	if erased, _ := st.Erased(); !reflect.DeepEqual(erased, []state.Erased{{SiteID: "a", Date: "2026-11-22", Rows: 25}}) {
		t.Errorf("counted %+v", erased)
	}
	// A batch of nothing else moves marks and position.
	ledger.add(rule{Span{"a", 0, always}, 0})
	mark := state.Mark{Edge: events[0].Edge, Epoch: 1, Accepted: 200}
	ingest(t, l, Batch{SpoolPos: 2, Mark: mark, Events: events})
	flush(t, l)
	m, _ := st.Manifest()
	marks, _ := st.Marks()
	if m.SpoolThrough != 2 || len(m.Segments) != 1 || len(marks) != 1 || marks[0] != mark {
		t.Errorf("%+v %+v", m, marks)
	}
}

func TestEraseReachesWhatWasSetAside(t *testing.T) {
	l := openLake(t, Config{CutAge: time.Hour})
	events := newTraffic(2, "a").take(60)
	for i := range events {
		events[i].VisitorID = uint64(i/30) + 1
	}
	dir := filepath.Join(l.cfg.Dir, asideDir, "site_id=a", "date=2026-11-22")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]shared.Event{"both": events, "one": events[:30]} {
		if err := os.Rename(writeEvents(t, list), filepath.Join(dir, name+".parquet")); err != nil {
			t.Fatal(err)
		}
	}
	one := Erasing{Span: Span{"a", 0, always}, Gone: (&rule{Span{"a", 0, always}, 1}).gone, Dry: true}
	for _, dry := range []bool{true, false} {
		one.Dry = dry
		if got, err := l.Erase(t.Context(), one); err != nil || got != (state.Erasing{SetAside: 60}) {
			t.Fatalf("dry %v: %+v %v", dry, got, err)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) != 1 || filepath.Base(left[0]) != "both.parquet" {
		t.Fatalf("%v is left", left)
	}
	var want []rowKey
	for i := range events[30:] {
		want = append(want, keyOf(&events[30+i]))
	}
	if got := readKeys(t, left[0]); !slices.Equal(got, want) {
		t.Errorf("%d rows are left in it, want %d", len(got), len(want))
	}
}

func TestEraseSaysWhatIsWrong(t *testing.T) {
	l := openLake(t, Config{CutAge: time.Hour})
	ingest(t, l, Batch{SpoolPos: 1, Events: newTraffic(3, "a").take(100)})
	flush(t, l)
	path := l.Snapshot().Files[0].Path
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = l.Erase(t.Context(), Erasing{Span: Span{"a", 0, always}, Gone: func(*Who) bool { return true }})
	if err == nil {
		t.Error("a torn segment was erased from")
	}
}

// TestErasuresAgainstAModel plays random intake, late rows, erasures, flushes
// and kills: what is there is what was sent and no erasure concerns, once.
func TestErasuresAgainstAModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	w := newWorld(t, seed)
	var ledger rules
	w.cfg.Erasures = &ledger
	w.open()
	var open []rule // asked for, not finished
	check := func() {
		t.Helper()
		s := w.lake.Snapshot()
		defer s.Release()
		seen := contents(t, s)
		var accepted, left int64
		for _, b := range w.spool {
			for i := range b.Events {
				e := &b.Events[i]
				accepted++
				want := 1
				if ledger.erased(e.SiteID, whoOf(e)) {
					want = 0
				}
				if seen[keyOf(e)] != want {
					t.Fatalf("%v is there %d times, want %d", keyOf(e), seen[keyOf(e)], want)
				}
				left += int64(want)
			}
		}
		erased, err := w.state.Erased()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range erased {
			left += e.Rows
		}
		if left != accepted {
			t.Fatalf("%d rows and erased ones, %d were accepted", left, accepted)
		}
	}
	steps := 120
	if testing.Short() {
		steps = 30
	}
	for range steps {
		switch n := w.r.IntN(20); {
		case n < 11:
			b := w.batch()
			for i := range b.Events {
				b.Events[i].VisitorID = 1 + w.r.Uint64N(12)
			}
			ingest(t, w.lake, b)
		case n < 14:
			one := rule{Span{pick(w.r, "a", "b", "c-1"), 0, always}, 1 + w.r.Uint64N(12)}
			if w.r.IntN(3) == 0 { // a day of the site
				one.From = 1_795_305_600_000_000 + w.r.Int64N(3)*86_400_000_000
				one.To = one.From + w.r.Int64N(86_400_000_000)
				one.visitor = pick(w.r, 0, one.visitor)
			}
			ledger.add(one)
			open = append(open, one)
		case n < 16:
			w.kill()
			w.open()
		default:
			flush(t, w.lake)
			for _, one := range open {
				_, err := w.lake.Erase(t.Context(), Erasing{Span: one.Span, ID: "x", AskedAt: always, Gone: one.gone})
				if err != nil {
					t.Fatal(err)
				}
			}
			open = nil
			check()
		}
	}
	w.kill()
}

func BenchmarkIngestBesideErasures(b *testing.B) {
	for _, n := range []int{-1, 0, 1000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			cfg := Config{State: openState(b, b.TempDir())}
			if n >= 0 { // a ledger that knows other sites only
				var ledger rules
				for i := range n {
					ledger.add(rule{Span{fmt.Sprint("other-", i), 0, always}, 1})
				}
				cfg.Erasures = &ledger
			}
			l := openLake(b, cfg)
			events := newTraffic(1, "example").take(1000)
			var pos, seq uint64
			for b.Loop() {
				for i := range events {
					seq++
					events[i].Seq = seq
				}
				pos++
				ingest(b, l, Batch{SpoolPos: pos, Events: events})
			}
		})
	}
}

func BenchmarkFindErased(b *testing.B) {
	l := openLake(b, Config{State: openState(b, b.TempDir()), CutAge: time.Hour})
	tr := newTraffic(1, "a")
	const batches, each = 20, 20_000
	for pos := uint64(1); pos <= batches; pos++ {
		events := tr.take(each)
		for i := range events {
			events[i].DistinctID = pick(tr.r, "", "somebody", "another")
		}
		ingest(b, l, Batch{SpoolPos: pos, Events: events})
	}
	flush(b, l)
	for b.Loop() {
		n := 0
		if err := l.EachWho(b.Context(), Span{"a", 0, always}, false, func(*Who) { n++ }); err != nil || n != batches*each {
			b.Fatalf("%d rows, %v", n, err)
		}
	}
	b.ReportMetric(batches*each*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func TestWhoOfEachRow(t *testing.T) {
	l := openLake(t, Config{CutAge: time.Hour})
	events := newTraffic(4, "a").take(5000)
	var want []Who
	for i := range events {
		if events[i].Kind != shared.KindPageview { // nulls among them
			events[i].VisitorID = 0
		}
		events[i].DistinctID = pick(rand.New(rand.NewPCG(uint64(i), 1)), "", "somebody", "another@example.com")
		want = append(want, *whoOf(&events[i]))
	}
	ingest(t, l, Batch{SpoolPos: 1, Events: events})
	flush(t, l)
	var got []Who
	if err := l.EachWho(t.Context(), Span{"a", 0, always}, false, func(w *Who) { got = append(got, *w) }); err != nil || !slices.Equal(got, want) {
		t.Errorf("%d rows of %d, or others: %v", len(got), len(want), err)
	}
	got = nil
	if err := l.EachWho(t.Context(), Span{"a", want[100].Time, want[200].Time}, false, func(w *Who) { got = append(got, *w) }); err != nil || len(got) != 100 {
		t.Errorf("%d rows of a span, %v", len(got), err)
	}
	if err := l.EachWho(t.Context(), Span{"a", 0, always}, true, func(*Who) { t.Error("none is carried") }); err != nil {
		t.Error(err)
	}
}
