package caddymodule

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/eider-analytics/eider/shared"
)

// asking is one request and how it is answered.
type asking struct {
	visitor             string // address and user agent
	method, target      string
	header              http.Header
	status              int
	contentType         string
	fails, beginsBroken bool // the handler returns an error, before or after the header
}

func (x *asking) String() string {
	return fmt.Sprintf("%s %s %v by %s: %d %q", x.method, x.target, x.header, x.visitor, x.status, x.contentType)
}

// Values that requests are drawn from; the first of each is the commonest.
var (
	drawnTargets = []string{
		"/", "/page", "/page?p=1", "/page?p=2", "/a.css", "/img.PNG", "/doc.pdf", "/blog/feed/", "/healthz", "/admin/x", "/x.json",
		"/_next/data/x", "/part?a=1&_rsc=x", "/user/john.doe",
	}
	drawnTypes = []string{
		"text/html; charset=utf-8", "text/css", "image/png", "application/pdf", "application/rss+xml", "application/json", "",
		"Application/XHTML+xml", "text/xml",
	}
	drawnStatus   = []int{200, 200, 200, 304, 404, 206, 302, 203, 204, 500, 101, 416}
	drawnDests    = []string{"", "document", "iframe", "empty", "image", "style", "video", "serviceworker"}
	drawnVisitors = []string{"192.0.2.1 ", "192.0.2.2 ", "192.0.2.1 Vivaldi/7.1", "2001:db8::1 ", "2001:db8::2 ", "192.0.2.3 bot"}
)

// draw makes a request that may well contradict itself: clients do.
func draw(r *rand.Rand) *asking {
	one := func(of []string) string { return of[min(r.IntN(len(of)), r.IntN(len(of)))] }
	x := &asking{
		visitor: one(drawnVisitors), method: "GET", target: one(drawnTargets), header: http.Header{},
		status: drawnStatus[r.IntN(len(drawnStatus))], contentType: one(drawnTypes),
		fails: r.IntN(20) == 0, beginsBroken: r.IntN(30) == 0,
	}
	if r.IntN(3) == 0 {
		x.visitor = fmt.Sprintf("198.51.100.%d ", r.IntN(60))
	}
	if r.IntN(12) == 0 {
		x.method = []string{"HEAD", "POST", "OPTIONS"}[r.IntN(3)]
	}
	set := func(odds int, name string, values ...string) {
		if r.IntN(odds) == 0 {
			x.header.Set(name, values[r.IntN(len(values))])
		}
	}
	x.header.Set("Accept", []string{"text/html,*/*;q=0.8", "*/*", "image/avif,*/*", ""}[r.IntN(4)])
	if dest := one(drawnDests); dest != "" {
		x.header.Set("Sec-Fetch-Dest", dest)
	}
	set(6, "Sec-Fetch-Mode", "navigate", "cors", "no-cors")
	set(6, "Sec-Purpose", "prefetch", "prefetch;prerender", "other")
	set(30, "Purpose", "prefetch")
	set(25, "X-Requested-With", "XMLHttpRequest", "com.example.app")
	set(12, "Hx-Request", "true")
	set(12, "Hx-Boosted", "true", "false")
	set(30, "Hx-History-Restore-Request", "true")
	set(40, "Turbo-Frame", "main")
	set(40, "Upgrade", "websocket", "h2c")
	set(6, "Range", "bytes=0-", "bytes=5-", "bytes=0-1")
	set(2, "Referer", "https://example.com/page", "https://example.com/page?p=1", "https://example.com/", "https://other.example/page")
	return x
}

// reference is the table of docs/counting.md, written down a second time, as
// plainly as can be and with memory without bounds.
type reference struct {
	off      map[string]bool
	types    map[string]string // by path
	seen     map[string]bool   // visitors
	proved   map[string]bool
	waiting  map[string]bool // visitor and target of pages fetched ahead
	evidence int
	active   int
}

func (f *reference) has(x *asking, name string) string { return strings.ToLower(x.header.Get(name)) }

// identity cuts IPv6 to /64: the two addresses that are drawn share one.
func (x *asking) identity() string { return strings.Replace(x.visitor, "db8::2", "db8::1", 1) }

func (f *reference) result(x *asking) string {
	path, query, _ := strings.Cut(x.target, "?")
	switch {
	case strings.HasPrefix(path, "/admin/"), strings.HasSuffix(path, ".json"):
		return "excluded"
	case path == "/healthz":
		return "health_check"
	}
	status, typ := x.status, strings.ToLower(strings.TrimSpace(strings.Split(x.contentType, ";")[0]))
	if x.fails {
		status, typ = 502, ""
	}
	result := f.ofAnswer(x, path, query, status, typ)
	if status == 200 && x.method == "GET" && typ != "" {
		f.types[path] = typ
	}
	if strings.HasSuffix(x.visitor, "bot") {
		result = "bot"
	}
	if f.off[result] {
		result = "switched_off"
	}
	f.remember(x, path, status, typ, result)
	return result
}

func (f *reference) ofAnswer(x *asking, path, query string, status int, typ string) string {
	dest, mode := f.has(x, "Sec-Fetch-Dest"), f.has(x, "Sec-Fetch-Mode")
	if dest == "" && mode != "" && mode != "navigate" {
		dest = "empty"
	}
	soft := f.has(x, "Hx-Boosted") == "true" || f.has(x, "Hx-History-Restore-Request") == "true"
	uri := strings.Contains(path, "/_next/data/") || strings.Contains("&"+query, "&_rsc=")
	part := f.has(x, "X-Requested-With") == "xmlhttprequest" || f.has(x, "Hx-Request") == "true" || f.has(x, "Turbo-Frame") != ""
	ahead := f.ahead(x)
	html := typ == "text/html" || typ == "application/xhtml+xml"
	file := strings.HasSuffix(path, ".pdf")
	resource := dest == "image" || dest == "style" || dest == "video"
	download := file && !resource && dest != "iframe" && !ahead && !html && typ != "application/rss+xml"
	from0, later := f.has(x, "Range") == "bytes=0-", f.has(x, "Range") != "" && f.has(x, "Range") != "bytes=0-"
	switch {
	case f.has(x, "Upgrade") == "websocket", status == 101:
		return "upgrade"
	case x.method != "GET":
		return "method"
	case status == 206 && download && from0:
		return "download"
	case status == 206, status == 416:
		return "partial"
	case status == 302:
		return "redirect"
	case status >= 400:
		soft := soft && !f.off["soft_navigation"]
		if (part && !soft) || ahead || uri || typ != "" && !html {
			return "failed"
		}
		if soft || dest == "document" {
			return "error"
		}
		asked := strings.Contains(x.header.Get("Accept"), "html")
		if dest == "" && (asked || f.open(x) && f.pagePath(path)) {
			return "error"
		}
		return "failed"
	case status == 204:
		return "status"
	case status == 200 || status == 203:
		if download && !later {
			return "download"
		}
		if file && later {
			return "partial"
		}
	}
	if typ == "" {
		typ = f.guess(x, path, status, dest, soft)
	}
	switch {
	case typ == "application/rss+xml", typ == "text/xml" && strings.Contains(path, "feed"), typ == "application/json" && strings.Contains(path, "feed"):
		return "feed"
	case typ != "text/html" && typ != "application/xhtml+xml", resource:
		return "asset"
	case soft && f.off["soft_navigation"]:
		return "switched_off"
	case soft && ahead:
		return "prefetch"
	case soft:
		return "pageview"
	case part || uri:
		return "fragment"
	case ahead:
		return "prefetch"
	case dest == "iframe" && f.off["no frames"]:
		return "pageview"
	case dest == "iframe":
		return "frame"
	case dest == "empty" || dest == "serviceworker":
		return "subrequest"
	}
	return "pageview"
}

func (f *reference) ahead(x *asking) bool {
	return strings.Contains(f.has(x, "Sec-Purpose"), "prefetch") || f.has(x, "Purpose") == "prefetch"
}

// open reports whether Accept leaves open what is wanted.
func (f *reference) open(x *asking) bool {
	accept := x.header.Get("Accept")
	return accept == "" || accept == "*/*"
}

func (f *reference) pagePath(path string) bool { return !strings.Contains(path, ".") }

// guess is the type of an answer that names none.
func (f *reference) guess(x *asking, path string, status int, dest string, soft bool) string {
	if known := f.types[path]; status == 304 && known != "" {
		return known
	}
	lower := strings.ToLower(path)
	asset := strings.HasSuffix(lower, ".css") || strings.HasSuffix(lower, ".png") || strings.HasSuffix(lower, ".pdf")
	navigates := soft || dest == "document" || dest == "iframe"
	asks := strings.Contains(x.header.Get("Accept"), "html")
	resource := dest == "image" || dest == "style" || dest == "video"
	switch {
	case strings.HasSuffix(path, "/feed/"):
		return "application/rss+xml"
	case navigates && !asset, !navigates && !resource && asks && !asset:
		return "text/html"
	case navigates, resource, asks, !f.open(x):
		return "other"
	case f.pagePath(path):
		return "text/html"
	}
	return "other"
}

// remember keeps who saw what, and counts what that completes.
func (f *reference) remember(x *asking, path string, status int, typ, result string) {
	who, own := x.identity(), strings.TrimPrefix(x.header.Get("Referer"), "https://example.com")
	internal := own != x.header.Get("Referer")
	switch result {
	case "excluded", "health_check", "bot", "switched_off", "upgrade", "redirect", "status", "download", "feed":
		return
	case "prefetch":
		if !internal || own != x.target {
			f.waiting[who+x.target] = true
		}
		return
	}
	if internal && !f.ahead(x) && f.waiting[who+own] {
		delete(f.waiting, who+own)
		f.active++
		f.seen[who], f.proved[who] = true, true
	}
	if result == "pageview" || result == "error" {
		f.seen[who] = true
		delete(f.waiting, who+x.target)
		return
	}
	dest, lower := f.has(x, "Sec-Fetch-Dest"), strings.ToLower(path)
	part := dest == "image" || dest == "style"
	if dest == "" && f.has(x, "Sec-Fetch-Mode") == "" && internal {
		part = typ == "text/css" || typ == "image/png" || typ == "" && (strings.HasSuffix(lower, ".css") || strings.HasSuffix(lower, ".png"))
	}
	if result == "asset" && part && f.seen[who] && !f.proved[who] {
		f.proved[who] = true
		f.evidence++
	}
}

// Random requests, judged by the handler and by the plain reference: the same
// result for each, the same completions, and sums that agree.
func TestRandomRequestsAgainstAPlainReference(t *testing.T) {
	for name, c := range map[string]struct {
		count map[string]bool
		off   map[string]bool
	}{
		"as it comes": {nil, map[string]bool{}},
		"switched": {
			map[string]bool{"errors": false, "downloads": false, "feeds": false, "soft_navigations": false, "frames": true},
			map[string]bool{"error": true, "download": true, "feed": true, "soft_navigation": true, "no frames": true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			h := benchHandler(t)
			h.layers = layers{noHeaders: true, noBehavior: true} // who is a bot is judged elsewhere
			var err error
			if h.counted, err = readCount(c.count); err != nil {
				t.Fatal(err)
			}
			f := &reference{off: c.off, types: map[string]string{}, seen: map[string]bool{}, proved: map[string]bool{}, waiting: map[string]bool{}}
			s := h.rt.site("example.com")
			var events, completions uint64
			before := resultsOf(s)
			const n = 20_000
			for i := range n {
				x := draw(r)
				want := f.result(x)
				serve(h, x)
				after := resultsOf(s)
				if after[shared.Result(want)] != before[shared.Result(want)]+1 {
					t.Fatalf("request %d, %s: want %s, counted %v before and %v after", i, x, want, before, after)
				}
				before = after
				for kept := h.rt.ring.front(10); len(kept) > 0; kept = h.rt.ring.front(10) {
					for k := range kept {
						if kept[k].Completion != "" {
							completions++
						} else {
							events++
						}
					}
					h.rt.ring.advance(len(kept))
				}
				if a, e := s.activations.Load(), s.evidence.Load(); a != uint64(f.active) || e != uint64(f.evidence) {
					t.Fatalf("request %d, %s: %d activations, %d rows of evidence; want %d, %d", i, x, a, e, f.active, f.evidence)
				}
			}
			var all, recorded uint64
			for result, of := range resultsOf(s) {
				all += of
				if result.Recorded() {
					recorded += of
				}
			}
			if all != n || recorded != events || completions != uint64(f.active+f.evidence) || f.active < 10 || f.evidence < 10 {
				t.Errorf("%d results of %d requests, %d events of %d, %d completions of %d activations and %d proofs",
					all, n, events, recorded, completions, f.active, f.evidence)
			}
		})
	}
}

// serve lets the handler serve one asking, as Caddy's server would.
func serve(h *Handler, x *asking) {
	r, vars := benchRequest("/", true)
	delete(vars, seenKey)
	path, query, _ := strings.Cut(x.target, "?")
	addr, agent, _ := strings.Cut(x.visitor, " ")
	r.Method, r.URL.Path, r.URL.RawQuery, r.Header = x.method, path, query, x.header
	r.RequestURI = x.target
	original := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	original.Method, original.RequestURI = x.method, x.target
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original))
	vars[caddyhttp.ClientIPVarKey] = addr
	x.header.Set("User-Agent", chrome+" "+agent)
	w := &unsent{header: http.Header{}}
	_ = h.ServeHTTP(w, r, nextFunc(func(w http.ResponseWriter) error {
		if x.fails {
			return caddyhttp.Error(http.StatusBadGateway, io.ErrUnexpectedEOF)
		}
		w.Header()["Content-Type"] = nil
		if x.contentType != "" {
			w.Header().Set("Content-Type", x.contentType)
		}
		w.WriteHeader(x.status)
		if x.beginsBroken {
			return io.ErrUnexpectedEOF
		}
		return nil
	}))
}
