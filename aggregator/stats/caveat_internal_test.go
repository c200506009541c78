package stats

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestEventsOfSomebody: custom events without a visitor id are of somebody, with
// and without page views beside them, and every answer that says so says why.
func TestEventsOfSomebody(t *testing.T) {
	at := time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	e, files := realLake(t, []shared.Event{{
		SiteID: testSite, Edge: shared.EdgeID{1}, Epoch: 1, Seq: 1, Time: at.UnixMicro(), Kind: shared.KindEvent, Name: "signup",
		Origin: shared.OriginAPI, Verdict: shared.VerdictLikely, Browser: "Chrome",
	}}, 1)
	day := Date{2026, time.November, 22}
	q := Query{SiteID: testSite, Range: newRange(time.UTC, day, day), Interval: Hour, Limit: 10}
	for _, filters := range []string{"", "browsers==Chrome"} {
		var err error
		if q.Filter, err = parseFilters(filters); err != nil {
			t.Fatal(err)
		}
		m, err := e.Main(t.Context(), files, q)
		expectJSON(t, "main "+filters, m, err, `"visitors":null,"pageviews":0,"visits":null`)
	}
	q.Filter, _ = parseFilters("browsers==Firefox")
	m, err := e.Main(t.Context(), files, q)
	if m.Visitors != 0 || m.Visits != 0 || m.Meta != nil || err != nil {
		t.Errorf("of no events: %+v, %v", m, err)
	}
	q.Filter, q.Range = nil, newRange(time.UTC, day.add(0, 0, 1), day.add(0, 0, 1))
	compared := newRange(time.UTC, day, day)
	q.Compare = &compared
	m, err = e.Main(t.Context(), files, q)
	expectJSON(t, "compared", m, err, `"comparison":{"visitors":null,"pageviews":0,"visits":null`)
	q.Range, q.Compare = RealtimeRange(time.UTC, at), nil
	now, err := e.Realtime(t.Context(), files, q)
	expectJSON(t, "realtime", now, err, `"current_visitors":null,"pageviews":0`)
}

func expectJSON(t *testing.T, name string, v any, err error, want string) {
	t.Helper()
	body, _ := json.Marshal(v)
	if err != nil || !strings.Contains(string(body), want) || !strings.Contains(string(body), ReasonNoIdentity) {
		t.Errorf("%s: %s, %v, want %s because of %s", name, body, err, want, ReasonNoIdentity)
	}
}

// TestDimensionsAreNamedOnce: who filters twenty times on one property gets a
// header of the usual length.
func TestDimensionsAreNamedOnce(t *testing.T) {
	d, err := ParseDimension("filters", "prop:plan")
	if err != nil {
		t.Fatal(err)
	}
	of := func(d *Dimension) *Filter { return &Filter{comparison: &comparison{dimension: d}} }
	q := Query{Filter: &Filter{join: and, of: []*Filter{of(d), of(pages), of(d)}}}
	c := q.caution(q.Range)
	c.asks(pages)
	if got := strings.Join(c.asked, " "); got != "prop:plan pages" {
		t.Errorf("asked are %q", got)
	}
}
