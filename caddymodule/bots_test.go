package caddymodule

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// Who asked is fixed at the request and stored with its reason; the result and
// the stored verdict agree.
func TestRequestsAreJudged(t *testing.T) {
	e := newEdge(t)
	e.global = "servers {\n trusted_proxies static 127.0.0.0/8\n trusted_proxies_strict\n}"
	crawlers := filepath.Join(e.dir, "crawlers.json")
	if err := os.WriteFile(crawlers, []byte(`{"Googlebot": {"prefixes": [{"ipv4Prefix": "198.51.100.0/24"}]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	site := "$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t}\n\t@gone path /gone* /.env /wp-login.php\n\trespond @gone 404\n\theader Content-Type text/html\n\trespond \"<p>\"\n}"
	if err := e.tryText(strings.Replace(e.caddyfile(site), "aggregator ", "crawlers "+crawlers+"\naggregator ", 1)); err != nil {
		t.Fatal(err)
	}
	const (
		googlebot = "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
		old       = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0.0.0 Safari/537.36"
		scanner   = "X-Forwarded-For: 203.0.113.66"
	)
	type verdict struct {
		verdict  shared.Verdict
		reason   string
		verified shared.Opt[bool]
	}
	likely := func(reason string) verdict { return verdict{verdict: shared.VerdictLikely, reason: reason} }
	bot := func(reason string) verdict { return verdict{verdict: shared.VerdictBot, reason: reason} }
	want := map[string]verdict{}
	results := map[string]float64{}
	ask := func(path, result string, v verdict, headers ...string) {
		e.get(path, headers...)
		want[path] = v
		results[result]++
	}
	ask("/reader", "pageview", likely("browser"))
	ask("/curl", "bot", bot("known_agent"), "User-Agent: curl/8.5.0")
	ask("/listed", "bot", bot("listed_agent"), "User-Agent: Mozilla/5.0 (compatible; Dataprovider.com)")
	ask("/one-sign", "pageview", likely("old_version"), old)
	ask("/two-signs", "bot", bot("no_language+old_version"), old, "Accept-Language: ")
	ask("/headless", "bot", bot("headless"), `Sec-CH-UA: "HeadlessChrome";v="141"`)
	ask("/real", "bot", verdict{shared.VerdictBot, "known_agent", shared.Some(true)}, googlebot, "X-Forwarded-For: 198.51.100.7")
	ask("/spoofed", "bot", verdict{shared.VerdictBot, "spoofed", shared.Some(false)}, googlebot, "X-Forwarded-For: 203.0.113.9")
	ask("/.env", "bot", bot("probe"), scanner)
	ask("/after-one", "pageview", likely("browser"), scanner)
	ask("/wp-login.php", "bot", bot("probe"), scanner)
	ask("/after-two", "bot", bot("probe"), scanner)
	for i := range 22 {
		if i < 19 {
			ask(fmt.Sprint("/fast/", i), "pageview", likely("browser"), "X-Forwarded-For: 203.0.113.77")
		} else {
			ask(fmt.Sprint("/fast/", i), "bot", bot("too_fast"), "X-Forwarded-For: 203.0.113.77")
		}
	}
	for i := range 30 { // nobody is too fast where an address is nobody's
		ask(fmt.Sprint("/loopback/", i), "pageview", likely("browser"))
	}
	for _, ev := range e.agg.wait(t, len(want)) {
		if got := (verdict{ev.Verdict, ev.VerdictReason, ev.Verified}); got != want[ev.Pathname] {
			t.Errorf("%s: %+v, want %+v", ev.Pathname, got, want[ev.Pathname])
		}
		for _, text := range []string{ev.VerdictReason, ev.BotName, ev.AgentToken} {
			if strings.Contains(text, "203.0.113") || strings.Contains(text, "198.51.100") {
				t.Errorf("an address is stored: %q", text)
			}
		}
	}
	if got := e.results(); !reflect.DeepEqual(got, results) {
		t.Errorf("results %v, want %v", got, results)
	}
}

// With the user agent alone, nothing else is held against a request.
func TestJudgedByTheUserAgentAlone(t *testing.T) {
	e := newEdge(t)
	site := "$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t}\n\theader Content-Type text/html\n\trespond \"<p>\"\n}"
	if err := e.tryText(strings.Replace(e.caddyfile(site), "aggregator ", "judge agents\naggregator ", 1)); err != nil {
		t.Fatal(err)
	}
	e.get("/old", "Accept-Language: ", "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0.0.0 Safari/537.36")
	e.get("/.env")
	e.get("/curl", "User-Agent: curl/8.5.0")
	want := map[string]string{"/old": "old_version", "/.env": "browser", "/curl": "known_agent"}
	for _, ev := range e.agg.wait(t, 3) {
		if ev.VerdictReason != want[ev.Pathname] {
			t.Errorf("%s: %s, want %s", ev.Pathname, ev.VerdictReason, want[ev.Pathname])
		}
	}
	if got, want := e.results(), map[string]float64{"pageview": 2, "bot": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("results %v, want %v", got, want)
	}
}

// Behind a CDN that nobody told Caddy about, everybody has its address.
func TestNobodyIsTooFastBehindAnUnknownProxy(t *testing.T) {
	for _, c := range []struct {
		header string
		want   map[shared.Result]uint64
	}{
		{"", map[shared.Result]uint64{shared.ResultPageview: 19, shared.ResultBot: 11}},
		{"X-Forwarded-For", map[shared.Result]uint64{shared.ResultPageview: 30}},
		{"Via", map[shared.Result]uint64{shared.ResultPageview: 30}},
	} {
		h := benchHandler(t)
		for range 30 {
			r, _ := benchRequest("/page", true)
			if c.header != "" {
				r.Header.Set(c.header, "198.51.100.7")
			}
			if err := h.ServeHTTP(httptest.NewRecorder(), r, benchNext("text/html")); err != nil {
				t.Fatal(err)
			}
		}
		if got := resultsOf(h.rt.site("example.com")); !reflect.DeepEqual(got, c.want) {
			t.Errorf("with %q: %v, want %v", c.header, got, c.want)
		}
	}
}
