package stats

import (
	"reflect"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestTablesOfOtherRows: what is no pageview has tables of its own, which count
// rows; each row below is counted by hand.
func TestTablesOfOtherRows(t *testing.T) {
	day := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	plan := func(v string) []shared.Prop { return []shared.Prop{{Key: "plan", Value: v, Type: shared.PropString}} }
	ok, gone, moved := shared.Some[int64](200), shared.Some[int64](404), shared.Some[int64](410)
	person, bot := shared.VerdictLikely, shared.VerdictBot
	events := []shared.Event{
		{Kind: shared.KindPageview, VisitorID: 1, Verdict: person, Pathname: "/", Status: ok, Method: "GET", Source: "Google", Tag: "a"},
		{Kind: shared.KindPageview, VisitorID: 2, Verdict: person, Pathname: "/", Status: ok, Method: "GET", Props: plan("pro")},
		{Kind: shared.KindEvent, VisitorID: 1, Verdict: person, Name: "signup", Props: plan("pro")},
		{Kind: shared.KindEvent, VisitorID: 1, Verdict: person, Name: "signup", Props: plan("free")},
		{Kind: shared.KindEvent, VisitorID: 2, Verdict: person, Name: "login"},
		{Kind: shared.KindError, VisitorID: 1, Verdict: person, Pathname: "/x", Status: gone, Method: "GET"},
		{Kind: shared.KindError, VisitorID: 2, Verdict: person, Pathname: "/x", Status: gone, Method: "GET"},
		{Kind: shared.KindError, VisitorID: 2, Verdict: person, Pathname: "/y", Status: moved, Method: "GET"},
		{Kind: shared.KindError, VisitorID: 9, Verdict: bot, Pathname: "/wp-login.php", Status: gone, Method: "GET", BotName: "Scanner"},
		{Kind: shared.KindDownload, VisitorID: 2, Verdict: person, Pathname: "/a.pdf", Status: ok, Method: "GET"},
		{Kind: shared.KindPageview, VisitorID: 8, Verdict: bot, Pathname: "/", Status: ok, Method: "GET", BotName: "GPTBot", BotOperator: "OpenAI", AIPurpose: "training"},
		{Kind: shared.KindRequest, VisitorID: 8, Verdict: bot, Pathname: "/robots.txt", Status: ok, Method: "GET", BotName: "GPTBot", BotOperator: "OpenAI", AIPurpose: "training"},
		{Kind: shared.KindPageview, VisitorID: 7, Verdict: bot, VerdictReason: "headers", Pathname: "/", Status: ok, Method: "GET"},
	}
	for i := range events {
		e := &events[i]
		e.SiteID, e.Edge, e.Epoch, e.Seq, e.Origin = testSite, shared.EdgeID{1}, 1, uint64(i+1), shared.OriginEdge
		e.Time = day.Add(time.Duration(i) * time.Second).UnixMicro()
	}
	e, files := realLake(t, events, 5)
	today := newRange(time.UTC, Date{2026, 11, 22}, Date{2026, 11, 22})
	for _, c := range []struct {
		table, filters string
		want           []Row
	}{
		{"events", "", []Row{{"signup", 1, 0, 2}, {"login", 1, 0, 1}}},
		{"events", "sources==Google", []Row{{"signup", 1, 0, 2}}},
		{"tags", "", []Row{{Unknown, 2, 1, 0}, {"a", 1, 1, 0}}},
		{"statuses", "", []Row{{"200", 2, 2, 3}, {"404", 2, 0, 2}, {"410", 1, 0, 1}}},
		{"methods", "", []Row{{"GET", 2, 2, 6}}},
		{"downloads", "", []Row{{"/a.pdf", 1, 0, 1}}},
		{"not-found", "", []Row{{"/x", 2, 0, 2}}},
		{"bots", "", []Row{{"GPTBot", 1, 1, 2}, {"headers", 1, 1, 1}, {"Scanner", 1, 0, 1}}},
		{"crawlers", "", []Row{{"OpenAI", 1, 1, 2}}},
		{"prop:plan", "", []Row{{"pro", 2, 1, 0}, {Unknown, 2, 1, 0}, {"free", 1, 0, 0}}},
		{"pages", "prop:plan==pro", []Row{{"/", 1, 1, 0}}},
		{"prop:it's); --", "", []Row{{Unknown, 2, 2, 0}}},
	} {
		d, err := ParseDimension("breakdown", c.table)
		if err != nil {
			t.Fatal(err)
		}
		filter, err := parseFilters(c.filters)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Breakdown(t.Context(), files, Query{SiteID: testSite, Range: today, Filter: filter, Limit: 10}, d)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %q: %+v, %v, want %+v", c.table, c.filters, got, err, c.want)
		}
	}
	d, _ := ParseDimension("", "not-found")
	filter, _ := parseFilters("sources==Google")
	if _, err := e.Breakdown(t.Context(), files, Query{SiteID: testSite, Range: today, Filter: filter, Limit: 10}, d); err == nil {
		t.Error("errors were filtered by the source of their visits, which they have none of")
	}
	for _, text := range []string{"bots==GPTBot", "prop:==x", "prop:\xff==x"} {
		if _, err := parseFilters(text); err == nil {
			t.Errorf("filter %q is taken", text)
		}
	}
}
