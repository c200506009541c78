package stats

import (
	"slices"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// TestPlanAfterAnotherZone: files of days of another zone lie in two days of
// ours, and what touches them is counted from events.
func TestPlanAfterAnotherZone(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	file := func(zone, date, from, to string) lake.File {
		at := func(text string) int64 {
			v, err := time.Parse(time.RFC3339, text)
			if err != nil {
				t.Fatal(err)
			}
			return v.UnixMicro()
		}
		return lake.File{SiteID: testSite, Date: date, Zone: zone, MinTime: at(from), MaxTime: at(to), Rows: 10}
	}
	files := []lake.File{
		file("UTC", "2026-01-01", "2026-01-01T02:00:00Z", "2026-01-01T15:00:00Z"), // 31 December and 1 January
		file("UTC", "2026-01-02", "2026-01-02T12:00:00Z", "2026-01-02T12:00:00Z"),
	}
	q := Query{SiteID: testSite, site: Site{Zone: zone}}
	for day := 3; day < 20; day++ {
		date := Date{2026, time.January, day}
		from := date.start(zone)
		files = append(files, lake.File{SiteID: testSite, Date: date.String(), Zone: zone.String(), MinTime: from, MaxTime: from + 3600e6, Rows: 10})
		q.site.Days = append(q.site.Days, &lake.Day{
			DayKey: state.DayKey{SiteID: testSite, Date: date.String(), Zone: zone.String()}, Rules: SealRules, Rows: 10,
			Derived: []lake.DerivedFile{{Kind: lake.DerivedRollup, Path: date.String()}},
		})
	}
	p := q.plan(files, newRange(zone, Date{2025, time.December, 31}, Date{2026, time.January, 31}))
	if len(p.others) != 1 || p.others[0].First.String() != "2025-12-31" || p.others[0].Last.String() != "2026-01-03" {
		t.Errorf("counted from events: %+v", p.others)
	}
	if len(p.rollups) != 16 || !slices.Contains(p.rollups, "2026-01-04") || slices.Contains(p.rollups, "2026-01-03") {
		t.Errorf("rolled up: %q", p.rollups)
	}
}

// TestGoalOfAPageThatWasFetchedAhead: once it is seen it is a page like any other.
func TestGoalOfAPageThatWasFetchedAhead(t *testing.T) {
	at := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC).UnixMicro()
	event := func(seq uint64, name string, after int64) shared.Event {
		return shared.Event{
			SiteID: testSite, Edge: shared.EdgeID{1}, Epoch: 1, Seq: seq, Time: at + after, Kind: shared.KindCompletion, Name: name,
			Origin: shared.OriginEdge, VisitorID: 5, ViewID: 7, Pathname: "/pricing", Verdict: shared.VerdictLikely,
		}
	}
	e, files := realLake(t, []shared.Event{event(1, shared.CompletionPrefetch, 0), event(2, shared.CompletionActivation, 1e6)}, 2)
	day := Date{2026, time.November, 22}
	site := Site{ID: testSite, Zone: time.UTC, Goals: []Goal{{Name: "Prices", Page: "/pricing"}}}
	filter, err := site.parseFilters(`[["is","event:goal",["Prices"]]]`)
	if err != nil {
		t.Fatal(err)
	}
	q := Query{SiteID: testSite, Range: newRange(time.UTC, day, day), Limit: 1, Filter: filter, Metrics: named("visitors", "pageviews"), site: site}
	a, err := e.Ask(t.Context(), files, q)
	if err != nil || len(a.Results) != 1 || *a.Results[0].Metrics[0] != 1 || *a.Results[0].Metrics[1] != 1 {
		t.Errorf("%+v, %v", a, err)
	}
}
