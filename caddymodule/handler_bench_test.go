package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/eider-analytics/eider/internal/cpu"
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
	vars := map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.7", caddyhttp.TrustedProxyVarKey: false}
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
	exclude, err := compilePaths([]string{"/admin/*", "/internal/*", "*.json"})
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
}{
	{"pageview", "/blog/2026/a-page", "text/html; charset=utf-8", true, "", 3},
	{"pageview_script", "/blog/2026/a-page", "text/html; charset=utf-8", true, "/e", 3},
	{"asset", "/img/logo.png", "image/png", false, "", 2},
	{"excluded", "/admin/users", "text/html; charset=utf-8", true, "", 0},
}

// alreadyRead lets the reader be shown a page and fetch a part of it, as nearly all
// who ask for more: a part finds the reader proved, and pages without any part
// among them would soon be a bot's.
func alreadyRead(h *Handler) {
	for _, c := range benchCases[:3] {
		r, _ := benchRequest(c.path, c.document)
		_ = h.ServeHTTP(&benchWriter{header: http.Header{}}, r, benchNext(c.contentType))
	}
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
			alreadyRead(h)
			b.ReportAllocs()
			defer cpu.Report(b)()
			n := 0
			for b.Loop() {
				delete(vars, seenKey) // each request has vars of its own
				delete(w.header, "Server-Timing")
				if err := h.ServeHTTP(w, r, next); err != nil {
					b.Fatal(err)
				}
				if n++; n == ringSize/2 {
					for len(h.rt.ring.front(ringSize)) > 0 {
						h.rt.ring.advance(len(h.rt.ring.front(ringSize)))
					}
					alreadyRead(h) // one in a thousand: a part among the pages, also in a long run
					n = 0
				}
			}
		})
	}
}

// The budget of allocations is a promise; time is for the benchmark.
func TestHandlerAllocatesLittle(t *testing.T) {
	for _, c := range benchCases {
		h := benchHandler(t)
		h.Script = c.script
		alreadyRead(h)
		w := &benchWriter{header: http.Header{}}
		next := benchNext(c.contentType)
		r, vars := benchRequest(c.path, c.document)
		run := func() {
			delete(vars, seenKey)
			delete(w.header, "Server-Timing")
			if err := h.ServeHTTP(w, r, next); err != nil {
				t.Fatal(err)
			}
		}
		run() // the user agent is judged, the table of hosts made
		if n := testing.AllocsPerRun(200, run); n > c.allocations {
			t.Errorf("%s: %v allocations, at most %v", c.name, n, c.allocations)
		}
	}
}
