package importer

import (
	"fmt"
	"strings"
	"testing"

	registry "github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/shared"
)

// caddyRequest is a line of Caddy's log. Headers are name and value in turns.
func caddyRequest(second float64, host, uri string, status int, contentType string, headers ...string) string {
	var h strings.Builder
	for i := 0; i < len(headers); i += 2 {
		fmt.Fprintf(&h, `,%q:[%q]`, headers[i], headers[i+1])
	}
	answer := ""
	if contentType != "" {
		answer = fmt.Sprintf(`"Content-Type":[%q]`, contentType)
	}
	return fmt.Sprintf(`{"ts":%.3f,"msg":"handled request","request":{"client_ip":"203.0.113.9","proto":"HTTP/2.0","method":"GET","host":%q,"uri":%q,`+
		`"headers":{"User-Agent":[%q],"Accept":["*/*"],"Accept-Language":["de"]%s}},"duration":0.5,"size":10,"status":%d,"resp_headers":{%s}}`+"\n",
		1431849600.5+second, host, uri, firefox, &h, status, answer)
}

// TestALogWithHeaders is judged by them, as the proxy would have: pages that are
// fetched ahead wait until they are seen, a 304 is what its path was, and a page
// is no page in a frame.
func TestALogWithHeaders(t *testing.T) {
	const html, host = "text/html; charset=utf-8", "shop.example"
	log := caddyRequest(0, host, "/", 200, html) +
		caddyRequest(1, host, "/next", 200, html, "Sec-Purpose", "prefetch", "Referer", "https://shop.example/") +
		caddyRequest(2, host, "/style.css", 200, "text/css", "Referer", "https://shop.example/next") + // it is on the screen
		caddyRequest(3, host, "/logo.png", 200, "image/png", "Referer", "https://shop.example/next") + // and that is known
		caddyRequest(4, host, "/never", 200, html, "Sec-Purpose", "prefetch") +
		caddyRequest(5, host, "/data.bin", 200, html) +
		caddyRequest(6, host, "/data.bin", 304, "") + // by its name it would be none
		caddyRequest(7, host, "/framed", 200, html, "Sec-Fetch-Dest", "iframe") +
		caddyRequest(8, "www.elsewhere.example", "/", 200, html) +
		`{"level":"info","msg":"serving initial configuration"}` + "\n"
	g := newRig(t, "shop.example")
	o := g.options(write(t, "access.json", []byte(log)))
	o.Site = ""
	a := g.run(o)
	want := map[shared.Result]uint64{
		shared.ResultPageview: 3, shared.ResultPrefetch: 2, shared.ResultAsset: 2, shared.ResultFrame: 1, shared.ResultUnknownHost: 1,
	}
	if fmt.Sprint(a.Results) != fmt.Sprint(want) || a.Skipped != 1 || a.Proofs != 1 {
		t.Errorf("%v, %d skipped, %d proofs; want %v", a.Results, a.Skipped, a.Proofs, want)
	}
	var ahead, seen []uint64
	for _, r := range g.rows() {
		if r.Seq == 1 && r.Time != 1431849600000000 {
			t.Errorf("the first page is at %d: Caddy's time is when the answer was complete", r.Time)
		}
		if r.Name == nil {
			continue
		}
		switch *r.Name {
		case shared.CompletionPrefetch:
			ahead = append(ahead, *r.ViewID)
		case shared.CompletionActivation:
			seen = append(seen, *r.ViewID)
		}
	}
	if len(ahead) != 2 || len(seen) != 1 || ahead[0] == ahead[1] || ahead[0] != seen[0] && ahead[1] != seen[0] {
		t.Errorf("fetched ahead %x, seen %x", ahead, seen)
	}
	g.verify()
}

// TestTheSitesOptionsHold also for what is imported.
func TestTheSitesOptionsHold(t *testing.T) {
	g := newRig(t, testSite)
	strict := "strict"
	if _, err := g.sites.Edit(testSite, registry.Change{Preset: &strict}); err != nil {
		t.Fatal(err)
	}
	log := caddyRequest(601, testSite, "/", 200, "text/html") +
		caddyRequest(602, testSite, "/private", 200, "text/html", "Sec-Gpc", "1") +
		caddyRequest(603, testSite, "/style.css", 200, "text/css", "Referer", "https://"+testSite+"/")
	a := g.run(g.options(write(t, "access.json", []byte(log))))
	if a.Results[shared.ResultPrivacy] != 1 || a.Results[shared.ResultPageview] != 1 || a.Proofs != 0 {
		t.Errorf("%v, %d proofs", a.Results, a.Proofs)
	}
	rows := g.rows()
	if len(rows) != 1 || rows[0].VisitorID != nil || rows[0].Time%3_600_000_000 > 1000 {
		t.Errorf("%+v", rows)
	}
	archived := true
	if _, err := g.sites.Edit(testSite, registry.Change{Archived: &archived}); err != nil {
		t.Fatal(err)
	}
	b := g.run(g.options(write(t, "more.json", []byte(strings.ReplaceAll(log, "/private", "/other")))))
	if b.Results[shared.ResultExcluded] != 3 {
		t.Errorf("an archived site takes %v", b.Results)
	}
	g.verify()
}
