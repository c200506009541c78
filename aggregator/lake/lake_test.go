package lake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

func openState(t testing.TB, dir string) *state.State {
	t.Helper()
	s, err := state.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openLake(t testing.TB, cfg Config) *Lake {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.State == nil {
		cfg.State = openState(t, t.TempDir())
	}
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.kill)
	return l
}

// kill ends the lake's goroutine without committing anything, wherever it is.
func (l *Lake) kill() {
	l.stop()
	<-l.stopped
}

func ingest(t testing.TB, l *Lake, b Batch) {
	t.Helper()
	if err := l.Ingest(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func flush(t testing.TB, l *Lake) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for the writer's goroutine to have done something.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func rows(s *Snapshot) (n int64) {
	for _, f := range s.Files {
		n += f.Rows
	}
	return n
}

func visible(l *Lake) int64 {
	s := l.Snapshot()
	defer s.Release()
	return rows(s)
}

func TestEventsAreQueryableBeforeTheyAreCommitted(t *testing.T) {
	l := openLake(t, Config{CutAge: time.Hour})
	tr := newTraffic(1, "example")
	began := time.Now()
	ingest(t, l, Batch{SpoolPos: 1, Events: tr.take(50)})
	eventually(t, "50 events are queryable", func() bool { return visible(l) == 50 })
	if took := time.Since(began); took > 5*time.Second { // a second, on a machine that is not ours alone
		t.Errorf("queryable only after %s", took)
	}
	if s := l.Stats(); s.HotRows != 50 || s.Segments != 0 || s.SpoolThrough != 0 || s.OldestHot.IsZero() {
		t.Errorf("%+v", s)
	}
	s := l.Snapshot()
	defer s.Release()
	for _, f := range s.Files {
		if !f.Hot || f.SiteID != "example" || f.Date != "2026-11-22" || f.MinTime > f.MaxTime {
			t.Errorf("file %+v", f)
		}
	}
}

func TestACommitCarriesEverythingAtOnce(t *testing.T) {
	st := openState(t, t.TempDir())
	var trimmed atomic.Uint64
	l := openLake(t, Config{State: st, CutAge: time.Hour, Zone: func(string) string { return "Europe/Berlin" }, OnCommitted: trimmed.Store})
	tr := newTraffic(1, "example")
	edge := state.Edge{ID: tr.edge, Name: "edge", LastSeen: 1, Epoch: tr.epoch}
	mark := state.Mark{Edge: tr.edge, Epoch: tr.epoch, EpochFirst: 1, Expected: 31, Accepted: 30}
	lost := state.Incident{Edge: tr.edge, Reason: "ring_full", From: 10, To: 20, Count: 3}
	events := tr.take(30)
	ingest(t, l, Batch{SpoolPos: 3, Mark: mark, Edge: edge, Incidents: []state.Incident{lost}, Events: events})
	// A batch without events moves marks and position as well.
	mark.Expected, mark.Lost = 41, 10
	ingest(t, l, Batch{SpoolPos: 4, Mark: mark, Edge: edge})
	flush(t, l)

	m, err := st.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	marks, _ := st.Marks()
	edges, _ := st.Edges()
	incidents, _ := st.Incidents(0, 100)
	if m.SpoolThrough != 4 || len(m.Segments) != 1 || !slices.Equal(marks, []state.Mark{mark}) ||
		!slices.Equal(edges, []state.Edge{edge}) || !slices.Equal(incidents, []state.Incident{lost}) {
		t.Errorf("%+v, marks %+v, edges %+v, incidents %+v", m, marks, edges, incidents)
	}
	seg := m.Segments[0]
	if seg.Zone != "Europe/Berlin" || seg.Rows != 30 || seg.Schema != Schema || seg.MinTime != events[0].Time || seg.MaxTime != events[29].Time ||
		seg.Path != "events/site_id=example/date=2026-11-22/"+seg.ID+".parquet" {
		t.Errorf("%+v", seg)
	}
	eventually(t, "the spool is trimmed", func() bool { return trimmed.Load() == 4 })
}

func TestAPositionIsTakenOnce(t *testing.T) {
	st, dir := openState(t, t.TempDir()), t.TempDir()
	l := openLake(t, Config{Dir: dir, State: st})
	tr := newTraffic(1, "example")
	b := Batch{SpoolPos: 7, Events: tr.take(10)}
	ingest(t, l, b)
	ingest(t, l, b)
	flush(t, l)
	ingest(t, l, b)
	flush(t, l)
	if n := visible(l); n != 10 {
		t.Errorf("%d events", n)
	}
	l.kill()
	l = openLake(t, Config{Dir: dir, State: st})
	ingest(t, l, b) // replayed although it was committed
	ingest(t, l, Batch{SpoolPos: 8, Events: tr.take(1)})
	flush(t, l)
	if n := visible(l); n != 11 {
		t.Errorf("after reopening: %d events", n)
	}
}

func TestAnUnsafeSiteNeverReachesAPath(t *testing.T) {
	dir := t.TempDir()
	l := openLake(t, Config{Dir: dir})
	for _, site := range []string{"", "../x", "a/b", "Example", "a.b", "_other", "a'b", "a\x00", strings.Repeat("a", 64)} {
		e := bare()
		e.SiteID = site
		err := l.Ingest(context.Background(), Batch{SpoolPos: 1, Events: []shared.Event{bare(), e}})
		if err == nil {
			t.Errorf("site %q was taken", site)
		}
	}
	flush(t, l)
	if entries, _ := os.ReadDir(filepath.Join(dir, eventsDir)); len(entries) != 0 {
		t.Errorf("directories were made: %v", entries)
	}
}

func TestFilesStayWhileASnapshotHasThem(t *testing.T) {
	dir := t.TempDir()
	l := openLake(t, Config{Dir: dir, CutAge: time.Hour, HotDelay: time.Millisecond})
	tr := newTraffic(1, "example")
	ingest(t, l, Batch{SpoolPos: 1, Events: tr.take(10)})
	eventually(t, "events are queryable", func() bool { return visible(l) == 10 })
	hot, same := l.Snapshot(), l.Snapshot()
	flush(t, l)
	committed := l.Snapshot()
	defer committed.Release()
	if hot.Version >= committed.Version || !hot.Files[0].Hot || committed.Files[0].Hot {
		t.Fatalf("%+v, then %+v", hot, committed)
	}
	hot.Release()
	hot.Release() // twice is once
	if got := contents(t, same); len(got) != 10 {
		t.Errorf("an older snapshot shows %d events", len(got))
	}
	same.Release()
	if left, _ := os.ReadDir(filepath.Join(dir, hotDir)); len(left) != 0 {
		t.Errorf("micro-segments are left: %v", left)
	}
	if got := contents(t, committed); len(got) != 10 {
		t.Errorf("%d events", len(got))
	}
}

// However long it takes to the next cut, the micro-segments of a site are few.
func TestMicroSegmentsAreMerged(t *testing.T) {
	l := openLake(t, Config{CutAge: time.Hour, HotDelay: time.Microsecond})
	tr := newTraffic(1, "example")
	const n = 200
	for i := range n {
		ingest(t, l, Batch{SpoolPos: uint64(i + 1), Events: tr.take(1)})
		eventually(t, "the event is queryable", func() bool { return visible(l) == int64(i+1) })
	}
	s := l.Snapshot()
	defer s.Release()
	if files := len(s.Files); files > 3*microFanIn {
		t.Errorf("%d files for %d passes", files, n)
	}
	for k, times := range contents(t, s) {
		if times != 1 {
			t.Errorf("event %v is there %d times", k, times)
		}
	}
}

func TestADayIsTheSitesOwn(t *testing.T) {
	zones := map[string]string{"berlin": "Europe/Berlin", "utc": "", "apia": "Pacific/Apia", "nowhere": "Not/AZone"}
	st := openState(t, t.TempDir())
	l := openLake(t, Config{State: st, Zone: func(site string) string { return zones[site] }})
	at := time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC).UnixMicro()
	var events []shared.Event
	for _, site := range []string{"berlin", "utc", "apia", "nowhere"} {
		e := bare()
		e.SiteID, e.Time = site, at
		events = append(events, e)
	}
	ingest(t, l, Batch{SpoolPos: 1, Events: events})
	flush(t, l)
	m, err := st.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, seg := range m.Segments {
		got[seg.SiteID] = seg.Date + " " + seg.Zone
	}
	want := map[string]string{
		"berlin": "2026-11-22 Europe/Berlin", "utc": "2026-11-21 UTC", "apia": "2026-11-22 Pacific/Apia", "nowhere": "2026-11-21 UTC",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// The cached bounds of a day must never contradict the calendar, also where
// clocks change at midnight.
func TestBoundsOfADayAgreeWithTheCalendar(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Sao_Paulo", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe", "Atlantic/Azores"} {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			at := time.Date(2000, 1, 1, 0, 0, r.IntN(30*366*86400), 0, time.UTC).UnixMicro()
			d := dayOf(at, loc)
			from, to := d.bounds(loc)
			for _, near := range []int64{from, to - 1, from + (to-from)/2} {
				if got := dayOf(near, loc); from < to && got != d {
					t.Fatalf("%s: bounds of %s contain %s", name, d, got)
				}
			}
		}
	}
}

func TestOpenMakesTheFilesThoseOfTheManifest(t *testing.T) {
	st, dir := openState(t, t.TempDir()), t.TempDir()
	l := openLake(t, Config{Dir: dir, State: st, HotDelay: time.Millisecond, CutAge: time.Hour})
	tr := newTraffic(1, "example")
	ingest(t, l, Batch{SpoolPos: 1, Events: tr.take(10)})
	flush(t, l)
	ingest(t, l, Batch{SpoolPos: 2, Events: tr.take(10)})
	eventually(t, "events are queryable", func() bool { return visible(l) == 20 })
	s := l.Snapshot()
	listed := s.Files[0].Path
	s.Release()
	l.kill()
	for _, stray := range []string{"stray.parquet", "stray.parquet" + tmpSuffix} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(listed), stray), []byte("PAR1"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	l = openLake(t, Config{Dir: dir, State: st})
	if n := visible(l); n != 10 {
		t.Errorf("%d events, want those of the manifest", n)
	}
	l.kill()
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(listed), "*"))
	hot, _ := filepath.Glob(filepath.Join(dir, hotDir, "*"))
	if !slices.Equal(left, []string{listed}) || len(hot) != 0 {
		t.Errorf("left are %v and %v", left, hot)
	}

	refuse := func(what string) {
		t.Helper()
		if _, err := Open(Config{Dir: dir, State: st}); err == nil || !strings.Contains(err.Error(), listed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Truncate(listed, 100); err != nil {
		t.Fatal(err)
	}
	refuse("a segment that is cut")
	if err := os.Remove(listed); err != nil {
		t.Fatal(err)
	}
	refuse("a segment that is missing")
}

// A state that was lost must not make the lake remove every file as unlisted.
func TestANewStateBesideOldSegmentsIsRefused(t *testing.T) {
	dir := t.TempDir()
	l := openLake(t, Config{Dir: dir})
	ingest(t, l, Batch{SpoolPos: 1, Events: newTraffic(1, "example").take(10)})
	flush(t, l)
	l.kill()
	fresh := openState(t, t.TempDir())
	if err := fresh.PutSite(state.Site{ID: "example"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, State: fresh}); err == nil {
		t.Fatal("opened")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "events/*/*/*.parquet")); len(files) != 1 {
		t.Errorf("segments left: %v", files)
	}
}

func TestCloseCommitsAndEndsEverything(t *testing.T) {
	st := openState(t, t.TempDir())
	l := openLake(t, Config{State: st, CutAge: time.Hour, Logger: zaptest.NewLogger(t)})
	ingest(t, l, Batch{SpoolPos: 5, Events: newTraffic(1, "example").take(10)})
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if m, _ := st.Manifest(); m.SpoolThrough != 5 || len(m.Segments) != 1 {
		t.Errorf("%+v", m)
	}
	if err := l.Ingest(context.Background(), Batch{SpoolPos: 6}); !errors.Is(err, ErrClosed) {
		t.Errorf("ingest after close: %v", err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// A Close that runs out of time leaves the rest to the spool.
func TestCloseInATimeLimitLeavesTheRestToTheSpool(t *testing.T) {
	st := openState(t, t.TempDir())
	l := openLake(t, Config{State: refusing{st}, CutAge: time.Millisecond, RetryMin: time.Millisecond})
	ingest(t, l, Batch{SpoolPos: 5, Events: newTraffic(1, "example").take(10)})
	eventually(t, "a commit is refused", func() bool { return l.Stats().Err != nil })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, state.ErrNoSpace) {
		t.Fatalf("close: %v", err)
	}
	if m, _ := st.Manifest(); m.SpoolThrough != 0 || len(m.Segments) != 0 {
		t.Errorf("%+v", m)
	}
}

// refusing is a state whose volume is full for every commit with events.
type refusing struct{ *state.State }

func (s refusing) Commit(c state.Commit) error {
	if c.SpoolThrough != 0 {
		return state.ErrNoSpace
	}
	return s.State.Commit(c)
}
