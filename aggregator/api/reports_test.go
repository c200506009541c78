package api_test

import (
	"context"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/shared"
)

// shop is what happens on quiet.org on one day: few enough rows to count by hand.
func (i *instance) shop(t *testing.T) {
	t.Helper()
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	ok := shared.Some[int64](200)
	pro := []shared.Prop{{Key: "plan", Value: "pro", Type: shared.PropString}, {Key: "seats", Value: "3", Type: shared.PropNumber}}
	free := []shared.Prop{{Key: "plan", Value: "free", Type: shared.PropString}}
	hosted := func(n, id string) []shared.Prop {
		return []shared.Prop{{Key: "subscribers", Value: n, Type: shared.PropNumber}, {Key: "feed_id", Value: id, Type: shared.PropString}}
	}
	gpt := shared.Event{Verdict: shared.VerdictBot, VerdictReason: "known_bot", BotName: "GPTBot", BotOperator: "OpenAI", BotCategory: "ai", AIPurpose: "training", Verified: shared.Some(true)}
	crawls := func(kind shared.Kind, path string, status, bytes, ttfb int64) shared.Event {
		e := gpt
		e.Kind, e.Pathname, e.Status, e.BytesSent, e.TTFBUS = kind, path, shared.Some(status), shared.Some(bytes), shared.Some(ttfb)
		return e
	}
	var events []shared.Event
	for n, e := range []shared.Event{
		{Kind: shared.KindPageview, VisitorID: 1, Pathname: "/", Source: "Google", Status: ok, BytesSent: shared.Some[int64](1000), TTFBUS: shared.Some[int64](100_000), CacheStatus: "hit"},
		{Kind: shared.KindPageview, VisitorID: 1, Pathname: "/pricing", Status: ok, BytesSent: shared.Some[int64](500), TTFBUS: shared.Some[int64](300_000), CacheStatus: "miss"},
		{Kind: shared.KindEvent, Name: "buy", VisitorID: 1, Pathname: "/pricing", Props: pro, RevenueAmount: shared.Some[int64](100_000), RevenueCurrency: "EUR"},
		{Kind: shared.KindPageview, VisitorID: 2, Pathname: "/", Status: ok, BytesSent: shared.Some[int64](1000), TTFBUS: shared.Some[int64](200_000)},
		{Kind: shared.KindEvent, Name: "buy", VisitorID: 2, Pathname: "/", Props: free, RevenueAmount: shared.Some[int64](50_000), RevenueCurrency: "USD"},
		{Kind: shared.KindEvent, Name: "buy", VisitorID: 2, Pathname: "/", Props: pro, RevenueAmount: shared.Some[int64](200_000), RevenueCurrency: "EUR"},
		{Kind: shared.KindError, Status: shared.Some[int64](404), VisitorID: 1, Pathname: "/old", ReferrerDomain: "other.example", ReferrerPath: "/links"},
		{Kind: shared.KindError, Status: shared.Some[int64](404), VisitorID: 2, Pathname: "/old"},
		{Kind: shared.KindError, Status: shared.Some[int64](404), VisitorID: 2, Pathname: "/gone", ReferrerDomain: "quiet.org", ReferrerPath: "/blog"},
		{Kind: shared.KindDownload, Status: ok, VisitorID: 1, Hostname: "quiet.org", Pathname: "/guide.pdf", BytesSent: shared.Some[int64](9000), ReferrerDomain: "other.example"},
		{Kind: shared.KindDownload, Status: ok, VisitorID: 3, Hostname: "quiet.org", Pathname: "/guide.pdf", BytesSent: shared.Some[int64](9000), ReferrerDomain: "quiet.org"},
		{Kind: shared.KindFeed, Status: ok, VisitorID: 5, Pathname: "/feed.xml"},
		{Kind: shared.KindFeed, Status: ok, Verdict: shared.VerdictBot, BotName: "Feedly", BotCategory: "feed", Pathname: "/feed.xml", Props: hosted("100", "7")},
		{Kind: shared.KindFeed, Status: ok, Verdict: shared.VerdictBot, BotName: "Feedly", BotCategory: "feed", Pathname: "/feed.xml", Props: hosted("120", "7")},
		{Kind: shared.KindFeed, Status: ok, Verdict: shared.VerdictBot, BotName: "Feedbin", BotCategory: "feed", Pathname: "/feed.xml", Props: hosted("30", "7")},
		crawls(shared.KindPageview, "/", 200, 700, 50_000),
		crawls(shared.KindRequest, "/robots.txt", 200, 20, 10_000),
		crawls(shared.KindError, "/x", 404, 100, 30_000),
		{Kind: shared.KindError, Status: shared.Some[int64](404), Verdict: shared.VerdictBot, VerdictReason: "probe", Pathname: "/.env"},
	} {
		i.seq++
		e.SiteID, e.Origin, e.Edge, e.Epoch, e.Seq = "quiet-org", shared.OriginEdge, shared.EdgeID{1}, 1, i.seq
		e.Time = at.Add(time.Duration(n) * time.Second).UnixMicro()
		e.ReceivedAt = e.Time
		events = append(events, e)
	}
	if err := i.lake.Ingest(context.Background(), lake.Batch{SpoolPos: i.seq, Events: events}); err != nil {
		t.Fatal(err)
	}
	if err := i.lake.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestReports pins the answers about the shop.
func TestReports(t *testing.T) {
	i := start(t)
	i.shop(t)
	golden(t, "report-goals-none", i.get("/api/stats/goals?site_id=quiet.org&period=7d"))
	for _, goal := range []string{`{"name":"Bought pro","event":"buy","props":{"plan":"pro"}}`, `{"name":"Never","page":"/never"}`, `{"name":"Priced","page":"/pric*"}`} {
		if w := i.post("/api/goals?site_id=quiet.org", goal); w.Code != 201 {
			t.Fatal(w.Body)
		}
	}
	for name, path := range map[string]string{
		"main":                   "main",
		"timeseries":             "timeseries?start_date=2026-11-19&end_date=2026-11-20&interval=day&metrics=visits,bounce_rate,bytes,total_revenue",
		"timeseries-wrong":       "timeseries?metrics=shoes",
		"breakdown":              "breakdown/sources?metrics=visits,requests,transactions",
		"breakdown-events":       "breakdown/events?metrics=paying_visitors",
		"goals":                  "goals",
		"properties":             "properties",
		"property-values":        "property-values?key=plan&event=buy",
		"property-values-no-key": "property-values",
		"revenue":                "revenue",
		"bots":                   "bots",
		"crawlers":               "crawlers",
		"not-found":              "not-found",
		"downloads":              "downloads",
		"hotlinks":               "hotlinks",
		"feeds":                  "feeds",
		"feeds-of-a-later-day":   "feeds?start_date=2026-11-21&end_date=2026-11-21",
		"delivery":               "delivery",
		"bots-of-a-source":       "bots?filters=sources%3D%3DGoogle",
		"bots-filtered":          "bots?filters=%5B%5B%22contains%22%2C%22event%3Apage%22%2C%5B%22env%22%5D%5D%5D",
		"nothing":                "delivery?start_date=2026-01-01&end_date=2026-01-02",
	} {
		t.Run(name, func(t *testing.T) {
			sign := "?"
			for _, c := range path {
				if c == '?' {
					sign = "&"
				}
			}
			golden(t, "report-"+name, i.get("/api/stats/"+path+sign+"site_id=quiet.org"))
		})
	}
}
