package stats_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// TestFewRowsManyVisitors: a page that few rows made first is found, although
// many pages have more rows.
func TestFewRowsManyVisitors(t *testing.T) {
	at := time.Date(2026, 3, 10, 10, 0, 0, 0, time.UTC)
	var rows []row
	view := func(page string, visitor uint64) {
		rows = append(rows, row{SiteID: site, Seq: uint64(len(rows)), Time: at, Kind: "pageview", Pathname: some(page), VisitorID: &visitor})
	}
	for page := range 40 { // three views by one visitor each
		for range 3 {
			view(fmt.Sprintf("/often/%d", page), uint64(page+1))
		}
	}
	view("/by-two", 1)
	view("/by-two", 2)
	dir := t.TempDir()
	e := open(t, dir)
	files := []lake.File{write(t, dir, "events.parquet", rows)}
	pages, err := stats.ParseDimension("", "pages")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		limit, offset string
		want          []stats.Row
	}{
		{"1", "0", []stats.Row{{Value: "/by-two", Visitors: 2, Pageviews: 2}}},
		{"2", "0", []stats.Row{{Value: "/by-two", Visitors: 2, Pageviews: 2}, {Value: "/often/0", Visitors: 1, Pageviews: 3}}},
		{"1", "1", []stats.Row{{Value: "/often/0", Visitors: 1, Pageviews: 3}}},
	} {
		q, err := stats.Parse(stats.Site{ID: site, Zone: time.UTC}, url.Values{
			"start_date": {"2026-03-10"}, "end_date": {"2026-03-10"}, "limit": {c.limit}, "offset": {c.offset},
		}, at)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Breakdown(t.Context(), files, q, pages)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("limit %s offset %s: %+v, %v, want %+v", c.limit, c.offset, got, err, c.want)
		}
	}
}
