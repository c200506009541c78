package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/eider-analytics/eider/internal/cpu"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/classify"
)

// benchWriter answers into nothing.
type benchWriter struct{ header http.Header }

func (w *benchWriter) Header() http.Header         { return w.header }
func (w *benchWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *benchWriter) WriteHeader(int)             {}

var benchBody = make([]byte, 1024)

// benchNext is the bare handler chain.
func benchNext(contentType string) caddyhttp.Handler {
	types := []string{contentType}
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Type"] = types
		w.WriteHeader(http.StatusOK)
		_, err := w.Write(benchBody)
		return err
	})
}

// benchRequest is what Chrome sends, with the context that Caddy's server
// gives it.
func benchRequest(path string, document bool) (*http.Request, map[string]any) {
	u := &url.URL{Path: path, RawQuery: "utm_source=news"}
	r := &http.Request{
		Method: "GET", Proto: "HTTP/2.0", Host: "example.com", URL: u, RequestURI: u.RequestURI(), RemoteAddr: "192.0.2.7:4711",
		Header: http.Header{
			"User-Agent":                {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"},
			"Accept-Language":           {"de-DE,de;q=0.9,en;q=0.8"},
			"Accept-Encoding":           {"gzip, deflate, br, zstd"},
			"Referer":                   {"https://www.example.org/a/page?q=1"},
			"Sec-Ch-Ua":                 {`"Chromium";v="141", "Not?A_Brand";v="8", "Google Chrome";v="141"`},
			"Sec-Ch-Ua-Mobile":          {"?0"},
			"Sec-Ch-Ua-Platform":        {`"Linux"`},
			"Sec-Fetch-Mode":            {"navigate"},
			"Sec-Fetch-Site":            {"cross-site"},
			"Cookie":                    {"session=0123456789abcdef"},
			"Upgrade-Insecure-Requests": {"1"},
		},
	}
	if document {
		r.Header["Accept"] = []string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
		r.Header["Sec-Fetch-Dest"] = []string{"document"}
		r.Header["Sec-Fetch-User"] = []string{"?1"}
	} else {
		r.Header["Accept"] = []string{"image/avif,image/webp,*/*;q=0.8"}
		r.Header["Sec-Fetch-Dest"] = []string{"image"}
	}
	vars := map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.7", caddyhttp.TrustedProxyVarKey: false, startVar: time.Now()}
	ctx := context.WithValue(context.Background(), caddyhttp.ServerCtxKey, (*caddyhttp.Server)(nil))
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, vars)
	ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, http.Request{Method: r.Method, URL: u, RequestURI: r.RequestURI})
	ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields))
	return r.WithContext(ctx), vars
}

func benchHandler(b testing.TB) *Handler {
	b.Helper()
	rt := newRuntime(b.TempDir())
	if err := rt.setEnricher(files{}, false); err != nil { // it knows whose identities hold
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = rt.enricher.Load().Close() })
	exclude, err := classify.CompilePaths([]string{"/admin/*", "/internal/*", "*.json"})
	if err != nil {
		b.Fatal(err)
	}
	return &Handler{rt: rt, Site: "example.com", exclude: exclude}
}

var benchCases = []struct {
	name, path, contentType string
	document                bool
	script                  string
	allocations             float64 // at most
	result                  shared.Result
}{
	{"pageview", "/blog/2026/a-page", "text/html; charset=utf-8", true, "", 1, shared.ResultPageview},
	{"pageview_script", "/blog/2026/a-page", "text/html; charset=utf-8", true, "/e", 2, shared.ResultPageview},
	{"asset", "/img/logo.png", "image/png", false, "", 1, shared.ResultAsset},
	{"excluded", "/admin/users", "text/html; charset=utf-8", true, "", 0, shared.ResultExcluded},
}

// readers are those of a site, who turn its pages at their leisure: nobody is a
// bot for what the benchmark does in their name.
type readers struct {
	vars      map[string]any // of the request
	addresses [256]any
	at        time.Time
	n         int
}

// newReaders lets each be shown a page and fetch a part of it, as nearly all who
// ask for more: it proves them.
func newReaders(h *Handler, vars map[string]any) *readers {
	all := &readers{vars: vars, at: time.Now()}
	for i := range all.addresses {
		all.addresses[i] = fmt.Sprintf("192.0.2.%d", i)
		for _, c := range benchCases[:3] {
			r, of := benchRequest(c.path, c.document)
			of[caddyhttp.ClientIPVarKey] = all.addresses[i]
			_ = h.ServeHTTP(&benchWriter{header: http.Header{}}, r, benchNext(c.contentType))
		}
	}
	return all
}

// next makes the next request one of the next reader's, each of whom asks for 16
// pages within 26 s.
func (all *readers) next() {
	if all.n%16 == 0 {
		all.at = all.at.Add(100 * time.Millisecond)
		all.vars[startVar], all.vars[caddyhttp.ClientIPVarKey] = all.at, all.addresses[all.n/16%len(all.addresses)]
	}
	all.n++
}

// BenchmarkHandler: `with` minus `bare` is what the module adds to a request.
// The ring is emptied as the recorder would, without its work.
func BenchmarkHandler(b *testing.B) {
	for _, c := range benchCases {
		w := &benchWriter{header: http.Header{}}
		next := benchNext(c.contentType)
		r, vars := benchRequest(c.path, c.document)
		b.Run(c.name+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			defer cpu.Report(b)()
			for b.Loop() {
				if err := next.ServeHTTP(w, r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/with", func(b *testing.B) {
			h := benchHandler(b)
			h.Script = c.script
			all := newReaders(h, vars)
			b.ReportAllocs()
			defer cpu.Report(b)()
			for b.Loop() {
				all.next()
				delete(vars, seenKey) // each request has vars of its own
				delete(w.header, "Server-Timing")
				if err := h.ServeHTTP(w, r, next); err != nil {
					b.Fatal(err)
				}
				if all.n%(ringSize/2) == 0 {
					drain(h)
				}
			}
			b.StopTimer()
			if counted := h.hosts.lookup(h, r.Host).results[resultIndex(c.result)].Load(); counted < uint64(b.N) {
				b.Fatalf("%d of %d requests are counted as %s", counted, b.N, c.result)
			}
		})
	}
}

// drain empties the ring.
func drain(h *Handler) {
	for n := len(h.rt.ring.front(ringSize)); n > 0; n = len(h.rt.ring.front(ringSize)) {
		h.rt.ring.advance(n)
	}
}

// The budget of allocations is a promise; time is for the benchmark.
func TestHandlerAllocatesLittle(t *testing.T) {
	for _, c := range benchCases {
		h := benchHandler(t)
		h.Script = c.script
		w := &benchWriter{header: http.Header{}}
		next := benchNext(c.contentType)
		r, vars := benchRequest(c.path, c.document)
		newReaders(h, vars)
		run := func() {
			delete(vars, seenKey)
			delete(w.header, "Server-Timing")
			if err := h.ServeHTTP(w, r, next); err != nil {
				t.Fatal(err)
			}
		}
		// The user agent is judged, the table of hosts made, and each slot of the
		// ring has room for texts.
		for range ringSize {
			run()
			drain(h)
		}
		if n := testing.AllocsPerRun(200, run); n > c.allocations {
			t.Errorf("%s: %v allocations, at most %v", c.name, n, c.allocations)
		}
	}
}

// TestStartIsCaddys: the time of a request is the one that Caddy's own server
// noted; what it is noted under is no promise of Caddy's.
func TestStartIsCaddys(t *testing.T) {
	vars := map[string]any{}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
	before := time.Now()
	caddyhttp.NewTestReplacer(r) // notes it as the server does
	after := time.Now()
	time.Sleep(time.Millisecond)
	if at := start(vars); at.Before(before) || at.After(after) {
		t.Errorf("the request came between %s and %s, noted is %s", before, after, at)
	}
	if at := start(nil); at.Before(after) {
		t.Errorf("without Caddy's note it is %s, now is after %s", at, after)
	}
}
