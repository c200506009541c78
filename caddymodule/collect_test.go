package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// post sends a message as the script of a page does.
func (e *edge) post(path, body string, headers ...string) *http.Response {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+e.addr+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	asReader(req, append([]string{"Host: example.com", "Origin: http://example.com"}, headers...)...)
	resp, err := plainClient.Do(req)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) { // as in get
		plainClient.CloseIdleConnections()
		req.Body, _ = req.GetBody()
		resp, err = plainClient.Do(req)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	text := bodyOf(e.t, resp)
	_ = resp.Body.Close()
	resp.Body = http.NoBody
	resp.Header.Set("Test-Body", strings.ReplaceAll(text, "\n", " "))
	return resp
}

const scriptSite = `
http://example.com:$PORT {
	eider {
		script /e
	}
	respond "the site itself" 404
}
`

func (e *edge) scriptSite() string { return strings.ReplaceAll(scriptSite, "$PORT", e.port()) }

func TestEndpointsBelowTheScriptsPath(t *testing.T) {
	e := newEdge(t)
	e.load(e.scriptSite())
	const uuid = "0e5b6a1c-9f0d-4a58-8a53-0d6d1f0f7c11"
	for _, c := range []struct {
		path, body string
		want       int
		answer     string
	}{
		{"/e/api/event", `{"n":"pageview","u":"http://example.com/a","d":"somewhere.example"}`, 202, "ok"},
		{"/e/api/send", `{"type":"event","payload":{"website":"` + uuid + `","url":"/b","hostname":"example.com"}}`, 200, `"cache"`},
		{"/e/api/batch", `[{"type":"event","payload":{"website":"` + uuid + `","url":"/c"}}]`, 200, `"processed":1`},
		{"/e/event", `[{"k":"pageview","l":"00000000000000aa","o":0,"u":"http://example.com/d"}]`, 202, "ok"},
		{"/e/api/event", `{`, 400, "bad_request"},
		{"/e/api/events", `[]`, 401, "unauthorized"}, // servers show a key
		{"/elsewhere", ``, 404, "the site itself"},
	} {
		resp := e.post(c.path, c.body)
		if resp.StatusCode != c.want || !strings.Contains(resp.Header.Get("Test-Body"), c.answer) {
			t.Errorf("%s %s: %d %s", c.path, c.body, resp.StatusCode, resp.Header.Get("Test-Body"))
		}
	}
	script := e.get("/e/e.js", "Host: example.com")
	if script.StatusCode != 200 || !strings.HasPrefix(script.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("no script: %d", script.StatusCode)
	}
	if pixel := e.get("/e/api/event", "Host: example.com", "Referer: http://example.com/e2"); pixel.StatusCode != 200 || len(bodyOf(t, pixel)) != 43 {
		t.Errorf("no pixel: %d", pixel.StatusCode)
	}
	paths := map[string]shared.Origin{}
	for _, ev := range e.agg.wait(t, 5) {
		paths[ev.Pathname] = ev.Origin
		if ev.Site != "example.com" || ev.VisitorID == 0 || ev.Kind != shared.KindPageview {
			t.Errorf("%+v", ev)
		}
	}
	want := map[string]shared.Origin{"/a": "plausible", "/b": "umami", "/c": "umami", "/d": "beacon", "/e2": "plausible"}
	if fmt.Sprint(paths) != fmt.Sprint(want) {
		t.Errorf("%v", paths)
	}
	if r := e.results(); r["collection"] != 8 || sum(r) != 9 {
		t.Errorf("%v", r)
	}
	m := e.metrics()
	if m[`eider_edge_collection_messages_total{outcome="taken"}`] != 5 || m[`eider_edge_collection_messages_total{outcome="malformed"}`] != 1 {
		t.Errorf("%v", m)
	}
}

func TestNamesOfScriptAndEndpoint(t *testing.T) {
	e := newEdge(t)
	e.load(strings.Replace(e.scriptSite(), "script /e", "script /stats {\n file x.js\n endpoint y\n}", 1))
	script := e.get("/stats/x.js", "Host: example.com")
	if body := bodyOf(t, script); script.StatusCode != 200 || !strings.Contains(body, `"y"`) {
		t.Errorf("%d: the script does not know its endpoint", script.StatusCode)
	}
	if resp := e.get("/stats/e.js", "Host: example.com"); resp.StatusCode != 404 {
		t.Error(resp.StatusCode)
	}
	if resp := e.post("/stats/y", `[{"k":"pageview","l":"00000000000000aa","o":0,"u":"http://example.com/d"}]`); resp.StatusCode != 202 {
		t.Error(resp.StatusCode)
	}
	e.agg.wait(t, 1)
}

// Nothing is acknowledged that is not in the queue: without one the sender is
// told to come back, and the site is served.
func TestCollectionWithoutQueue(t *testing.T) {
	e := newEdge(t)
	e.load(e.scriptSite())
	e.get("/", "Host: example.com")
	e.stop()
	if err := os.Truncate(filepath.Join(e.queueDir(), "identity"), 0); err != nil {
		t.Fatal(err)
	}
	e.load(e.scriptSite())
	resp := e.post("/e/api/event", `{"n":"pageview","u":"http://example.com/a","d":"example.com"}`)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp := e.get("/", "Host: example.com"); bodyOf(t, resp) != "the site itself" {
		t.Error("the site is not served")
	}
	if n := e.metrics()[`eider_edge_collection_messages_total{outcome="not_written"}`]; n != 1 {
		t.Errorf("%v messages were not written", n)
	}
}

func TestCollectionRespectsRatesAndReloads(t *testing.T) {
	e := newEdge(t)
	e.load(e.scriptSite())
	event := `{"n":"pageview","u":"http://example.com/a","d":"example.com"}`
	for range 40 {
		if resp := e.post("/e/api/event", event); resp.StatusCode != 202 {
			t.Fatal(resp.StatusCode)
		}
	}
	tight := strings.Replace(e.caddyfile(e.scriptSite()), "eider {", "eider {\n collect {\n rate_per_address 0.001\n }", 1)
	if err := e.tryText(tight); err != nil {
		t.Fatal(err)
	}
	statuses := map[int]int{}
	for range 15 {
		resp := e.post("/e/api/event", event)
		statuses[resp.StatusCode]++
		if resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if statuses[202] != 10 || statuses[429] != 5 {
		t.Errorf("%v, want 10 at the most", statuses)
	}
	e.agg.wait(t, 50)
}

// A host that the configuration does not name has no endpoints, and no way to
// become a site.
func TestUnknownHostsHaveNoEndpoints(t *testing.T) {
	e := newEdge(t)
	e.load(strings.Replace(e.scriptSite(), "http://example.com", "http://", 1))
	resp := e.post("/e/api/event", `{"n":"pageview","u":"http://evil.example/a","d":"example.com"}`, "Host: evil.example")
	if resp.StatusCode != 404 || !strings.Contains(resp.Header.Get("Test-Body"), "the site itself") {
		t.Errorf("%d %s", resp.StatusCode, resp.Header.Get("Test-Body"))
	}
	if r := e.results(); r["unknown_host"] != 1 || sum(r) != 1 {
		t.Errorf("%v", r)
	}
}

// What a trusted proxy passes on is its client's; what its body says of others
// is not believed.
func TestOverridesBehindATrustedProxy(t *testing.T) {
	e := newEdge(t)
	e.global = "servers {\n trusted_proxies static 127.0.0.1/32\n trusted_proxies_strict\n}"
	e.load(e.scriptSite())
	send := func(ip string, headers ...string) {
		resp := e.post("/e/api/send", `{"type":"event","payload":{"website":"0e5b6a1c-9f0d-4a58-8a53-0d6d1f0f7c11","ip":"`+ip+`"}}`, headers...)
		if resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
	}
	send("203.0.113.1", "X-Forwarded-For: 198.51.100.7")
	send("203.0.113.2", "X-Forwarded-For: 198.51.100.7")
	send("203.0.113.3", "X-Forwarded-For: 198.51.100.8")
	visitors := map[uint64]int{}
	for _, ev := range e.agg.wait(t, 3) {
		visitors[ev.VisitorID]++
	}
	if len(visitors) != 2 {
		t.Errorf("%d visitors, want one for each forwarded address", len(visitors))
	}
}

// What is excluded does not come back as the script's view.
func TestExcludedPagesSendNothing(t *testing.T) {
	e := newEdge(t)
	e.load(strings.Replace(e.scriptSite(), "script /e", "script /e\n exclude /admin/*", 1))
	const uuid = "0e5b6a1c-9f0d-4a58-8a53-0d6d1f0f7c11"
	for path, body := range map[string]string{
		"/e/api/event": `{"n":"pageview","u":"http://example.com/admin/a#/route","d":"example.com"}`,
		"/e/api/send":  `{"type":"event","payload":{"website":"` + uuid + `","url":"/admin/b","hostname":"example.com"}}`,
		"/e/api/batch": `[{"type":"event","payload":{"website":"` + uuid + `","url":"/Admin/c"}},{"type":"event","payload":{"website":"` + uuid + `","url":"/kept"}}]`,
		"/e/event":     `[{"k":"pageview","l":"00000000000000aa","o":0,"u":"http://example.com/%61dmin/d"},{"k":"event","n":"save","l":"00000000000000aa","o":1,"u":"http://example.com/admin/d"}]`,
	} {
		if resp := e.post(path, body); resp.StatusCode >= 300 || resp.Header.Get("X-Eider-Dropped") != "1" {
			t.Errorf("%s: %d %v %s", path, resp.StatusCode, resp.Header, resp.Header.Get("Test-Body"))
		}
	}
	if ev := e.agg.wait(t, 1); ev[0].Pathname != "/kept" {
		t.Errorf("%+v", ev[0])
	}
	m := e.metrics()
	if m[`eider_edge_collection_messages_total{outcome="excluded"}`] != 5 || m[`eider_edge_collection_messages_total{outcome="taken"}`] != 1 {
		t.Errorf("%v", m)
	}
}
