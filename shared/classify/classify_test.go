package classify

import (
	"net/http"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// headers reads "Name: value | Name: value".
func headers(t testing.TB, text string) http.Header {
	t.Helper()
	h := http.Header{}
	for _, line := range strings.Split(text, "|") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("no header: %q", line)
		}
		h.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h
}

const (
	// What a browser's address bar sends, over https and over plain http.
	navigation = "Accept: text/html,application/xhtml+xml,*/*;q=0.8 | Sec-Fetch-Dest: document | Sec-Fetch-Mode: navigate"
	plain      = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	xhr        = "Accept: */* | Sec-Fetch-Dest: empty | Sec-Fetch-Mode: cors"
	soft       = xhr + "| HX-Request: true | HX-Boosted: true"
	html       = "text/html; charset=utf-8"
)

// Each line is one request as a proxy sees it: what was asked, what was
// answered, what it counts as.
var requests = []struct {
	what    string
	request string // "METHOD /path?query", GET where there is no method
	headers string
	status  int
	typ     string
	want    shared.Result
}{
	// Page views.
	{"a page", "/", navigation, 200, html, shared.ResultPageview},
	{"a page over plain http", "/", plain, 200, html, shared.ResultPageview},
	{"a page for a client that says nothing", "/", "", 200, html, shared.ResultPageview},
	{"XHTML", "/x", plain, 200, "application/xhtml+xml", shared.ResultPageview},
	{"upper case, spaces", "/x", plain, 200, "TEXT/HTML ; charset=x", shared.ResultPageview},
	{"203 from a transforming proxy", "/", plain, 203, html, shared.ResultPageview},
	{"an Android web view", "/", navigation + "| X-Requested-With: com.facebook.katana", 200, html, shared.ResultPageview},
	{"a page whose path looks like a file", "/report.pdf", navigation, 200, html, shared.ResultPageview},
	{"HTML at a feed's path", "/feed", navigation, 200, html, shared.ResultPageview},
	{"curl --http2 asks for an upgrade that is not a WebSocket", "/", "Upgrade: h2c | Connection: Upgrade", 200, html, shared.ResultPageview},

	// 304: no content type.
	{"revalidated page", "/about", navigation, 304, "", shared.ResultPageview},
	{"revalidated page over http", "/about", plain, 304, "", shared.ResultPageview},
	{"revalidated image", "/a.png", "Accept: image/*,*/* | Sec-Fetch-Dest: image", 304, "", shared.ResultAsset},
	{"revalidated image over http", "/a", "Accept: image/*", 304, "", shared.ResultAsset},
	{"revalidated image in a tab", "/a.png", navigation, 304, "", shared.ResultAsset},
	{"revalidated page in a log", "/about/", "", 304, "", shared.ResultPageview},
	{"revalidated script in a log", "/app.js?v=2", "", 304, "", shared.ResultAsset},
	{"revalidated feed", "/blog/feed/", "Accept: */*", 304, "", shared.ResultFeed},
	{"revalidated PDF", "/a.pdf", navigation, 304, "", shared.ResultAsset},
	{"a user's page with a dot", "/user/john.doe", navigation, 304, "", shared.ResultPageview},
	{"a version is no extension", "/docs/v1.2", "", 304, "", shared.ResultPageview},

	// Method, upgrade.
	{"HEAD", "HEAD /", navigation, 200, html, shared.ResultMethod},
	{"POST that answers with a page", "POST /form", navigation, 200, html, shared.ResultMethod},
	{"OPTIONS", "OPTIONS /", "", 204, "", shared.ResultMethod},
	{"POST that fails", "POST /form", navigation, 500, html, shared.ResultMethod},
	{"WebSocket", "/ws", "Upgrade: websocket | Connection: Upgrade", 101, "", shared.ResultUpgrade},
	{"WebSocket refused", "/ws", "Upgrade: WebSocket | Connection: Upgrade", 400, html, shared.ResultUpgrade},
	{"another upgrade", "/x", "Upgrade: foo", 101, "", shared.ResultUpgrade},

	// Status.
	{"moved", "/old", navigation, 301, html, shared.ResultRedirect},
	{"found", "/old", navigation, 302, "", shared.ResultRedirect},
	{"permanent redirect", "/old", navigation, 308, "", shared.ResultRedirect},
	{"no content", "/x", navigation, 204, "", shared.ResultStatus},
	{"accepted", "/x", navigation, 202, html, shared.ResultStatus},
	{"status unknown", "/x", navigation, 0, html, shared.ResultStatus},
	{"odd status", "/x", navigation, 999, html, shared.ResultStatus},

	// Errors.
	{"page not found", "/nowhere", navigation, 404, html, shared.ResultError},
	{"a proxy's own error has no type yet", "/nowhere", navigation, 502, "", shared.ResultError},
	{"over http", "/nowhere", plain, 404, "", shared.ResultError},
	{"server error", "/", plain, 500, html, shared.ResultError},
	{"missing document", "/old.pdf", navigation, 404, html, shared.ResultError},
	{"in a log", "/nowhere/", "", 404, "", shared.ResultError},
	{"missing image", "/a.png", "Sec-Fetch-Dest: image | Accept: image/*", 404, html, shared.ResultFailed},
	{"missing image over http", "/a.png", "Accept: image/avif,image/webp,*/*", 404, html, shared.ResultFailed},
	{"missing image in a log", "/a.png", "", 404, "", shared.ResultFailed},
	{"missing icon, any type accepted", "/favicon.ico", "Accept: */*", 404, html, shared.ResultFailed},
	{"an API's error", "/api/x", navigation, 404, "application/json", shared.ResultFailed},
	{"a script's failed fetch", "/x", "Sec-Fetch-Dest: empty | Accept: */*", 404, html, shared.ResultFailed},
	{"a frame's error", "/x", "Sec-Fetch-Dest: iframe | Accept: text/html", 404, html, shared.ResultFailed},
	{"htmx meets an error", "/x", plain + "| HX-Request: true", 500, html, shared.ResultFailed},
	{"prefetched error", "/x", navigation + "| Sec-Purpose: prefetch", 404, html, shared.ResultFailed},

	// Ranges and downloads.
	{"download", "/a.pdf", navigation, 200, "application/pdf", shared.ResultDownload},
	{"download in capitals", "/A.ZIP", plain, 200, "application/zip", shared.ResultDownload},
	{"download in a log", "/a.tar.gz", "", 200, "", shared.ResultDownload},
	{"download without a useful type", "/a.dmg", navigation, 200, "application/octet-stream", shared.ResultDownload},
	{"first part", "/a.zip", "Range: bytes=0-", 206, "application/zip", shared.ResultDownload},
	{"first megabyte", "/a.zip", "Range: bytes=0-1048575", 206, "application/zip", shared.ResultDownload},
	{"resumed", "/a.zip", "Range: bytes=1048576-", 206, "application/zip", shared.ResultPartial},
	{"last part", "/a.zip", "Range: bytes=-500", 206, "application/zip", shared.ResultPartial},
	{"part of a file in a log", "/a.zip", "", 206, "", shared.ResultPartial},
	{"a player's probe", "/a.mp4", "Range: bytes=0-1", 206, "video/mp4", shared.ResultPartial},
	{"embedded video", "/a.mp4", "Range: bytes=0- | Sec-Fetch-Dest: video", 206, "video/mp4", shared.ResultPartial},
	{"podcast", "/a.mp3", "", 200, "audio/mpeg", shared.ResultDownload},
	{"resumed, but the server sends it all", "/a.zip", "Range: bytes=5-", 200, "application/zip", shared.ResultPartial},
	{"part of a page", "/", navigation + "| Range: bytes=0-", 206, html, shared.ResultPartial},
	{"beyond the end", "/a.zip", "Range: bytes=9-", 416, "", shared.ResultPartial},
	{"a range of another unit", "/a.zip", "Range: lines=0-", 206, "", shared.ResultPartial},
	{"embedded PDF", "/a.pdf", "Sec-Fetch-Dest: embed", 200, "application/pdf", shared.ResultAsset},
	{"prefetched PDF", "/a.pdf", "Purpose: prefetch", 200, "application/pdf", shared.ResultAsset},
	{"text files are none", "/robots.txt", "", 200, "text/plain", shared.ResultAsset},

	// Feeds.
	{"RSS", "/anything", "", 200, "application/rss+xml; charset=utf-8", shared.ResultFeed},
	{"Atom", "/anything", plain, 200, "application/atom+xml", shared.ResultFeed},
	{"JSON Feed", "/anything", "", 200, "application/feed+json", shared.ResultFeed},
	{"RSS as plain XML", "/index.xml/feed", "", 200, "text/xml", shared.ResultFeed},
	{"feed.json", "/feed.json", "", 200, "application/json", shared.ResultFeed},
	{"a sitemap is XML but no feed", "/sitemap.xml", "", 200, "application/xml", shared.ResultAsset},
	{"feed in a log", "/blog/rss.xml", "", 200, "", shared.ResultFeed},

	// Assets.
	{"style", "/a.css", "Sec-Fetch-Dest: style", 200, "text/css", shared.ResultAsset},
	{"JSON", "/api/x", "Sec-Fetch-Dest: empty", 200, "application/json", shared.ResultAsset},
	{"event stream", "/events", "Accept: text/event-stream", 200, "text/event-stream", shared.ResultAsset},
	{"style in a log", "/a.css", "", 200, "", shared.ResultAsset},
	{"a page in a log", "/articles/", "", 200, "", shared.ResultPageview},
	{"a page in a log, with extension", "/index.PHP?id=1", "", 200, "", shared.ResultPageview},
	{"an unknown extension in a log", "/a.xyz", "", 200, "", shared.ResultAsset},
	{"HTML where an image was wanted", "/a", "Sec-Fetch-Dest: image", 200, html, shared.ResultAsset},

	// Frames, sub-requests, fragments.
	{"iframe", "/widget", "Sec-Fetch-Dest: iframe | Accept: text/html", 200, html, shared.ResultFrame},
	{"embed", "/widget", "Sec-Fetch-Dest: embed", 200, html, shared.ResultFrame},
	{"fetch", "/part", "Sec-Fetch-Dest: empty | Accept: */*", 200, html, shared.ResultSubrequest},
	{"service worker", "/part", "Sec-Fetch-Dest: serviceworker", 200, html, shared.ResultSubrequest},
	{"a destination of the future", "/part", "Sec-Fetch-Dest: hologram", 200, html, shared.ResultSubrequest},
	{"XHR", "/part", "X-Requested-With: XMLHttpRequest", 200, html, shared.ResultFragment},
	{"htmx", "/part", "HX-Request: true", 200, html, shared.ResultFragment},
	{"htmx boosted", "/page", soft, 200, html, shared.ResultPageview},
	{"htmx restores its history", "/page", xhr + "| HX-Request: true | HX-History-Restore-Request: true", 200, html, shared.ResultPageview},
	{"htmx boosted, revalidated", "/page", soft, 304, "", shared.ResultPageview},
	{"htmx boosted, not found", "/page", soft, 404, html, shared.ResultError},
	{"htmx boosted, but JSON", "/page", soft, 200, "application/json", shared.ResultAsset},
	{"htmx boosted form", "POST /page", soft, 200, html, shared.ResultMethod},
	{"htmx boosted, fetched ahead", "/page", soft + "| HX-Preloaded: true", 200, html, shared.ResultPrefetch},
	{"htmx fetches a part ahead", "/page", xhr + "| HX-Request: true | HX-Preloaded: true", 200, html, shared.ResultFragment},
	{"htmx says that it is not", "/page", xhr + "| HX-Request: true | HX-Boosted: false", 200, html, shared.ResultFragment},
	{"fetch that names its mode only", "/page", "Sec-Fetch-Mode: cors | Accept: */*", 200, html, shared.ResultSubrequest},
	{"navigation that names its mode only", "/page", "Sec-Fetch-Mode: navigate | " + plain, 200, html, shared.ResultPageview},
	{"failed fetch that names its mode only", "/page", "Sec-Fetch-Mode: cors | Accept: */*", 404, html, shared.ResultFailed},
	{"Turbo frame", "/part", "Turbo-Frame: cart", 200, html, shared.ResultFragment},
	{"PJAX", "/part", "X-PJAX: true", 200, html, shared.ResultFragment},
	{"Inertia", "/part", "X-Inertia: true", 200, html, shared.ResultFragment},
	{"React server component", "/page", "RSC: 1", 200, html, shared.ResultFragment},
	{"React server component by address", "/page?_rsc=1a2b", "", 200, html, shared.ResultFragment},
	{"the same, as a later parameter", "/page?a=1&_rsc=1a2b", "", 200, html, shared.ResultFragment},
	{"a parameter that only ends like it", "/page?my_rsc=1", "", 200, html, shared.ResultPageview},
	{"Next.js state tree", "/page", "Next-Router-State-Tree: x", 200, html, shared.ResultFragment},
	{"Next.js data", "/_next/data/b/page.json", "", 200, html, shared.ResultFragment},

	// Prefetches.
	{"prefetch", "/next", "Sec-Purpose: prefetch | Sec-Fetch-Dest: empty", 200, html, shared.ResultPrefetch},
	{"prerender", "/next", navigation + "| Sec-Purpose: prefetch;prerender", 200, html, shared.ResultPrefetch},
	{"Chrome of old", "/next", plain + "| Purpose: prefetch", 200, html, shared.ResultPrefetch},
	{"Firefox", "/next", plain + "| X-Moz: prefetch", 200, html, shared.ResultPrefetch},
	{"Safari's top sites", "/next", plain + "| X-Purpose: preview", 200, html, shared.ResultPrefetch},
	{"Turbo", "/next", "X-Sec-Purpose: prefetch | Sec-Fetch-Dest: empty", 200, html, shared.ResultPrefetch},
	{"Next.js", "/next", "Next-Router-Prefetch: 1", 200, html, shared.ResultPrefetch},
	{"Next.js, a component", "/next", "Next-Router-Prefetch: 1 | RSC: 1", 200, "text/x-component", shared.ResultAsset},
	{"revalidated ahead", "/next", navigation + "| Sec-Purpose: prefetch", 304, "", shared.ResultPrefetch},
	{"prefetched style", "/a.css", "Purpose: prefetch", 200, "text/css", shared.ResultAsset},
	{"another purpose", "/", plain + "| Purpose: fun", 200, html, shared.ResultPageview},

	// Health checks.
	{"orchestrator's path", "/healthz", "", 200, "text/plain", shared.ResultHealthCheck},
	{"it fails", "/readyz", "", 503, "", shared.ResultHealthCheck},
	{"a page on health", "/health", navigation, 200, html, shared.ResultPageview},
	{"kubelet", "/", "User-Agent: kube-probe/1.31", 200, html, shared.ResultHealthCheck},
	{"AWS", "/", "User-Agent: ELB-HealthChecker/2.0", 200, html, shared.ResultHealthCheck},
	{"by HEAD", "HEAD /", "User-Agent: GoogleHC/1.0", 200, "", shared.ResultHealthCheck},
}

func request(t testing.TB, text, head string, status int, typ string) Request {
	t.Helper()
	h := headers(t, head)
	r := Request{Method: "GET", Path: text, Status: status, ContentType: typ, Signals: ReadSignals(h), UserAgent: h.Get("User-Agent")}
	if method, rest, ok := strings.Cut(text, " "); ok {
		r.Method, r.Path = method, rest
	}
	r.Path, r.Query, _ = strings.Cut(r.Path, "?")
	return r
}

func TestResultOfEachRequest(t *testing.T) {
	for _, c := range requests {
		r := request(t, c.request, c.headers, c.status, c.typ)
		got, kind := r.Classify()
		if got != c.want {
			t.Errorf("%s: %s is %s, want %s", c.what, c.request, got, c.want)
		}
		if (kind != "") != got.Recorded() {
			t.Errorf("%s: result %s with kind %q", c.what, got, kind)
		}
		if kind != "" && !kind.Valid() {
			t.Errorf("%s: kind %q is not in the list", c.what, kind)
		}
	}
}

func TestKindOfEachRecordedResult(t *testing.T) {
	for _, c := range []struct {
		request, headers string
		status           int
		typ              string
		want             shared.Kind
	}{
		{"/", navigation, 200, html, shared.KindPageview},
		{"/", navigation, 404, html, shared.KindError},
		{"/a.zip", navigation, 200, "application/zip", shared.KindDownload},
		{"/feed", "", 200, "application/rss+xml", shared.KindFeed},
		{"/", navigation + "| Purpose: prefetch", 200, html, shared.KindRequest},
	} {
		r := request(t, c.request, c.headers, c.status, c.typ)
		if _, kind := r.Classify(); kind != c.want {
			t.Errorf("%s: kind %s, want %s", c.request, kind, c.want)
		}
	}
}

func TestBotsKeepTheKindOfWhatTheyAskedFor(t *testing.T) {
	for _, c := range []struct {
		request string
		status  int
		typ     string
		want    shared.Kind
	}{
		{"/", 200, html, shared.KindPageview},
		{"/gone", 404, html, shared.KindError},
		{"/a.zip", 200, "application/zip", shared.KindDownload},
		{"/feed", 304, "", shared.KindFeed},
		{"/a.png", 200, "image/png", shared.KindRequest},
		{"/robots.txt", 200, "text/plain", shared.KindRequest},
		{"HEAD /", 200, html, shared.KindRequest},
		{"POST /login", 403, html, shared.KindRequest},
		{"/old", 301, "", shared.KindRequest},
		{"/x", 0, "", shared.KindRequest},
	} {
		r := request(t, c.request, "", c.status, c.typ)
		r.Bot = true
		got, kind := r.Classify()
		if got != shared.ResultBot || kind != c.want {
			t.Errorf("%s: %s of kind %s, want a bot's %s", c.request, got, kind, c.want)
		}
	}
}

func TestOrderOfTheFirstRules(t *testing.T) {
	all := Request{Method: "GET", Path: "/healthz", Status: 200, ContentType: html, Excluded: true, UnknownHost: true, Bot: true}
	steps := []struct {
		want shared.Result
		drop func(*Request)
	}{
		{shared.ResultExcluded, func(r *Request) { r.Excluded = false }},
		{shared.ResultHealthCheck, func(r *Request) { r.Path = "/" }},
		{shared.ResultUnknownHost, func(r *Request) { r.UnknownHost = false }},
		{shared.ResultBot, func(r *Request) { r.Bot = false }},
		{shared.ResultPageview, func(*Request) {}},
	}
	for _, s := range steps {
		got, _ := all.Classify()
		if got != s.want {
			t.Fatalf("got %s, want %s", got, s.want)
		}
		early, done := all.Early()
		if done && early != got {
			t.Fatalf("early %s, in the end %s", early, got)
		}
		s.drop(&all)
	}
}

// Every combination of what can be known gives exactly one result of the
// closed list, and never a panic.
func TestEveryCombinationHasAResult(t *testing.T) {
	known := map[shared.Result]bool{}
	for _, r := range shared.Results {
		known[r] = true
	}
	seen := map[shared.Result]bool{}
	for _, path := range []string{"", "/", "/a.png", "/a.pdf", "/feed", "/.", "//", "/%", "/\xff.\xfe", "/healthz", "/a." + strings.Repeat("x", 500)} {
		for _, method := range []string{"", "GET", "POST", "\x00"} {
			for _, status := range []int{-1, 0, 99, 100, 101, 103, 200, 201, 203, 204, 206, 299, 300, 304, 308, 400, 404, 416, 499, 500, 599, 600, 1000} {
				for _, typ := range []string{"", html, "application/json", "application/rss+xml", "text/xml", ";", "\xff"} {
					for dest := DestUnknown; dest <= DestResource; dest++ {
						r := Request{Method: method, Path: path, Status: status, ContentType: typ, Signals: Signals{Dest: dest}}
						result, _ := r.Classify()
						if !known[result] {
							t.Fatalf("%+v is %q", r, result)
						}
						seen[result] = true
					}
				}
			}
		}
	}
	if len(seen) < 10 {
		t.Fatalf("only %d results occur: %v", len(seen), seen)
	}
}

func TestMemoryTellsWhatA304Was(t *testing.T) {
	var m Memory
	recall := func(site, path string) shared.Result {
		r := request(t, path, navigation, 304, "")
		r.LastType = m.Recall(site, path)
		result, _ := r.Classify()
		return result
	}
	if got := recall("a", "/picture"); got != shared.ResultPageview {
		t.Fatalf("nothing known yet: %s", got)
	}
	m.Learn("a", "/picture", "image/png")
	m.Learn("a", "/gallery.png", html)
	m.Learn("a", "/news", "application/rss+xml")
	m.Learn("a", "/feed.json", "application/json")
	m.Learn("a", "/silent", "")
	for path, want := range map[string]shared.Result{
		"/picture":     shared.ResultAsset,
		"/gallery.png": shared.ResultPageview,
		"/news":        shared.ResultFeed,
		"/feed.json":   shared.ResultFeed,
		"/silent":      shared.ResultPageview,
	} {
		if got := recall("a", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := recall("b", "/picture"); got != shared.ResultPageview {
		t.Errorf("another site's path is known: %s", got)
	}
	m.Learn("a", "/picture", html)
	if got := recall("a", "/picture"); got != shared.ResultPageview {
		t.Errorf("the later answer does not count: %s", got)
	}
}

func TestMemoryHoldsALotOfPaths(t *testing.T) {
	var m Memory
	path := func(i int) string {
		return "/p/" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune(0x4e00+i))
	}
	const n = 1000
	for i := range n {
		m.Learn("s", path(i), html)
	}
	kept := 0
	for i := range n {
		switch m.Recall("s", path(i)) {
		case TypeHTML:
			kept++
		case TypeUnknown:
		default:
			t.Fatalf("path %d is taken for something else", i)
		}
	}
	if kept < n*8/10 {
		t.Errorf("%d of %d paths are remembered", kept, n)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	h := headers(t, navigation+"| Range: bytes=0- | User-Agent: Mozilla/5.0 | Upgrade: h2c")
	var m Memory
	if n := testing.AllocsPerRun(100, func() {
		r := Request{Method: "GET", Path: "/Some/Path.HTML", Status: 200, ContentType: "Text/HTML; charset=utf-8", Signals: ReadSignals(h)}
		m.Learn("site", r.Path, r.ContentType)
		r.LastType = m.Recall("site", r.Path)
		r.Classify()
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

func BenchmarkPageview(b *testing.B) {
	h := headers(b, navigation+"| User-Agent: Mozilla/5.0 | Accept-Language: de | Accept-Encoding: gzip | Cookie: a=b | Referer: https://example.com/")
	b.ReportAllocs()
	for b.Loop() {
		r := Request{Method: "GET", Path: "/some/path", Status: 200, ContentType: html, Signals: ReadSignals(h)}
		r.Classify()
	}
}

func BenchmarkAsset(b *testing.B) {
	r := Request{Method: "GET", Path: "/some/path.css", Status: 200, ContentType: "text/css; charset=utf-8"}
	b.ReportAllocs()
	for b.Loop() {
		r.Classify()
	}
}
