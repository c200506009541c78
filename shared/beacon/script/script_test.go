package script

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// The two places that the script is served at, and the sizes it must keep.
var endpoints = []string{"event", "api/e"}

const (
	maxBase = 1024
	maxAll  = 3072
)

func ask(t *testing.T, h http.Handler, method, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The sizes are of what is served, byte for byte.
func TestSizes(t *testing.T) {
	for _, endpoint := range endpoints {
		h := Handler(endpoint)
		for query, limit := range map[string]int{
			"":                             maxBase,
			"?" + strings.Join(Parts, "&"): maxAll,
		} {
			resp := ask(t, h, "GET", "/e/e.js"+query, "Accept-Encoding", "gzip")
			zipped := read(t, resp.Body)
			t.Logf("%s%s: %d bytes", endpoint, query, len(zipped))
			if len(zipped) > limit {
				t.Errorf("e.js%s for %s has %d bytes gzipped, more than %d", query, endpoint, len(zipped), limit)
			}
		}
	}
}

func TestQueriesChooseParts(t *testing.T) {
	for _, c := range []struct {
		query string
		files string
	}{
		{"", "base.js more.js start.js"},
		{"v=17", "base.js more.js start.js"},
		{"outbound", "base.js links.js outbound.js more.js start.js"},
		{"outbound&files", "base.js links.js outbound.js files.js more.js start.js"},
		{"files&outbound=1&files", "base.js links.js outbound.js files.js more.js start.js"},
		{"404,vitals", "base.js vitals.js missing.js more.js start.js"},
		{strings.Join(Parts, "&"), "base.js links.js outbound.js files.js forms.js engagement.js vitals.js missing.js start.js"},
		{"nothing&OUTBOUND", "base.js more.js start.js"},
		{"+site,forms", "forms.js"},
		{"+-outbound,-forms,site,outbound,forms,files", "links.js files.js"},
		{"+", ""},
		{strings.Repeat("x&", 1000) + "forms", "base.js more.js start.js"},
	} {
		if got := strings.Join(parse(c.query).files(), " "); got != c.files {
			t.Errorf("?%.60s: %s, want %s", c.query, got, c.files)
		}
	}
}

// Every variant is minified, speaks of no placeholder, and asks only for parts
// that it lacks.
func TestEveryVariant(t *testing.T) {
	seen := map[string]variant{}
	for bits := range 1 << len(Parts) {
		for _, addition := range []bool{false, true} {
			v := variant{uint8(bits), addition}
			small, plain := v.build("event"), v.assemble("event")
			if len(small) >= len(plain)/2 {
				t.Errorf("%+v is not minified: %d of %d bytes", v, len(small), len(plain))
			}
			if found := placeholder.Find(small); found != nil {
				t.Errorf("%+v still has %s", v, found)
			}
			if other, ok := seen[string(small)]; ok {
				t.Errorf("%+v is the same as %+v", v, other)
			}
			seen[string(small)] = v
		}
	}
	if n := len(seen); n != 128 {
		t.Errorf("%d variants, want 128", n)
	}
}

func TestAnswers(t *testing.T) {
	h := Handler("event")
	plain := ask(t, h, "GET", "/e/e.js")
	text := read(t, plain.Body)
	tag := plain.Header.Get("ETag")
	for name, want := range map[string]string{
		"Content-Type":                 "text/javascript; charset=utf-8",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Resource-Policy": "cross-origin",
		"Access-Control-Allow-Origin":  "*",
		"Vary":                         "Accept-Encoding",
		"Cache-Control":                cacheControl,
		"Content-Encoding":             "",
	} {
		if got := plain.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if strings.HasPrefix(tag, "W/") || len(tag) < 10 {
		t.Errorf("ETag %s is not a strong one", tag)
	}

	zipped := ask(t, h, "GET", "/e/e.js", "Accept-Encoding", "br, gzip;q=0.5")
	unzip, err := gzip.NewReader(zipped.Body)
	if err != nil {
		t.Fatal(err)
	}
	if read(t, unzip) != text || zipped.Header.Get("Content-Encoding") != "gzip" {
		t.Error("the zipped script is another one")
	}
	if zipped.Header.Get("ETag") == tag {
		t.Error("two encodings have one strong tag")
	}

	for _, c := range []struct {
		method  string
		headers []string
		status  int
		body    string
	}{
		{"GET", []string{"If-None-Match", tag}, 304, ""},
		{"GET", []string{"If-None-Match", "W/" + tag}, 304, ""},
		{"GET", []string{"If-None-Match", `"x", ` + zipped.Header.Get("ETag"), "Accept-Encoding", "gzip"}, 304, ""},
		{"GET", []string{"If-None-Match", "*"}, 304, ""},
		{"GET", []string{"If-None-Match", `"x"`}, 200, text},
		{"GET", []string{"Accept-Encoding", "gzip;q=0, *"}, 200, text},
		{"GET", []string{"Accept-Encoding", "identity, *;q=0"}, 200, text},
		{"HEAD", nil, 200, ""},
		{"POST", nil, 405, "the script is read with GET\n"},
		{"OPTIONS", nil, 405, "the script is read with GET\n"},
		{"DELETE", nil, 405, "the script is read with GET\n"},
	} {
		resp := ask(t, h, c.method, "/e/e.js", c.headers...)
		if body := read(t, resp.Body); resp.StatusCode != c.status || body != c.body {
			t.Errorf("%s %v: %d with %d bytes, want %d with %d", c.method, c.headers, resp.StatusCode, len(body), c.status, len(c.body))
		}
		if c.status == 405 && resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: Allow %q", c.method, resp.Header.Get("Allow"))
		}
	}
}

// Each place has its own endpoint, in files that know nothing else of it.
func TestEndpoint(t *testing.T) {
	for _, endpoint := range []string{"event", "api/e", `x"y`} {
		plain := variant{}.assemble(endpoint)
		if want := []byte("new URL(options.api || " + string(quote(endpoint)) + ", script.src)"); !bytes.Contains(plain, want) {
			t.Errorf("%s is not in the script", want)
		}
	}
}

// Every source is part of some variant.
func TestNoSourceIsForgotten(t *testing.T) {
	files, err := sources.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	used := append(variant{}.files(), "prologue.js")
	used = append(used, variant{parts: 1<<len(Parts) - 1}.files()...)
	for _, f := range files {
		if !slices.Contains(used, f.Name()) {
			t.Errorf("%s is served in no variant", f.Name())
		}
	}
}
