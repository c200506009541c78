package caddymodule

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// rawAnswer sends bytes as they are and returns the answer's bytes up to the
// end of the connection, without the date.
func rawAnswer(t testing.TB, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	lines := strings.SplitAfter(string(answer), "\r\n")
	kept := lines[:0]
	for _, line := range lines {
		if !strings.HasPrefix(line, "Date: ") {
			kept = append(kept, line)
		}
	}
	return boundary.ReplaceAllString(strings.Join(kept, ""), "boundary")
}

// boundary parts the ranges of a body: drawn at random each time.
var boundary = regexp.MustCompile(`[0-9a-f]{60}`)

// variedSite returns a site's Caddyfile, with whatever is put at its head, that
// answers in many ways: files, compressed, redirected, proxied, failing.
func variedSite(t *testing.T) func(head string) string {
	root := t.TempDir()
	text := strings.Repeat("<p>eider eider eider</p>\n", 2000)
	for name, content := range map[string]string{"page.html": text, "file.bin": text, "plain": text, "empty.html": ""} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range []string{"page.html", "file.bin", "plain", "empty.html"} {
		if err := os.Chtimes(filepath.Join(root, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/up/untyped":
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, text)
		case "/up/sniffed":
			_, _ = io.WriteString(w, "<!doctype html><title>x</title>")
		case "/up/trailer":
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Sum", "42")
		case "/up/nothing":
		case "/up/early":
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	return func(head string) string {
		return `$ADDR {
	` + head + `
	encode gzip
	root ` + root + `
	redir /moved /page.html
	reverse_proxy /up/* ` + up + `
	respond /short "short"
	handle {
		file_server
	}
	handle_errors {
		respond "sorry: {err.status_code}"
	}
}`
	}
}

// variedRequests are raw requests of every shape, hostile ones among them.
func variedRequests() []string {
	var requests []string
	for _, path := range []string{
		"/page.html", "/file.bin", "/plain", "/empty.html", "/missing", "/moved", "/short", "/", "/..%2f..%2fetc/passwd", "/%ff%fe", "/%00", "/a%0d%0ab",
		"/up/untyped", "/up/sniffed", "/up/trailer", "/up/nothing", "/up/early", "/up/none",
	} {
		for _, head := range []string{
			"", "Accept-Encoding: gzip\r\n", "Range: bytes=100-199\r\n", "Range: bytes=0-0,5-9\r\n", "Range: bytes=99999999-\r\n",
			"If-Modified-Since: Thu, 02 Jan 2020 00:00:00 GMT\r\n",
			"Referer: http://\xff\xfe/\x80?token=x\r\nUser-Agent: \xc3\x28\r\nSec-CH-UA: \"\xf0\x28\r\nAccept-Language: \xa0\xa1\r\n",
		} {
			requests = append(requests, "GET "+path+" HTTP/1.1\r\nHost: demo.localhost\r\nConnection: close\r\n"+head+"\r\n",
				"GET "+path+" HTTP/1.1\r\nHost: demo.localhost\r\nConnection: close\r\nUser-Agent: "+chrome+"\r\n"+head+"\r\n")
		}
		requests = append(requests, "HEAD "+path+" HTTP/1.1\r\nHost: demo.localhost\r\nConnection: close\r\n\r\n",
			"POST "+path+" HTTP/1.1\r\nHost: demo.localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
			"GET "+path+" HTTP/1.0\r\n\r\n")
	}
	for _, host := range []string{"../../etc", `"'; DROP TABLE sites`, "a b", "\xff", "[::1", "[::1]:80", "x\x00y", strings.Repeat("h", 4000), "", "%00", "<script>", "a:b:c"} {
		requests = append(requests, "GET /page.html HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	}
	requests = append(requests, "GARBAGE that is no request at all\r\n\r\n", "GET http://other.example/page.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	return requests
}

// Line 2: with and without the module, the same requests get the same bytes.
func TestCitizen2BytesAreIdentical(t *testing.T) {
	site, requests := variedSite(t), variedRequests()
	e := newEdge(t)
	e.load(site(""))
	bare := make([]string, len(requests))
	for i, r := range requests {
		bare[i] = rawAnswer(t, e.addr, r)
	}
	e.stop() // a connection that comes during a reload may be closed unanswered
	e.load(site("eider {\n\t\tsite demo.localhost\n\t\texclude /plain\n\t}"))
	seen := 0
	for i, r := range requests {
		got := rawAnswer(t, e.addr, r)
		if got != bare[i] {
			t.Errorf("request %q answers %.300q, without the module %.300q", r, got, bare[i])
		}
		// net/http refuses some itself, and Caddy those without a host.
		if strings.Contains(got, "\r\nServer: Caddy\r\n") && !strings.Contains(r, "Host: \r\n") {
			seen++
		}
	}
	// The pipeline lives, and each request has one result.
	eventually(t, "a result of each request", func() bool { return sum(e.results()) >= float64(seen) })
	results := e.results()
	if got := sum(results); got != float64(seen) {
		t.Errorf("%v results for %d requests: %v", got, seen, results)
	}
	if results["internal"] != 0 {
		t.Errorf("%v requests upset the module", results["internal"])
	}
	var recorded float64
	for _, r := range shared.Results {
		if r.Recorded() {
			recorded += results[string(r)]
		}
	}
	for _, ev := range e.agg.wait(t, int(recorded)) {
		if why := ev.Check(); why != "" {
			t.Errorf("event %+v: %s", ev, why)
		}
	}
	if got := e.metrics()[`eider_edge_events_total{state="captured"}`]; got != recorded {
		t.Errorf("%v captured, %v recorded", got, recorded)
	}
}

// Line 2: what a middleware reaches below us works: flush, deadlines,
// hijacking, full duplex.
func TestCitizen2ControlsReachTheRealWriter(t *testing.T) {
	e := newEdge(t)
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	respond "x"
}`)
	var below controlled
	rw := &responseWriter{}
	rw.ResponseWriter = &below
	rc := http.NewResponseController(rw)
	for name, err := range map[string]error{
		"flush": rc.Flush(), "read deadline": rc.SetReadDeadline(time.Now()), "write deadline": rc.SetWriteDeadline(time.Now()),
		"full duplex": rc.EnableFullDuplex(),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := rc.Hijack(); err == nil || err.Error() != "hijacked" {
		t.Errorf("hijack: %v", err)
	}
	if below.calls != 5 {
		t.Errorf("%d of 5 calls came through", below.calls)
	}
	if _, err := rw.ReadFrom(bytes.NewReader(make([]byte, 4000))); err != nil || below.readFrom == 0 {
		t.Errorf("ReadFrom is hidden: %v", err)
	}
	if rw.bytes != 4000 || below.Body.Len() != 4000 {
		t.Errorf("%d bytes counted, %d written", rw.bytes, below.Body.Len())
	}
}

type controlled struct {
	httptest.ResponseRecorder
	calls    int
	readFrom int
}

func (c *controlled) Header() http.Header {
	if c.HeaderMap == nil {
		c.HeaderMap = http.Header{}
		c.Body = new(bytes.Buffer)
	}
	return c.HeaderMap
}
func (c *controlled) FlushError() error                { c.calls++; return nil }
func (c *controlled) SetReadDeadline(time.Time) error  { c.calls++; return nil }
func (c *controlled) SetWriteDeadline(time.Time) error { c.calls++; return nil }
func (c *controlled) EnableFullDuplex() error          { c.calls++; return nil }
func (c *controlled) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c.calls++
	return nil, nil, fmt.Errorf("hijacked")
}

func (c *controlled) ReadFrom(r io.Reader) (int64, error) {
	c.readFrom++
	return io.Copy(c.Body, r)
}
