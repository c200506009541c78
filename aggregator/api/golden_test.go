package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/eider-analytics/eider/aggregator/api"
	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/sqlbox"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/shared"
)

var update = flag.Bool("update", false, "write the answers into testdata/golden")

// now is when the tests ask: a Sunday afternoon in Berlin.
var now = time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC)

const siteID = "example-com"

// instance is the API over a real lake.
type instance struct {
	*api.Server
	lake   *lake.Lake
	db     *duck.DB
	keys   *auth.Keys
	config api.Config
	seq    uint64
}

const ownerToken = "battery staple"

// ledger is the accounting of two edges, of which one lost something.
type ledger struct{ *state.State }

func (ledger) Edges() []receive.EdgeHealth {
	shop := receive.EdgeHealth{LagMS: 40, Accepted: 90, Rejected: 2, Lost: 3}
	shop.ID, shop.Name, shop.Version, shop.Epoch, shop.SkewMS = shared.EdgeID{1}, "shop", "1.0.0", 0xabc, -12
	shop.LastSeen = now.UnixMicro()
	shop.Counters = shared.Counters{Captured: 110, Queued: 100}
	shop.Counters.Dropped[shared.DropRing].Count = 7
	blog := receive.EdgeHealth{LagMS: 3_600_000}
	blog.ID, blog.Name, blog.Version, blog.Epoch = shared.EdgeID{2}, "blog", "1.0.0", 0xdef
	return []receive.EdgeHealth{shop, blog}
}

func start(t *testing.T) *instance {
	t.Helper()
	dir := t.TempDir()
	st, err := state.Open(filepath.Join(dir, "state"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	for _, s := range []state.Site{
		{ID: siteID, UUID: "0d2f4c1e-7a54-4b5e-9c53-1f1e8a6f9a01", Domains: []string{"example.com"}, Name: "example.com", Zone: "Europe/Berlin"},
		{ID: "quiet-org", UUID: "6f4f4a57-43f7-4a0b-8a52-5f0d8c3b9b02", Domains: []string{"quiet.org"}, Name: "quiet.org", Zone: "UTC"},
	} {
		if err := st.PutSite(s); err != nil {
			t.Fatal(err)
		}
	}
	lost := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	err = st.Commit(state.Commit{Incidents: []state.Incident{{
		Edge: shared.EdgeID{1}, Reason: "ring_full", From: lost.UnixMicro(), To: lost.Add(time.Minute).UnixMicro(), Count: 7,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	registry, err := sites.Open(st, "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(lake.Config{Dir: filepath.Join(dir, "lake"), State: st, Zone: registry.Zone, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	db, err := duck.Open(duck.Config{Lake: filepath.Join(dir, "lake"), Temp: filepath.Join(dir, "tmp")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keys, err := auth.Open(st, registry)
	if err != nil {
		t.Fatal(err)
	}
	keys.Trust("owner", ownerToken, auth.ScopeAdmin)
	unknown := []shared.UnknownHost{{Host: "blog.example", Requests: 12, LastSeen: now.UnixMicro()}}
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	engine := stats.NewEngine(db)
	files := func() ([]lake.File, func()) {
		snap := l.Snapshot()
		return snap.Files, snap.Release
	}
	config := api.Config{
		SQL:    sqlbox.New(sqlbox.Config{Engine: engine, Snapshot: files, Temp: filepath.Join(dir, "sql")}),
		Engine: engine, Sites: registry, Registry: registry, Keys: keys,
		Unknown: func() []shared.UnknownHost { return unknown }, Loopback: true, Books: ledger{st}, Snapshot: l.Snapshot,
		Edges: teapot, Ops: teapot, Dashboard: teapot, Hosts: []string{"stats.example.com"},
		Now: func() time.Time { return now }, Logger: zaptest.NewLogger(t),
	}
	return &instance{lake: l, db: db, keys: keys, config: config, Server: api.New(config)}
}

// visit adds the pageviews of one visit, a minute apart.
func (i *instance) visit(t *testing.T, at string, like shared.Event, paths ...string) {
	t.Helper()
	begin, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	var events []shared.Event
	for n, path := range paths {
		i.seq++
		e := like
		e.SiteID, e.Kind, e.Origin, e.Pathname = siteID, shared.KindPageview, shared.OriginEdge, path
		e.Edge, e.Epoch, e.Seq = shared.EdgeID{1}, 1, i.seq
		e.Time = begin.Add(time.Duration(n) * time.Minute).UnixMicro()
		e.ReceivedAt = e.Time
		if n > 0 {
			e.Source = ""
		}
		events = append(events, e)
	}
	if err := i.lake.Ingest(context.Background(), lake.Batch{SpoolPos: i.seq, Events: events}); err != nil {
		t.Fatal(err)
	}
}

// story is what happens on example.com: 15 pageviews of six visitors in a week.
func (i *instance) story(t *testing.T) {
	t.Helper()
	chrome := shared.Event{VisitorID: 1, Browser: "Chrome", OS: "Windows", DeviceType: "desktop", CountryCode: "DE", Source: "Google"}
	safari := shared.Event{VisitorID: 2, Browser: "Safari", OS: "iOS", DeviceType: "mobile", CountryCode: "US"}
	firefox := shared.Event{VisitorID: 3, Browser: "Firefox", OS: "Linux", DeviceType: "desktop", CountryCode: "FR", Source: "Hacker News"}
	nobody := shared.Event{Source: "Google"}
	bot := shared.Event{VisitorID: 9, Verdict: shared.VerdictBot, BotName: "GPTBot"}
	i.visit(t, "2026-11-10T09:00:00Z", chrome, "/", "/pricing")
	i.visit(t, "2026-11-16T09:00:00Z", chrome, "/", "/pricing", "/docs")
	i.visit(t, "2026-11-18T20:00:00Z", safari, "/blog/eiders")
	firefox.VisitorID = 4
	i.visit(t, "2026-11-21T23:30:00Z", firefox, "/", "/docs")
	chrome.VisitorID = 5
	i.visit(t, "2026-11-22T08:00:00Z", chrome, "/", "/docs", "/docs/install")
	i.visit(t, "2026-11-22T08:30:00Z", nobody, "/")
	i.visit(t, "2026-11-22T14:26:10Z", safari, "/blog/eiders", "/")
	firefox.VisitorID = 6
	i.visit(t, "2026-11-22T14:29:30Z", firefox, "/blog/eiders")
	i.visit(t, "2026-11-22T14:29:40Z", bot, "/blog/eiders")
	i.traffic(t)
	i.requests(t, map[shared.Result]int{
		shared.ResultPageview: 13, shared.ResultBot: 1, shared.ResultAsset: 41, shared.ResultHealthCheck: 12, shared.ResultRedirect: 2, shared.ResultFailed: 3,
	})
	if err := i.lake.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// traffic is what happens on example.com beside page views.
func (i *instance) traffic(t *testing.T) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, "2026-11-20T10:00:00Z")
	if err != nil {
		t.Fatal(err)
	}
	var events []shared.Event
	for _, e := range []shared.Event{
		{Kind: shared.KindError, Status: shared.Some[int64](404), VisitorID: 1, Pathname: "/old"},
		{Kind: shared.KindError, Status: shared.Some[int64](404), VisitorID: 2, Pathname: "/old"},
		{Kind: shared.KindDownload, Status: shared.Some[int64](200), VisitorID: 1, Pathname: "/guide.pdf"},
		{Kind: shared.KindRequest, Status: shared.Some[int64](200), Verdict: shared.VerdictBot, BotName: "ClaudeBot", BotOperator: "Anthropic", AIPurpose: "training", Pathname: "/"},
		{Kind: shared.KindError, Status: shared.Some[int64](404), Verdict: shared.VerdictBot, VerdictReason: "probe", Pathname: "/.env"},
	} {
		i.seq++
		e.SiteID, e.Origin, e.Edge, e.Epoch, e.Seq = siteID, shared.OriginEdge, shared.EdgeID{1}, 1, i.seq
		e.Time, e.ReceivedAt = at.UnixMicro(), at.UnixMicro()
		events = append(events, e)
	}
	if err := i.lake.Ingest(context.Background(), lake.Batch{SpoolPos: i.seq, Events: events}); err != nil {
		t.Fatal(err)
	}
}

// requests says what an edge counted.
func (i *instance) requests(t *testing.T, results map[shared.Result]int) {
	t.Helper()
	i.seq++
	e := shared.Event{
		SiteID: siteID, Kind: shared.KindCompletion, Name: shared.CompletionRequests, Origin: shared.OriginEdge,
		Edge: shared.EdgeID{1}, Epoch: 1, Seq: i.seq, Time: now.UnixMicro() - 1, ReceivedAt: now.UnixMicro(), DedupeKey: "run-0",
	}
	for result, n := range results {
		e.Props = append(e.Props, shared.Prop{Key: string(result), Value: strconv.Itoa(n), Type: shared.PropNumber})
	}
	again := e // the edge was not sure to have been heard
	again.Seq++
	i.seq++
	if err := i.lake.Ingest(context.Background(), lake.Batch{SpoolPos: i.seq, Events: []shared.Event{e, again}}); err != nil {
		t.Fatal(err)
	}
}

func (i *instance) get(path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8787"+path, nil)
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w
}

// TestGolden pins the shapes of the answers; the dashboard's tests read the
// same files.
func TestGolden(t *testing.T) {
	i := start(t)
	i.story(t)
	for name, path := range map[string]string{
		"sites":                  "/api/sites",
		"site":                   "/api/sites/quiet.org",
		"sites-unknown":          "/api/sites/unknown",
		"main":                   "/api/stats/main?site_id=example.com&period=7d",
		"main-compare":           "/api/stats/main?site_id=example.com&period=7d&compare=previous_period",
		"main-empty":             "/api/stats/main?site_id=quiet.org&period=7d&compare=previous_period",
		"timeseries-day":         "/api/stats/timeseries?site_id=example.com&period=7d",
		"timeseries-hour":        "/api/stats/timeseries?site_id=example.com&period=today",
		"timeseries-25-hours":    "/api/stats/timeseries?site_id=example.com&start_date=2026-10-25&end_date=2026-10-25",
		"timeseries-empty":       "/api/stats/timeseries?site_id=quiet.org&period=12mo",
		"breakdown-pages":        "/api/stats/breakdown/pages?site_id=example.com&period=7d",
		"breakdown-pages-page-2": "/api/stats/breakdown/pages?site_id=example.com&period=7d&limit=2&offset=2",
		"breakdown-sources":      "/api/stats/breakdown/sources?site_id=example.com&period=7d",
		"breakdown-browsers":     "/api/stats/breakdown/browsers?site_id=example.com&period=7d",
		"breakdown-os":           "/api/stats/breakdown/os?site_id=example.com&period=7d",
		"breakdown-devices":      "/api/stats/breakdown/devices?site_id=example.com&period=7d",
		"breakdown-countries":    "/api/stats/breakdown/countries?site_id=example.com&period=7d",
		"breakdown-bots":         "/api/stats/breakdown/bots?site_id=example.com&period=7d",
		"breakdown-crawlers":     "/api/stats/breakdown/crawlers?site_id=example.com&period=7d",
		"breakdown-not-found":    "/api/stats/breakdown/not-found?site_id=example.com&period=7d",
		"breakdown-downloads":    "/api/stats/breakdown/downloads?site_id=example.com&period=7d",
		"breakdown-empty":        "/api/stats/breakdown/pages?site_id=quiet.org",
		"breakdown-filtered":     "/api/stats/breakdown/pages?site_id=example.com&period=7d&filters=browsers%3D%3DChrome%3Bcountries!%3DUS",
		"realtime":               "/api/stats/realtime?site_id=example.com",
		"accounting":             "/api/stats/accounting?site_id=example.com&period=7d",
		"timeseries-metrics":     "/api/stats/timeseries?site_id=example.com&period=7d&metrics=visits,bounce_rate,bytes",
		"breakdown-metrics":      "/api/stats/breakdown/sources?site_id=example.com&period=7d&metrics=visits,bounce_rate",
		"error-site":             "/api/stats/main?site_id=nobody.example",
		"error-site-id":          "/api/stats/main?site_id=../etc",
		"error-parameter":        "/api/stats/main?site_id=example.com&period=8d",
		"error-dimension":        "/api/stats/breakdown/shoe-sizes?site_id=example.com",
		"error-endpoint":         "/api/nothing",
		"main-of-a-uuid":         "/api/stats/main?site_id=0D2F4C1E-7a54-4b5e-9c53-1f1e8a6f9a01&period=7d",
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, name, i.get(path))
		})
	}
}

// golden compares an answer with its file.
func golden(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, w.Body.Bytes(), "", "  "); err != nil {
		t.Fatalf("status %d, no JSON: %s", w.Code, w.Body)
	}
	got.WriteByte('\n')
	file := filepath.Join("testdata", "golden", name+".json")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s is answered by\n%s\nwant\n%s", name, got.Bytes(), want)
	}
}
