package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/eider-analytics/eider/shared"
)

// Line 3: next runs exactly once, whatever comes of it.
func TestCitizen3NextRunsOnce(t *testing.T) {
	for name, next := range map[string]func(http.ResponseWriter) error{
		"answers":         func(w http.ResponseWriter) error { return writeString(w, "x") },
		"fails":           func(http.ResponseWriter) error { return caddyhttp.Error(502, errors.New("an error")) },
		"panics":          func(http.ResponseWriter) error { panic("next") },
		"begins, panics":  func(w http.ResponseWriter) error { w.WriteHeader(200); panic("next") },
		"does nothing":    func(http.ResponseWriter) error { return nil },
		"says 1xx, fails": func(w http.ResponseWriter) error { w.WriteHeader(103); return caddyhttp.Error(404, nil) },
	} {
		for _, path := range []string{"/page", "/admin/excluded", "/healthz"} {
			h := benchHandler(t)
			r, _ := benchRequest(path, true)
			ran := 0
			func() {
				defer func() { _ = recover() }()
				_ = h.ServeHTTP(&unsent{header: http.Header{}}, r, nextFunc(func(w http.ResponseWriter) error { ran++; return next(w) }))
			}()
			var requests uint64
			for _, n := range resultsOf(h.rt.site("example.com")) {
				requests += n
			}
			if ran != 1 || requests != 1 {
				t.Errorf("%s at %s: next ran %d times, %d results", name, path, ran, requests)
			}
		}
	}
}

// Line 3: Caddy's own handlers fail in their own ways, and its error routes
// answer as they would without the module.
func TestCitizen3ErrorRoutesAnswerAsBefore(t *testing.T) {
	e := newEdge(t)
	root := t.TempDir()
	withAndWithout(t, e, `$ADDR {
	$EIDER
	encode gzip
	root `+root+`
	handle /down/* {
		reverse_proxy 127.0.0.1:1
	}
	handle {
		file_server
	}
	handle_errors 404 {
		header Content-Type text/html
		rewrite /sorry.html
		respond "<p>{err.status_code} {http.request.orig_uri.path}" 404
	}
	handle_errors 5xx {
		respond "{err.status_code}"
	}
}`, func(*testing.T) string {
		var said strings.Builder
		for _, path := range []string{"/missing", "/down/x", "/missing.png"} {
			resp := e.get(path, "Referer: http://"+e.addr+"/the/broken/link")
			_, _ = fmt.Fprint(&said, resp.StatusCode, resp.Header["Content-Type"], bodyOf(t, resp), "\n")
		}
		return said.String()
	})
	got := map[string]int64{}
	for _, ev := range e.agg.wait(t, 3) {
		got[ev.Pathname] = ev.Status.V
		if ev.Kind != shared.KindError || ev.ReferrerPath != "/the/broken/link" || ev.Source != "" {
			t.Errorf("recorded as %+v", ev)
		}
	}
	if want := map[string]int64{"/missing": 404, "/down/x": 502, "/missing.png": 404}; !reflect.DeepEqual(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

// Line 4: a PHP site behind one index.php, by FastCGI, and files that are tried.
func TestCitizen4OriginalURIOfPHP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		_ = fcgi.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprintf(w, "%s by %s", r.URL.Path, fcgi.ProcessEnv(r)["SCRIPT_FILENAME"])
		}))
	}()
	root := t.TempDir()
	for _, name := range []string{"index.php", "app.html"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("<p>file"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := newEdge(t)
	withAndWithout(t, e, `$ADDR {
	$EIDER
	encode
	root `+root+`
	handle /app/* {
		try_files {path} /app.html
		file_server
	}
	handle {
		php_fastcgi `+listener.Addr().String()+`
	}
	request_header Host inner.example
}`, func(*testing.T) string {
		var said strings.Builder
		for _, path := range []string{"/blog/a-post", "/blog/?page=2&utm_source=news", "/app/deep/link", "/%C3%A4/b%2Fc"} {
			resp := e.get(path)
			_, _ = fmt.Fprint(&said, resp.StatusCode, bodyOf(t, resp), "\n")
		}
		return said.String()
	})
	host, _, _ := strings.Cut(e.addr, ":")
	want := map[string]string{"/blog/a-post": "", "/blog/": "utm_source=news", "/app/deep/link": "", "/ä/b/c": ""}
	for _, ev := range e.agg.wait(t, 4) {
		query, ok := want[ev.Pathname]
		if !ok || ev.Query != query || ev.Kind != shared.KindPageview || ev.Hostname != host {
			t.Errorf("recorded %s of %s?%s at %s", ev.Kind, ev.Pathname, ev.Query, ev.Hostname)
		}
		delete(want, ev.Pathname)
	}
	if len(want) > 0 {
		t.Errorf("not recorded: %v", want)
	}
}

// Line 5: IPv6 works, and one household's network is one address.
func TestCitizen5IPv6(t *testing.T) {
	t.Run("addresses of one /64", func(t *testing.T) {
		e := newEdge(t)
		e.global = "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}"
		e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t}\n\theader Content-Type text/html\n\trespond x\n}")
		for _, ip := range []string{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:DB8::1:0:0:0:3", "2001:db8:0:2::1", "::ffff:192.0.2.1", "192.0.2.1"} {
			e.get("/", "X-Forwarded-For: "+ip)
		}
		visitors := map[uint64]int{}
		for _, ev := range e.agg.wait(t, 6) {
			visitors[ev.VisitorID]++
		}
		sizes := map[int]int{}
		for _, n := range visitors {
			sizes[n]++
		}
		if want := map[int]int{3: 1, 1: 1, 2: 1}; !reflect.DeepEqual(sizes, want) || visitors[0] > 0 {
			t.Errorf("visitors %v, want one with 3 views, one with 2, one with 1", visitors)
		}
	})
	t.Run("a connection over IPv6", func(t *testing.T) {
		probe, err := net.Listen("tcp6", "[::1]:0")
		if err != nil {
			t.Skipf("this machine has no IPv6: %v", err)
		}
		probe.Close()
		e := newEdge(t)
		e.load("http://:" + e.port() + " {\n\tbind ::1\n\teider {\n\t\tsite demo.localhost\n\t}\n\theader Content-Type text/html\n\trespond x\n}")
		e.addr = "[::1]:" + e.port()
		e.get("/page")
		if ev := e.agg.wait(t, 1)[0]; ev.VisitorID == 0 || ev.Hostname != "::1" {
			t.Errorf("recorded as %+v", ev)
		}
	})
}

// Line 6: nothing that is kept shares memory with the request.
func TestCitizen6WhatIsKeptIsCloned(t *testing.T) {
	h := benchHandler(t)
	r, vars := benchRequest("/page", true)
	for _, dest := range []string{"document", "style"} { // a page, and the evidence of a person
		delete(vars, seenKey)
		r.Header["Sec-Fetch-Dest"] = []string{dest}
		typ := map[string]string{"document": "text/html", "style": "text/css"}[dest]
		if err := h.ServeHTTP(&unsent{header: http.Header{}}, r, benchNext(typ)); err != nil {
			t.Fatal(err)
		}
	}
	borrowed := map[*byte]string{}
	lend := func(s string) {
		for i := range len(s) {
			borrowed[unsafe.StringData(s[i:])] = s
		}
	}
	for _, s := range []string{r.Host, r.URL.Path, r.URL.RawQuery, r.RequestURI, r.Method, r.Proto, r.RemoteAddr} {
		lend(s)
	}
	for _, values := range r.Header {
		for _, s := range values {
			lend(s)
		}
	}
	kept := h.rt.ring.front(10)
	if len(kept) != 2 || kept[1].Completion != shared.CompletionEvidence {
		t.Fatalf("recorded %+v", kept)
	}
	texts := 0
	for i := range kept {
		o := reflect.ValueOf(&kept[i].Observation).Elem()
		for f := range o.NumField() {
			// The site's name and the names of kinds are ours.
			if s, ok := o.Field(f).Interface().(string); ok && s != "" && o.Type().Field(f).Name != "Site" {
				texts++
				if of, shares := borrowed[unsafe.StringData(s)]; shares {
					t.Errorf("%s shares memory with %q of the request", o.Type().Field(f).Name, of)
				}
			}
		}
	}
	if texts < 15 {
		t.Errorf("only %d texts were kept: this proves little", texts)
	}
}

// Line 6: a connection that is used again and again does not mix its requests.
func TestCitizen6RequestsOfOneConnectionStayApart(t *testing.T) {
	e := newEdge(t)
	e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t}\n\theader Content-Type text/html\n\trespond x\n}")
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	const n = 200
	answers := bufio.NewReader(conn)
	for i := range n {
		_, _ = fmt.Fprintf(conn, "GET /page/%03d HTTP/1.1\r\nHost: demo.localhost\r\nUser-Agent: %s\r\nReferer: https://from-%03d.example/\r\n\r\n", i, chrome, i)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	for _, ev := range e.agg.wait(t, n) {
		if number := strings.TrimPrefix(ev.Pathname, "/page/"); ev.ReferrerDomain != "from-"+number+".example" {
			t.Errorf("%s came from %s", ev.Pathname, ev.ReferrerDomain)
		}
	}
}

// Line 7: an aggregator that has never been there changes nothing for readers.
func TestCitizen7WorksWithoutAnAggregator(t *testing.T) {
	e := newEdge(t)
	e.agg.Close() // nobody listens any more
	e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t\tscript /e\n\t}\n\treverse_proxy " + origin(t, parts) + "\n}")
	for range 100 {
		e.steps([]step{{"/page", document}, {"/a.css", style}, {"/gone", document}})
	}
	e.booksOf(300)
	m := e.metrics()
	if queued := m["eider_edge_queued_events"]; queued != 201 { // and one row of evidence
		t.Errorf("%v events wait, want 201", queued)
	}
	if dropped := m[`eider_edge_events_total{state="dropped"}`]; dropped != 0 {
		t.Errorf("%v events were dropped", dropped)
	}
}

// Line 8: of query strings, wherever they come in, only listed keys stay; paths
// lose what looks like a person's.
func TestCitizen8QueriesAreReduced(t *testing.T) {
	e := newEdge(t)
	e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t}\n\treverse_proxy " + origin(t, parts) + "\n}")
	e.get("/reset?token=SECRET&utm_source=mail&ref=x&q=SECRET", "Referer: https://www.example.org/in?key=SECRET#access_token=SECRET")
	e.get("/gone/user@example.org/9f3a7c2be1d04f86a5c3d72e9b10f4a8c6e2?token=SECRET", "Referer: https://www.example.org/SECRET@example.org")
	for _, ev := range e.agg.wait(t, 2) {
		text := fmt.Sprintf("%+v", ev)
		if strings.Contains(text, "SECRET") || strings.Contains(text, "user@") || strings.Contains(text, "9f3a7c2b") {
			t.Errorf("recorded %s", text)
		}
		if ev.Pathname == "/reset" && (ev.UTMSource != "mail" || ev.ReferrerPath != "/in") {
			t.Errorf("recorded %s: too much is gone", text)
		}
	}
}
