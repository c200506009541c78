package dashboard

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

func build() fstest.MapFS {
	return fstest.MapFS{
		".gitkeep":             {Data: nil},
		"index.html":           {Data: []byte("<!doctype html><title>x</title>")},
		"index.html.gz":        {Data: []byte("zipped index")},
		"assets/app-1a2b.js":   {Data: []byte("export {}")},
		"assets/duck-1a2b.svg": {Data: []byte("<svg/>")},
	}
}

func get(t *testing.T, h http.Handler, method, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServesTheBuild(t *testing.T) {
	h := newHandler(build())
	for _, c := range []struct {
		name, method, target   string
		encoding               string
		status                 int
		contentType, cache     string
		wantBody, wantEncoding string
	}{
		{"index", "GET", "/", "", 200, "text/html; charset=utf-8", "no-cache", "<!doctype html><title>x</title>", ""},
		{"state is in the query", "GET", "/?site=a&period=7d", "", 200, "text/html; charset=utf-8", "no-cache", "<!doctype html><title>x</title>", ""},
		{"zipped", "GET", "/", "br, gzip", 200, "text/html; charset=utf-8", "no-cache", "zipped index", "gzip"},
		{"gzip refused", "GET", "/", "gzip;q=0", 200, "text/html; charset=utf-8", "no-cache", "<!doctype html><title>x</title>", ""},
		{"anything accepted", "GET", "/", "*", 200, "text/html; charset=utf-8", "no-cache", "zipped index", "gzip"},
		{"head", "HEAD", "/", "", 200, "text/html; charset=utf-8", "no-cache", "", ""},
		{"script", "GET", "/assets/app-1a2b.js", "gzip", 200, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable", "export {}", ""},
		{"picture", "GET", "/assets/duck-1a2b.svg", "", 200, "image/svg+xml", "public, max-age=31536000, immutable", "<svg/>", ""},
		{"unknown", "GET", "/sites/1", "", 404, "text/plain; charset=utf-8", "", "there is no such page; the dashboard is at /\n", ""},
		{"hidden", "GET", "/.gitkeep", "", 404, "text/plain; charset=utf-8", "", "there is no such page; the dashboard is at /\n", ""},
		{"no bare gzip file", "GET", "/index.html.gz", "", 404, "text/plain; charset=utf-8", "", "there is no such page; the dashboard is at /\n", ""},
		{"outside", "GET", "/../embed.go", "", 404, "text/plain; charset=utf-8", "", "there is no such page; the dashboard is at /\n", ""},
		{"write", "POST", "/", "", 405, "text/plain; charset=utf-8", "", "the dashboard can only be read\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := get(t, h, c.method, c.target, "Accept-Encoding", c.encoding)
			if res.StatusCode != c.status {
				t.Fatalf("status %d, want %d", res.StatusCode, c.status)
			}
			if got := body(t, res); got != c.wantBody {
				t.Errorf("body %q, want %q", got, c.wantBody)
			}
			for header, want := range map[string]string{
				"Content-Type":            c.contentType,
				"Cache-Control":           c.cache,
				"Content-Encoding":        c.wantEncoding,
				"Content-Security-Policy": Policy,
				"X-Content-Type-Options":  "nosniff",
				"Referrer-Policy":         "no-referrer",
			} {
				if got := res.Header.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
		})
	}
}

func TestRevalidatesTheIndex(t *testing.T) {
	h := newHandler(build())
	for _, encoding := range []string{"", "gzip"} {
		first := get(t, h, "GET", "/", "Accept-Encoding", encoding)
		etag := first.Header.Get("ETag")
		if etag == "" {
			t.Fatal("no ETag")
		}
		again := get(t, h, "GET", "/", "Accept-Encoding", encoding, "If-None-Match", `"old", W/`+etag)
		if again.StatusCode != http.StatusNotModified || body(t, again) != "" {
			t.Errorf("encoding %q: status %d, want 304 without a body", encoding, again.StatusCode)
		}
		changed := build()
		changed["index.html"].Data = []byte("<!doctype html><title>y</title>")
		later := get(t, newHandler(changed), "GET", "/", "Accept-Encoding", encoding, "If-None-Match", etag)
		if later.StatusCode != http.StatusOK {
			t.Errorf("encoding %q: a new build answers %d to the old validator, want 200", encoding, later.StatusCode)
		}
	}
	plain := get(t, h, "GET", "/").Header.Get("ETag")
	zipped := get(t, h, "GET", "/", "Accept-Encoding", "gzip").Header.Get("ETag")
	if plain == zipped {
		t.Errorf("both codings share the validator %s", plain)
	}
}

func TestSaysHowToBuildIt(t *testing.T) {
	h := newHandler(fstest.MapFS{".gitkeep": {}})
	res := get(t, h, "GET", "/")
	if page := body(t, res); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(page, "make dashboard") {
		t.Errorf("status %d, page %q", res.StatusCode, page)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q: the page would outlive the next build", got)
	}
	if res := get(t, h, "GET", "/assets/app.js"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an asset of no build answers %d", res.StatusCode)
	}
}
