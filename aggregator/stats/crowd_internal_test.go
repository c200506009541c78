package stats

import (
	"syscall"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestManyRowsOfOneVisitor: questions about visits take time by the number of
// rows, also where all of them are one visitor's, or nobody's.
func TestManyRowsOfOneVisitor(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const rows = 200_000
	day := Date{2026, time.November, 22}
	for _, c := range []struct {
		name    string
		visitor uint64
		want    Totals
	}{
		{"nobody", 0, Totals{Visitors: Unknowable, Visits: Unknowable, Pageviews: rows}},
		{"one", 7, Totals{Visitors: 1, Visits: 1, Pageviews: rows}},
	} {
		g := newGrowingLake(t)
		events := make([]shared.Event, 0, 4096)
		for i := range rows {
			at := day.start(time.UTC) + int64(i)*dayMicros/rows
			events = append(events, shared.Event{
				SiteID: testSite, Edge: shared.EdgeID{1}, Epoch: 1, Seq: uint64(i + 1), Time: at, ReceivedAt: at, Kind: shared.KindPageview,
				Origin: shared.OriginEdge, Verdict: shared.VerdictLikely, VisitorID: c.visitor, Pathname: "/",
			})
			if len(events) == cap(events) || i == rows-1 {
				g.take(events, i == rows-1)
				events = events[:0]
			}
		}
		files := g.files()
		began := processorTime(t)
		q := Query{SiteID: testSite, Range: newRange(time.UTC, day, day), Interval: Hour, Limit: 10}
		m, err := g.Main(t.Context(), files, q)
		if err != nil || m.Visitors != c.want.Visitors || m.Visits != c.want.Visits || m.Pageviews != c.want.Pageviews {
			t.Errorf("%s: %+v, %v, want %+v", c.name, m.Totals, err, c.want)
		}
		// It is some tenths of a second where it goes by the rows, and ten where it
		// goes by their square.
		if took := processorTime(t) - began; took > 5*time.Second {
			t.Errorf("%s: %s of processor time for %d rows", c.name, took, rows)
		}
	}
}

// processorTime is that of this process so far.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
