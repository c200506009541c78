package lake

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// sealedDay is the one that the tests' traffic falls on.
var sealedDay = state.DayKey{SiteID: "a", Date: "2026-11-22", Zone: "UTC"}

// openView is a row of a file of kind DerivedOpen.
type openView struct {
	ViewID uint64 `parquet:"view_id"`
}

// derive does what sealing a day is about, with every view of the day open.
func derive(t testing.TB, s *Sealing) Sealed {
	t.Helper()
	made, err := deriveInto(s, viewsOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// viewsOf lists the ids of the views of a day.
func viewsOf(t testing.TB, s *Sealing) (open []openView) {
	for _, f := range s.Own {
		err := eachBlock(f.Path, func(rows []row) error {
			for i := range rows {
				if rows[i].ViewID != 0 {
					open = append(open, openView{rows[i].ViewID})
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return open
}

// deriveInto writes one sealed segment, and the views that are open.
func deriveInto(s *Sealing, open []openView) (Sealed, error) {
	var all []row
	for _, f := range s.Own {
		if err := eachBlock(f.Path, func(rows []row) error { all = append(all, rows...); return nil }); err != nil {
			return Sealed{}, err
		}
	}
	slices.SortFunc(all, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.VisitorID, b.VisitorID), cmp.Compare(a.Time, b.Time), cmp.Compare(a.Seq, b.Seq))
	})
	segment := filepath.Join(s.Dir, "segment.parquet")
	_, err := writeFile(segment, false, func(f *os.File) error {
		e := newEncoder(true)
		e.reset(f)
		return errors.Join(e.addRows(all), e.close())
	})
	views, rollup := filepath.Join(s.Dir, "open.parquet"), filepath.Join(s.Dir, "rollup.parquet")
	return Sealed{
		Segments: []string{segment}, Derived: map[string]string{DerivedOpen: views, DerivedRollup: rollup}, Rules: 3,
	}, errors.Join(err, parquet.WriteFile(views, open), parquet.WriteFile(rollup, []openView{{1}, {2}}))
}

// seal seals a day.
func seal(t testing.TB, l *Lake, k state.DayKey) *Day {
	t.Helper()
	s, err := l.BeginSeal(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Commit(t.Context(), derive(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dayNow is a day of the newest snapshot, nil if it has it not.
func dayNow(l *Lake, k state.DayKey) *Day {
	s := l.Snapshot()
	defer s.Release()
	for _, d := range s.SiteDays(k.SiteID) {
		if d.DayKey == k {
			return d
		}
	}
	return nil
}

// late is how late the day is that the tests seal.
func late(t testing.TB, l *Lake) int64 {
	t.Helper()
	d := dayNow(l, sealedDay)
	if d == nil {
		t.Fatal("the day is not sealed")
	}
	return d.Late
}

func TestSealPutsSortedSegmentsInThePlaceOfADays(t *testing.T) {
	st, dir := openState(t, t.TempDir()), t.TempDir()
	l := openLake(t, Config{Dir: dir, State: st, CutAge: time.Hour})
	tr := newTraffic(5, "a")
	for pos := uint64(1); pos <= 3; pos++ {
		ingest(t, l, Batch{SpoolPos: pos, Events: tr.take(300)})
		flush(t, l)
	}
	ingest(t, l, Batch{SpoolPos: 4, Events: tr.take(100)}) // hot: it is committed first
	other := newTraffic(6, "b")
	ingest(t, l, Batch{SpoolPos: 5, Events: other.take(100)})
	flush(t, l)
	held := l.Snapshot()
	before := rowsOf(t, held)

	d := seal(t, l, sealedDay)
	if d.Late != 0 || d.Rows != 1000 || d.Rules != 3 || len(d.Segments) != 1 || len(d.Derived) != 2 || d.To-d.From != 24*3600*1e6 {
		t.Fatalf("%+v", d)
	}
	s := l.Snapshot()
	defer s.Release()
	if len(s.Days) != 1 || s.Days[0] != d || len(s.Files) != 2 {
		t.Fatalf("%d days, %d files", len(s.Days), len(s.Files))
	}
	for _, f := range s.Files {
		if f.Sealed != (f.SiteID == "a") {
			t.Errorf("%+v", f)
		}
		if f.Sealed && (f.Path != d.Segments[0] || f.Rows != 1000 || f.Zone != "UTC") {
			t.Errorf("%+v", f)
		}
		for _, old := range held.Files {
			if f.Sealed && old.SiteID == "a" && (old.MinTime < f.MinTime || old.MaxTime > f.MaxTime) {
				t.Errorf("its times are %d to %d, there was %d to %d", f.MinTime, f.MaxTime, old.MinTime, old.MaxTime)
			}
		}
		if f.Sealed {
			sum := state.Facts{}
			for _, old := range held.Files {
				if old.SiteID == "a" {
					sum.Add(*old.Facts)
				}
			}
			if *f.Facts != sum {
				t.Errorf("facts %+v, were %+v", *f.Facts, sum)
			}
		}
	}
	after := rowsOf(t, s)
	for key, r := range before {
		if !sameRecord(after[key], r) {
			t.Fatalf("%v was\n%v\nis\n%v", key, r, after[key])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d rows, there were %d", len(after), len(before))
	}
	rowsOf(t, held) // whoever reads, still does
	held.Release()
	for _, f := range held.Files {
		if _, err := os.Stat(f.Path); os.IsNotExist(err) != (f.SiteID == "a") {
			t.Errorf("%s: %v", f.Path, err)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, sealingDir)); len(left) != 0 {
		t.Errorf("%d directories are left", len(left))
	}

	// It is the same after a restart, and can be sealed again.
	l.kill()
	l = openLake(t, Config{Dir: dir, State: st})
	again := dayNow(l, sealedDay)
	if again == nil || again.Late != 0 || again.Segments[0] != d.Segments[0] || again.File(DerivedOpen) != d.File(DerivedOpen) {
		t.Fatalf("after a restart: %+v", again)
	}
	second := seal(t, l, sealedDay)
	if second.Rows != 1000 || second.Segments[0] == d.Segments[0] {
		t.Errorf("%+v", second)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*/site_id=a/date=2026-11-22/*"))
	if len(files) != 3 {
		t.Errorf("files of the day: %q", files)
	}
}

// TestWhatMakesADayLate: each kind of row, by when it is and whether it comes
// before it is committed or after.
func TestWhatMakesADayLate(t *testing.T) {
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).UnixMicro()
	hours := func(h float64) int64 { return day + int64(h*3600e6) }
	open := uint64(77)
	load := func(view uint64) shared.Event {
		return shared.Event{Kind: shared.KindPageview, Origin: shared.OriginBeacon, ViewID: view}
	}
	view := shared.Event{Kind: shared.KindPageview, Origin: shared.OriginEdge, ViewID: open}
	keyed := shared.Event{Kind: shared.KindEvent, Origin: shared.OriginAPI, DedupeKey: "k"}
	activation := shared.Event{Kind: shared.KindCompletion, Name: shared.CompletionActivation, Origin: shared.OriginEdge, ViewID: open}
	requests := shared.Event{Kind: shared.KindCompletion, Name: shared.CompletionRequests, Origin: shared.OriginEdge, DedupeKey: "r"}
	for _, c := range []struct {
		what string
		e    shared.Event
		at   float64 // hours since the day began
		late bool
	}{
		{"a view of the day", view, 5, true},
		{"a view of the day before", view, -25.9, true},
		{"a view two days before", view, -26.1, false},
		{"a view soon after", view, 25.9, true},
		{"a view of the next day", view, 27, false},
		{"a key long before", keyed, -73.9, true},
		{"a key too long before", keyed, -74.1, false},
		{"a key of the next day", keyed, 27, false},
		{"a sum of requests long before", requests, -73.9, false},
		{"a load of an open view", load(open), 47.9, true},
		{"a load too late", load(open), 72.1, false},
		{"a load of another view", load(78), 47.9, false},
		{"a load of no view", load(0), 47.9, false},
		{"an activation", activation, 71, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			st, dir := openState(t, t.TempDir()), t.TempDir()
			cfg := Config{Dir: dir, State: st, CutAge: time.Hour, now: func() time.Time { return time.UnixMicro(hours(27)) }}
			l := openLake(t, cfg)
			tr := newTraffic(1, "a")
			mine := tr.take(20)
			for i := range mine {
				mine[i].ViewID, mine[i].Time = 0, hours(3)
			}
			mine[0].ViewID = open
			ingest(t, l, Batch{SpoolPos: 1, Events: mine})
			s, err := l.BeginSeal(t.Context(), sealedDay)
			if err != nil {
				t.Fatal(err)
			}
			made, err := deriveInto(s, []openView{{open}})
			if err != nil {
				t.Fatal(err)
			}
			row := func() Batch {
				e := tr.take(1)
				c.e.Time, c.e.Edge, c.e.Epoch, c.e.Seq, c.e.SiteID, c.e.Verdict = hours(c.at), e[0].Edge, e[0].Epoch, e[0].Seq, "a", shared.VerdictPerson
				return Batch{SpoolPos: l.Stats().Ingested + 1, Events: []shared.Event{c.e}}
			}
			want := int64(0)
			see := func(when string) {
				t.Helper()
				if c.late {
					want++
				}
				if n := late(t, l); n != want {
					t.Fatalf("%s: late %d, want %d", when, n, want)
				}
			}
			// While it is derived: one row is committed before the end, one after it.
			ingest(t, l, row())
			flush(t, l)
			if c.late {
				want++
			}
			ingest(t, l, row())
			d, err := s.Commit(t.Context(), made)
			if err != nil {
				t.Fatal(err)
			}
			see("while it was derived")
			if d.Late != want {
				t.Errorf("Commit says %d", d.Late)
			}
			flush(t, l)
			if n := late(t, l); n != want {
				t.Errorf("once the rows are committed: late %d, want %d", n, want)
			}
			// Afterwards: first in a micro-segment, then committed.
			seen := visible(l)
			ingest(t, l, row())
			eventually(t, "the row is queryable", func() bool { return visible(l) > seen })
			see("in a micro-segment")
			flush(t, l)
			if n := late(t, l); n != want {
				t.Errorf("committed: late %d, want %d", n, want)
			}
			l.kill()
			l = openLake(t, cfg)
			if n := late(t, l); n != want {
				t.Errorf("after a restart: late %d, want %d", n, want)
			}
			if d := seal(t, l, sealedDay); d.Late != 0 {
				t.Errorf("sealed again: late %d", d.Late)
			}
		})
	}
}

func TestReviseMakesDaysLate(t *testing.T) {
	st := openState(t, t.TempDir())
	l := openLake(t, Config{State: st, CutAge: time.Hour})
	const dayLong = 24 * 3600 * int64(1e6)
	tr := newTraffic(5, "a")
	events := tr.take(2000)
	for i := range events { // over four days
		events[i].Time += int64(i/500) * dayLong
		if i/500 != 1 && events[i].BotName == "GPTBot" {
			events[i].BotName = "Other"
		}
	}
	ingest(t, l, Batch{SpoolPos: 1, Events: events})
	flush(t, l)
	var keys []state.DayKey
	for _, date := range []string{"2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"} {
		keys = append(keys, state.DayKey{SiteID: "a", Date: date, Zone: "UTC"})
	}
	for _, k := range keys {
		if d := seal(t, l, k); d.Late != 0 || d.Rows != 500 {
			t.Fatalf("%+v", d)
		}
	}
	s := l.Snapshot()
	before := rowsOf(t, s)
	s.Release()
	done, err := l.Revise(t.Context(), Selection{}, false, renameGPTBot)
	if err != nil || done.Written != 1 || done.Changed == 0 {
		t.Fatalf("%+v %v", done, err)
	}
	s = l.Snapshot()
	defer s.Release()
	after := rowsOf(t, s)
	for key, was := range before {
		if !sameRecord(was.rest(), after[key].rest()) {
			t.Fatalf("%v was\n%v\nis\n%v", key, was, after[key])
		}
	}
	for i, k := range keys {
		d := dayNow(l, k)
		// The rows of the second day prove visitors of the third, and those around
		// midnight are of visits of the first; the fourth is further away.
		if wantLate := i == 1 || i == 2; (d.Late != 0) != wantLate && i != 0 || (len(d.Segments) == 0) != (i == 1) {
			t.Errorf("%s: late %d, segments %q", k.Date, d.Late, d.Segments)
		}
	}
	if d := seal(t, l, keys[1]); d.Late != 0 || len(d.Segments) != 1 || d.Rows != 500 {
		t.Errorf("sealed again: %+v", d)
	}
}

func TestCommitRefusesWhatIsNotTheDay(t *testing.T) {
	l := openLake(t, Config{CutAge: time.Hour})
	ingest(t, l, Batch{SpoolPos: 1, Events: newTraffic(3, "a").take(100)})
	begin := func() (*Sealing, Sealed) {
		t.Helper()
		s, err := l.BeginSeal(t.Context(), sealedDay)
		if err != nil {
			t.Fatal(err)
		}
		return s, derive(t, s)
	}
	rewrite := func(path string, change func([]row) []row) {
		t.Helper()
		var all []row
		if err := eachBlock(path, func(rows []row) error { all = append(all, rows...); return nil }); err != nil {
			t.Fatal(err)
		}
		if err := parquet.WriteFile(path, change(all)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what, want string
		change     func(*Sealing, *Sealed)
	}{
		{"a row less", "99 events", func(_ *Sealing, m *Sealed) {
			rewrite(m.Segments[0], func(r []row) []row { return r[1:] })
		}},
		{"a row twice, another not at all", "100 events that are not the 100", func(_ *Sealing, m *Sealed) {
			rewrite(m.Segments[0], func(r []row) []row { r[0] = r[1]; return r })
		}},
		{"a row at another time", "not the 100", func(_ *Sealing, m *Sealed) {
			rewrite(m.Segments[0], func(r []row) []row { r[0].Time++; return r })
		}},
		{"no segment", "0 events", func(_ *Sealing, m *Sealed) { m.Segments = nil }},
		{"a torn segment", "read sealed segment", func(_ *Sealing, m *Sealed) {
			if err := os.Truncate(m.Segments[0], 100); err != nil {
				t.Fatal(err)
			}
		}},
		{"a file of another kind", "not known", func(_ *Sealing, m *Sealed) { m.Derived["guesses"] = m.Derived[DerivedOpen] }},
		{"a file from elsewhere", "not in the directory", func(s *Sealing, m *Sealed) { m.Derived[DerivedOpen] = s.Own[0].Path }},
	} {
		s, made := begin()
		c.change(s, &made)
		if _, err := s.Commit(t.Context(), made); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
		if d := dayNow(l, sealedDay); d != nil || visible(l) != 100 {
			t.Fatalf("%s: %+v, %d rows", c.what, d, visible(l))
		}
		left, _ := filepath.Glob(filepath.Join(l.cfg.Dir, sealingDir, "*"))
		derived, _ := filepath.Glob(filepath.Join(l.cfg.Dir, "*/*/*/*.parquet"))
		if len(left) != 0 || len(derived) != 1 {
			t.Errorf("%s: files are left: %q %q", c.what, left, derived)
		}
	}

	s, made := begin()
	if _, err := l.BeginSeal(t.Context(), sealedDay); !errors.Is(err, ErrSealing) {
		t.Errorf("the same day twice at a time: %v", err)
	}
	if _, err := l.Revise(t.Context(), Selection{}, false, renameGPTBot); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), made); !errors.Is(err, ErrReplaced) {
		t.Errorf("its segments were judged anew: %v", err)
	}
	if derived, _ := filepath.Glob(filepath.Join(l.cfg.Dir, "*/*/*/*.parquet")); len(derived) != 1 {
		t.Errorf("files are left: %q", derived)
	}
	s, made = begin()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Commit(ctx, made); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := l.BeginSeal(t.Context(), state.DayKey{SiteID: "a", Date: "2026-11-21", Zone: "UTC"}); !errors.Is(err, ErrNothing) {
		t.Errorf("a day without events: %v", err)
	}
	if _, err := l.BeginSeal(t.Context(), state.DayKey{SiteID: "a", Date: "22.11.", Zone: "UTC"}); err == nil {
		t.Error("a date that is none")
	}
	if len(l.watched) != 0 {
		t.Errorf("%d sites are watched for nothing", len(l.watched))
	}
	if d := seal(t, l, sealedDay); d.Late != 0 {
		t.Errorf("%+v", d)
	}
}

// TestALostDerivedFileIsNoLoss: the day is sealed again, and nothing else.
func TestALostDerivedFileIsNoLoss(t *testing.T) {
	st, dir := openState(t, t.TempDir()), t.TempDir()
	l := openLake(t, Config{Dir: dir, State: st, CutAge: time.Hour})
	ingest(t, l, Batch{SpoolPos: 1, Events: newTraffic(3, "a").take(100)})
	d := seal(t, l, sealedDay)
	l.kill()
	if err := os.Remove(d.File(DerivedRollup)); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(dir, "visits", "site_id=a", "x.parquet")
	if err := errors.Join(os.MkdirAll(filepath.Dir(stray), 0o700), os.WriteFile(stray, nil, 0o600), os.MkdirAll(filepath.Join(dir, sealingDir, "y"), 0o700)); err != nil {
		t.Fatal(err)
	}
	l = openLake(t, Config{Dir: dir, State: st})
	if dayNow(l, sealedDay) != nil || visible(l) != 100 {
		t.Errorf("%+v, %d rows", dayNow(l, sealedDay), visible(l))
	}
	for _, path := range []string{d.File(DerivedOpen), stray, filepath.Join(dir, sealingDir)} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left", path)
		}
	}
	if d := seal(t, l, sealedDay); d.Late != 0 || d.Rows != 100 {
		t.Errorf("%+v", d)
	}
}

// TestErasureDropsWhatWasDerived: who was erased is not in any derived file
// either, nor in one that is being made.
func TestErasureDropsWhatWasDerived(t *testing.T) {
	st := openState(t, t.TempDir())
	l := openLake(t, Config{State: st, CutAge: time.Hour})
	tr := newTraffic(5, "a")
	events := tr.take(300)
	var keys []state.DayKey
	for i := range events { // a hundred a day: two next to each other, one far away
		days := []int64{0, 1, 4}[i/100]
		events[i].Time += days * 24 * 3600e6
		if i%100 == 0 {
			keys = append(keys, state.DayKey{SiteID: "a", Date: time.UnixMicro(events[i].Time).UTC().Format(time.DateOnly), Zone: "UTC"})
		}
		events[i].VisitorID = uint64(2 + i%2)
	}
	events[7].VisitorID = 1
	ingest(t, l, Batch{SpoolPos: 1, Events: events})
	var before []*Day
	for _, k := range keys {
		before = append(before, seal(t, l, k))
	}
	s, err := l.BeginSeal(t.Context(), keys[1])
	if err != nil {
		t.Fatal(err)
	}
	made := derive(t, s)
	ask := Erasing{
		Span: Span{SiteID: "a", To: 1 << 60}, ID: "e", AskedAt: time.Now().UnixMicro(), Gone: func(w *Who) bool { return w.VisitorID == 1 }, Dry: true,
	}
	if n, err := l.Erase(t.Context(), ask); err != nil || n != (state.Erasing{Events: 1, Rollups: 2}) || dayNow(l, keys[0]) == nil {
		t.Fatalf("a dry run: %+v %v", n, err)
	}
	ask.Dry = false
	n, err := l.Erase(t.Context(), ask)
	if err != nil || n != (state.Erasing{Events: 1, Rollups: 2}) {
		t.Fatalf("%+v %v", n, err)
	}
	if counted, err := st.Erasing("e"); err != nil || counted != n {
		t.Errorf("counted %+v %v", counted, err)
	}
	if _, err := s.Commit(t.Context(), made); !errors.Is(err, ErrReplaced) {
		t.Errorf("a day was sealed from what was erased: %v", err)
	}
	for i, d := range before {
		for _, f := range d.Derived {
			if _, err := os.Stat(f.Path); os.IsNotExist(err) != (i < 2) {
				t.Errorf("%s of day %d: %v", f.Path, i, err)
			}
		}
		if now := dayNow(l, keys[i]); (now == nil) != (i < 2) {
			t.Errorf("day %d: %+v", i, now)
		}
	}
	if d := seal(t, l, keys[0]); d.Late != 0 || d.Rows != 99 {
		t.Errorf("sealed again: %+v", d)
	}
	if d := seal(t, l, keys[1]); d.Late != 0 || d.Rows != 100 {
		t.Errorf("sealed again: %+v", d)
	}
}
