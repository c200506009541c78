package caddymodule

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestPageviewArrivesAtTheAggregator(t *testing.T) {
	e := newEdge(t)
	up := origin(t, page)
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	reverse_proxy ` + up + `
}`)
	resp := e.get("/a/page?utm_source=news&secret=1", "Referer: https://www.example.org/from")
	if got := bodyOf(t, resp); resp.StatusCode != 200 || !strings.Contains(got, "A page") {
		t.Fatalf("%s %q", resp.Status, got)
	}
	got := e.agg.wait(t, 1)[0]
	if got.Site != "demo.localhost" || got.Kind != shared.KindPageview || got.Pathname != "/a/page" || got.Verdict != shared.VerdictLikely ||
		got.Status.V != 200 || got.ContentType != "text/html" || got.UTMSource != "news" || got.ReferrerDomain == "" ||
		got.VisitorID == 0 || got.Method != "GET" || got.Protocol != "HTTP/1.1" || got.BytesSent.V != 36 || !got.TTFBUS.OK {
		t.Errorf("recorded as %+v", got)
	}
	hello := e.agg.lastHello(t)
	if want := []shared.SiteHello{{Domain: "demo.localhost"}}; !reflect.DeepEqual(hello.Sites, want) || hello.Name == "" {
		t.Errorf("announced as %+v", hello)
	}
	if got, want := e.results(), map[string]float64{"pageview": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("results %v, want %v", got, want)
	}
	eventually(t, "the acknowledgement", func() bool { return e.metrics()[`eider_edge_events_total{state="stored"}`] == 1 })
	m := e.metrics()
	for name, want := range map[string]float64{
		`eider_edge_events_total{state="captured"}`: 1, `eider_edge_events_total{state="dropped"}`: 0,
		`eider_edge_events_total{state="rejected"}`: 0, `eider_edge_events_total{state="lost"}`: 0,
		`eider_edge_queued_events`: 0, `eider_edge_queue_degraded`: 0, `eider_edge_ship_failing`: 0, `eider_edge_ship_lag_events`: 0,
		`eider_edge_requests_total{result="internal",site="_other"}`: 0,
	} {
		if got, ok := m[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestStatusAtTheAdminEndpoint(t *testing.T) {
	e := newEdge(t)
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	respond "text"
}`)
	e.get("/")
	var report statusReport
	text := e.adminGet(statusPath)
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, edgeToken) {
		t.Error("the status shows the token")
	}
	if len(report.Edges) != 1 {
		t.Fatalf("%d edges: %s", len(report.Edges), text)
	}
	st := report.Edges[0]
	if st.Queue.State != queueOpen || st.Queue.Dir != e.queueDir() || st.Edge == "" || st.Ship.Aggregator != e.agg.URL {
		t.Errorf("status %s", text)
	}
	want := siteRequests{"demo.localhost", map[shared.Result]uint64{shared.ResultAsset: 1}}
	if got := st.Requests[len(st.Requests)-1]; !reflect.DeepEqual(got, want) {
		t.Errorf("requests %+v, want %+v", got, want)
	}
}

// Line 4: what is recorded is what the client asked for, whatever becomes of the
// URI on its way.
func TestCitizen4OriginalURIUnderRewrites(t *testing.T) {
	e := newEdge(t)
	up := origin(t, page)
	e.load(`$ADDR {
	rewrite /pretty* /index.php?q={path}
	method GET
	uri strip_prefix /strip
	handle_path /below/* {
		reverse_proxy ` + up + `
	}
	eider {
		site demo.localhost
	}
	reverse_proxy ` + up + `
}`)
	want := map[string]bool{"/pretty/url": true, "/strip/page": true, "/below/x": true}
	for path := range want {
		e.get(path)
	}
	for _, ev := range e.agg.wait(t, len(want)) {
		if !want[ev.Pathname] {
			t.Errorf("recorded %q", ev.Pathname)
		}
		delete(want, ev.Pathname)
	}
}

// Line 3: an error that a handler returns is recorded with its status.
func TestCitizen3StatusOfHandlerErrors(t *testing.T) {
	e := newEdge(t)
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	root ` + t.TempDir() + `
	handle /down/* {
		reverse_proxy 127.0.0.1:1
	}
	handle /teapot {
		error 418
	}
	handle /handled/* {
		file_server
	}
	handle {
		file_server
	}
	handle_errors 404 {
		header Content-Type text/html
		respond "<p>not here" 404
	}
}`)
	for path, want := range map[string]int{"/missing": 404, "/down/x": 502, "/teapot": 418} {
		if resp := e.get(path); resp.StatusCode != want {
			t.Errorf("%s answers %s, want %d", path, resp.Status, want)
		}
	}
	got := map[string]int64{}
	for _, ev := range e.agg.wait(t, 3) {
		if ev.Kind != shared.KindError || ev.BytesSent.OK || ev.TTFBUS.OK {
			t.Errorf("recorded as %+v", ev)
		}
		got[ev.Pathname] = ev.Status.V
	}
	if want := map[string]int64{"/missing": 404, "/down/x": 502, "/teapot": 418}; !reflect.DeepEqual(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
	e.get("/missing.png", "Accept: image/*") // no navigation
	if got := e.results(); got["failed"] != 1 || got["error"] != 3 {
		t.Errorf("results %v", got)
	}
}

// Line 9: hosts that no configuration names are counted apart.
func TestCitizen9UnknownHostsAreNoSites(t *testing.T) {
	e := newEdge(t)
	port := e.port()
	e.load(`http://one.example:` + port + `, http://Two.Example:` + port + `, http://*.wild.example:` + port + ` {
	eider
	handle {
		header Content-Type text/html
		respond "page"
	}
}
http://named.example:` + port + ` {
	@blog host blog.named.example named.example
	handle @blog {
		eider
		header Content-Type text/html
		respond "page"
	}
}
http://:` + port + ` {
	eider
	header Content-Type text/html
	respond "page"
}`)
	for _, host := range []string{
		"one.example", "ONE.EXAMPLE", "one.example:" + port, "two.example:" + port, "named.example", // named by the configuration
		"x.wild.example", "evil.example", "127.0.0.1", `..%2f"'`, strings.Repeat("a", 300) + ".example", // not
	} {
		if resp := e.get("/", "Host: "+host); resp.StatusCode != 200 && resp.StatusCode != 400 {
			t.Errorf("%s: %s", host, resp.Status)
		}
	}
	got := map[string]float64{}
	for name, v := range e.metrics() {
		if v > 0 && strings.HasPrefix(name, "eider_edge_requests_total") {
			got[name] = v
		}
	}
	want := map[string]float64{
		`eider_edge_requests_total{result="pageview",site="one.example"}`:   3,
		`eider_edge_requests_total{result="pageview",site="two.example"}`:   1,
		`eider_edge_requests_total{result="pageview",site="named.example"}`: 1,
		`eider_edge_requests_total{result="unknown_host",site="_other"}`:    5,
	}
	// A Host that net/http refuses never comes to us.
	refused := want[`eider_edge_requests_total{result="unknown_host",site="_other"}`] - got[`eider_edge_requests_total{result="unknown_host",site="_other"}`]
	if refused < 0 || refused > 2 {
		t.Errorf("%v requests for unknown hosts", 5-refused)
	}
	want[`eider_edge_requests_total{result="unknown_host",site="_other"}`] -= refused
	if !reflect.DeepEqual(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	hello := e.agg.lastHello(t)
	sites := []shared.SiteHello{{Domain: "blog.named.example"}, {Domain: "named.example"}, {Domain: "one.example"}, {Domain: "two.example"}}
	if !reflect.DeepEqual(hello.Sites, sites) {
		t.Errorf("announced %v, want %v", hello.Sites, sites)
	}
}

func TestNestedHandlersCountOnce(t *testing.T) {
	e := newEdge(t)
	e.load(`$ADDR {
	eider {
		site outer.example
		exclude /secret
	}
	handle {
		eider {
			site inner.example
		}
		header Content-Type text/html
		respond "page"
	}
	handle_errors {
		eider {
			site errors.example
		}
		respond "sorry"
	}
}`)
	e.get("/")
	e.get("/secret")
	if got, want := e.results(), map[string]float64{"pageview": 1, "excluded": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("results %v, want %v", got, want)
	}
	if got := e.agg.wait(t, 1)[0].Site; got != "outer.example" {
		t.Errorf("recorded for %s", got)
	}
}

// Line 5: the client's address is Caddy's to judge; the visitor shows which one
// it was.
func TestCitizen5ForgedAddressesAreIgnored(t *testing.T) {
	forged := []string{"X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "Forwarded"}
	site := `$ADDR {
	eider {
		site demo.localhost
	}
	header Content-Type text/html
	respond "page"
}`
	visitors := func(e *edge, n int) map[uint64]bool {
		ids := map[uint64]bool{}
		for _, ev := range e.agg.wait(t, n) {
			ids[ev.VisitorID] = true
		}
		return ids
	}
	t.Run("by anybody", func(t *testing.T) {
		e := newEdge(t)
		e.load(site)
		e.get("/")
		for _, name := range forged {
			e.get("/", name+": 203.0.113.9")
		}
		if ids := visitors(e, 1+len(forged)); len(ids) != 1 {
			t.Errorf("%d visitors, want 1", len(ids))
		}
	})
	t.Run("from a trusted proxy", func(t *testing.T) {
		e := newEdge(t)
		e.global = "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}"
		e.load(site)
		e.get("/", "X-Forwarded-For: 203.0.113.1")
		e.get("/", "X-Forwarded-For: 203.0.113.2")
		e.get("/", "X-Forwarded-For: 198.51.100.7, 203.0.113.2") // what the client forged comes first
		if ids := visitors(e, 3); len(ids) != 2 {
			t.Errorf("%d visitors, want 2", len(ids))
		}
		if strings.Contains(readFile(t, e.logFile()), "trusted_proxies_strict") {
			t.Error("warned although it is strict")
		}
	})
	t.Run("a loose proxy is warned of", func(t *testing.T) {
		e := newEdge(t)
		e.global = "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}"
		e.load(site)
		if n := strings.Count(readFile(t, e.logFile()), "without trusted_proxies_strict"); n != 1 {
			t.Errorf("warned %d times", n)
		}
	})
}

func TestBotsAreRecordedWhateverTheyAskFor(t *testing.T) {
	e := newEdge(t)
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	respond /robots.txt "User-agent: *"
	header Content-Type text/html
	respond "page"
}`)
	bot := "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
	e.get("/", bot)
	e.get("/robots.txt", bot)
	kinds := map[shared.Kind]int{}
	for _, ev := range e.agg.wait(t, 2) {
		kinds[ev.Kind]++
		if ev.Verdict != shared.VerdictBot || ev.BotName == "" {
			t.Errorf("recorded as %+v", ev)
		}
	}
	if kinds[shared.KindPageview] != 2 && (kinds[shared.KindPageview] != 1 || kinds[shared.KindRequest] != 1) {
		t.Errorf("kinds %v", kinds)
	}
	if got, want := e.results(), map[string]float64{"bot": 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("results %v, want %v", got, want)
	}
}

// A 304 has no type: what the path gave before tells.
func TestRevalidatedPageIsAPageview(t *testing.T) {
	e := newEdge(t)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/picture" {
			w.Header().Set("Content-Type", "image/png")
		} else {
			w.Header().Set("Content-Type", "text/html")
		}
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write([]byte("x"))
	})
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	reverse_proxy ` + up + `
}`)
	e.get("/page", "If-None-Match: x")
	e.get("/picture")
	e.get("/picture", "If-None-Match: x") // in a tab of its own: Accept says a page
	if got, want := e.results(), map[string]float64{"pageview": 1, "asset": 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("results %v, want %v", got, want)
	}
}
