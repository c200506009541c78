package lake

import (
	"fmt"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// TestMoreDaysAreLateThanOneTransactionTakes: an import of months comes in one
// commit of the lake.
func TestMoreDaysAreLateThanOneTransactionTakes(t *testing.T) {
	st, dir := openState(t, t.TempDir()), t.TempDir()
	const n = state.MaxDays + 7
	first := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	var days []state.Day
	for i := range n {
		from := first.AddDate(0, 0, i)
		days = append(days, state.Day{
			SiteID: "a", Date: from.Format(time.DateOnly), Zone: "UTC", From: from.UnixMicro(), To: from.AddDate(0, 0, 1).UnixMicro(),
		})
	}
	for at := 0; at < n; at += 500 {
		if err := st.Commit(state.Commit{Days: days[at:min(at+500, n)]}); err != nil {
			t.Fatal(err)
		}
	}
	l := openLake(t, Config{Dir: dir, State: st, CutAge: time.Hour})
	tr := newTraffic(1, "a")
	events := tr.take(n)
	for i := range events {
		events[i].Time = days[i].From + 12*3600e6
	}
	ingest(t, l, Batch{SpoolPos: 1, Events: events})
	check := func() {
		t.Helper()
		s := l.Snapshot()
		defer s.Release()
		for i, d := range s.SiteDays("a") {
			// Its own row, and the one of the day before.
			if want := min(int64(i)+1, 2); d.Late != want || d.Date != days[i].Date {
				t.Fatalf("%s: late %d, want %d", d.Date, d.Late, want)
			}
		}
		if len(s.Days) != n || len(s.SiteDays("b")) != 0 {
			t.Fatalf("%d days", len(s.Days))
		}
	}
	eventually(t, "all is queryable", func() bool { return visible(l) == n })
	check()
	flush(t, l)
	check()
	l.kill()
	l = openLake(t, Config{Dir: dir, State: st})
	check()
}

// TestOpenViewsAreBounded: what there is no room for counts as open.
func TestOpenViewsAreBounded(t *testing.T) {
	l := openLake(t, Config{})
	now := time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC)
	midnight := now.Add(-5 * time.Hour).UnixMicro()
	many := make([]uint64, maxOpen-1)
	for i := range many {
		many[i] = uint64(i + 1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var days []*watchedDay
	for i, open := range [][]uint64{many, {1}, {1}} {
		k := state.DayKey{SiteID: fmt.Sprint(i), Date: "2026-11-22", Zone: "UTC"}
		d := l.watchDay(k, midnight-oneDay, midnight)
		d.sealed = true
		l.setOpen(d, open, now)
		days = append(days, d)
	}
	lateBy := func(i int, view uint64) int64 {
		g := newGeneration()
		l.watched[days[i].key.SiteID].note(g, &shared.Event{
			Time: midnight + 5*oneHour, Kind: shared.KindPageview, Origin: shared.OriginBeacon, ViewID: view,
		}, 1)
		return g.lateFor(days[i].key).total()
	}
	for _, c := range []struct {
		day  int
		view uint64
		want int64
	}{{0, 5, 1}, {0, 1 << 40, 0}, {1, 1, 1}, {1, 2, 0}, {2, 1, 1}, {2, 2, 1}} {
		if got := lateBy(c.day, c.view); got != c.want {
			t.Errorf("day %d, view %d: %d, want %d", c.day, c.view, got, c.want)
		}
	}
	l.forgetOpen(now.Add(50 * time.Hour))
	if l.openIDs != 0 || lateBy(0, 1<<40) != 1 {
		t.Errorf("%d ids are held of days that are long over", l.openIDs)
	}
	s := &Sealing{l: l}
	for i := range uint64(maxPending + 3) {
		s.noteLoad(i, 1)
	}
	if len(s.loads) != maxPending || s.more != 3 {
		t.Errorf("%d loads are held, %d are counted", len(s.loads), s.more)
	}
}
