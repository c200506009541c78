package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/eider-analytics/eider/shared"
)

var ourTiming = regexp.MustCompile(`^eider;desc="([0-9a-f]{16})"$`)

// viewIDOf returns the view id that an answer carries, and its other timings.
func viewIDOf(t *testing.T, h http.Header) (id uint64, others []string) {
	t.Helper()
	for _, v := range h.Values("Server-Timing") {
		m := ourTiming.FindStringSubmatch(v)
		if m == nil {
			others = append(others, v)
			continue
		}
		if id != 0 {
			t.Error("two view ids")
		}
		id, _ = strconv.ParseUint(m[1], 16, 64)
	}
	return id, others
}

// The view id goes with what is recorded as a page, and with nothing else.
func TestServerTimingOnRecordedDocumentsOnly(t *testing.T) {
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/page", "/timed", "/304":
			w.Header().Set("Content-Type", "text/html")
		case "/a.css":
			w.Header().Set("Content-Type", "text/css")
		case "/untyped":
			w.Header()["Content-Type"] = nil
		}
		switch r.URL.Path {
		case "/timed":
			w.Header().Add("Server-Timing", "db;dur=5")
			w.Header().Add("Server-Timing", "app;dur=9")
		case "/304":
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		case "/moved":
			http.Redirect(w, r, "/page", http.StatusFound)
			return
		case "/gone":
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "<!doctype html><p>x")
	})
	e := newEdge(t)
	e.load(`$ADDR {
	eider {
		site demo.localhost
		script /e
		exclude /private
	}
	respond /static "<!doctype html><p>a page without type"
	reverse_proxy ` + up + `
}`)
	seen, recorded := map[uint64]bool{}, 0
	for _, c := range []struct {
		path, headers string
		id            bool
		events        int
		others        []string
	}{
		{path: "/page", headers: document, id: true, events: 1},
		{path: "/page", headers: prefetch, id: true, events: 1},
		{path: "/timed", headers: document, id: true, events: 1, others: []string{"db;dur=5", "app;dur=9"}},
		{path: "/304", headers: document + "|If-None-Match: x", id: true, events: 1},
		{path: "/page", headers: fetch + "|HX-Request: true|HX-Boosted: true", id: true, events: 1},
		{path: "/a.css", headers: style, events: 1}, // evidence
		{path: "/page", headers: fetch},
		{path: "/page", headers: fetch + "|HX-Request: true"},
		{path: "/page", headers: "Sec-Fetch-Dest: iframe"},
		{path: "/page", headers: crawler, events: 1},
		{path: "/gone", headers: document, events: 1},
		{path: "/moved", headers: document},
		{path: "/private", headers: document},
	} {
		t.Run(c.path+" "+c.headers, func(t *testing.T) {
			resp := e.get(c.path, splitHeaders(c.headers)...)
			id, others := viewIDOf(t, resp.Header)
			if (id != 0) != c.id || !slices.Equal(others, c.others) {
				t.Errorf("view id %x, others %q", id, others)
			}
			if id != 0 && seen[id] {
				t.Error("a view id is used twice")
			}
			recorded += c.events
			if id != 0 {
				seen[id] = true
			}
		})
	}
	// What is sent is what is recorded.
	for _, ev := range e.agg.wait(t, recorded) {
		if ev.ViewID != 0 && !seen[ev.ViewID] {
			t.Errorf("recorded %s %s with a view id that no answer had", ev.Kind, ev.Pathname)
		}
		delete(seen, ev.ViewID)
		if page := ev.Kind == shared.KindPageview || ev.Name == shared.CompletionPrefetch; page != (ev.ViewID != 0) && ev.Verdict != shared.VerdictBot {
			t.Errorf("recorded %s %s with view id %x", ev.Kind, ev.Pathname, ev.ViewID)
		}
	}
	if len(seen) > 0 {
		t.Errorf("view ids %v were sent and not recorded", seen)
	}
}

func splitHeaders(text string) (headers []string) {
	for _, h := range strings.Split(text, "|") {
		if h != "" {
			headers = append(headers, h)
		}
	}
	return headers
}

func TestNoServerTimingWithoutScript(t *testing.T) {
	e := newEdge(t)
	e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t}\n\treverse_proxy " + origin(t, page) + "\n}")
	if got := e.get("/", splitHeaders(document)...).Header.Values("Server-Timing"); len(got) > 0 {
		t.Errorf("sent %q", got)
	}
	if ev := e.agg.wait(t, 1)[0]; ev.ViewID != 0 {
		t.Errorf("recorded with view id %x", ev.ViewID)
	}
}

// Hints that are sent early do not have it yet, and the page after them does.
func TestServerTimingComesWithTheFinalHeader(t *testing.T) {
	e := newEdge(t)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload; as=style")
		w.WriteHeader(http.StatusEarlyHints)
		page(w, r)
	})
	e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t\tscript /e\n\t}\n\treverse_proxy " + up + "\n}")
	req, _ := http.NewRequest("GET", "http://"+e.addr+"/", nil)
	asReader(req)
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if v := h.Values("Server-Timing"); len(v) > 0 {
				t.Errorf("%d carries %q", code, v)
			}
			return nil
		},
	}))
	resp, err := plainClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if id, _ := viewIDOf(t, resp.Header); id == 0 || e.agg.wait(t, 1)[0].ViewID != id {
		t.Errorf("view id %x", id)
	}
}

// unsent is a writer that keeps the header as it was when it went out, in
// whichever way that happened.
type unsent struct {
	header http.Header
	sent   http.Header
}

func (u *unsent) Header() http.Header { return u.header }
func (u *unsent) WriteHeader(status int) {
	if u.sent == nil && status >= 200 {
		u.sent = u.header.Clone()
	}
}

func (u *unsent) Write(p []byte) (int, error) {
	u.WriteHeader(http.StatusOK)
	return len(p), nil
}
func (u *unsent) Flush() { u.WriteHeader(http.StatusOK) }

// However a handler begins its answer, the id is in the header before that
// goes, and only if it is certain that the answer is a page.
func TestServerTimingInEveryWayOfAnswering(t *testing.T) {
	const html = "<!doctype html><p>x"
	for name, c := range map[string]struct {
		typ  string
		next func(http.ResponseWriter) error
		id   bool
	}{
		"header, then body":               {"text/html", func(w http.ResponseWriter) error { w.WriteHeader(200); return writeString(w, html) }, true},
		"body at once":                    {"text/html", func(w http.ResponseWriter) error { return writeString(w, html) }, true},
		"body at once, to be looked at":   {"", func(w http.ResponseWriter) error { return writeString(w, html) }, true},
		"text, to be looked at":           {"", func(w http.ResponseWriter) error { return writeString(w, "x") }, false},
		"header without type":             {"", func(w http.ResponseWriter) error { w.WriteHeader(200); return writeString(w, html) }, false},
		"flushed before it has a type":    {"", func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }, false},
		"flushed":                         {"text/html", func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }, true},
		"copied":                          {"text/html", func(w http.ResponseWriter) error { return readFrom(w, html) }, true},
		"copied, to be looked at":         {"", func(w http.ResponseWriter) error { return readFrom(w, html) }, true},
		"nothing at all":                  {"text/html", func(http.ResponseWriter) error { return nil }, false},
		"an error":                        {"text/html", func(http.ResponseWriter) error { return fmt.Errorf("an error") }, false},
		"header twice":                    {"text/html", func(w http.ResponseWriter) error { w.WriteHeader(200); w.WriteHeader(404); return nil }, true},
		"not modified, nothing is known":  {"", func(w http.ResponseWriter) error { w.WriteHeader(304); return nil }, true},
		"not modified, of a path of type": {"image/png", func(w http.ResponseWriter) error { w.WriteHeader(304); return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := benchHandler(t)
			h.Script = "/e"
			r, _ := benchRequest("/page", true)
			w := &unsent{header: http.Header{}}
			if c.typ != "" {
				w.header.Set("Content-Type", c.typ)
			}
			_ = h.ServeHTTP(w, r, nextFunc(c.next))
			if w.sent == nil {
				w.sent = http.Header{}
			}
			id, _ := viewIDOf(t, w.sent)
			if (id != 0) != c.id {
				t.Fatalf("view id %x in %v", id, w.sent)
			}
			if o := h.rt.ring.front(1); c.id && (len(o) != 1 || o[0].ViewID != id || o[0].Result != shared.ResultPageview) {
				t.Errorf("recorded as %+v", o)
			}
		})
	}
}

func nextFunc(f func(http.ResponseWriter) error) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error { return f(w) })
}

func writeString(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

func readFrom(w http.ResponseWriter, s string) error {
	_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(s))
	return err
}

// Whoever keeps the writer after the request changes nothing of it.
func TestAWriterThatIsKeptDoesNothingMore(t *testing.T) {
	h := benchHandler(t)
	h.Script = "/e"
	r, _ := benchRequest("/page", true)
	w := &unsent{header: http.Header{"Content-Type": {"text/html"}}}
	var kept http.ResponseWriter
	_ = h.ServeHTTP(w, r, nextFunc(func(w http.ResponseWriter) error { kept = w; return fmt.Errorf("an error") }))
	_, _ = io.WriteString(kept, "<p>late")
	if got := w.sent.Values("Server-Timing"); len(got) > 0 {
		t.Errorf("sent %q", got)
	}
	if got := resultsOf(h.rt.site("example.com")); got[shared.ResultError] != 1 || len(got) != 1 {
		t.Errorf("counted %v", got)
	}
}
