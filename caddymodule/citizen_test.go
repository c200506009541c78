package caddymodule

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"reflect"
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

// With and without the module, the same requests get the same bytes.
func TestAnswersAreByteIdentical(t *testing.T) {
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

func TestCompressedBodyUnpacks(t *testing.T) {
	e := newEdge(t)
	text := strings.Repeat("<p>eider</p>", 1000)
	up := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, text)
	})
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	encode gzip
	reverse_proxy ` + up + `
}`)
	resp := e.get("/", "Accept-Encoding: gzip")
	wire := bodyOf(t, resp)
	r, err := gzip.NewReader(strings.NewReader(wire))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != text {
		t.Errorf("unpacks to %d bytes: %v", len(got), err)
	}
	if got := e.agg.wait(t, 1)[0].BytesSent.V; got != int64(len(wire)) {
		t.Errorf("%d bytes recorded, %d on the wire", got, len(wire))
	}
}

func TestWebSocketPasses(t *testing.T) {
	e := newEdge(t)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
	})
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	reverse_proxy ` + up + `
}`)
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: demo.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: "+chrome+"\r\n\r\n")
	answer := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answer, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if got, err := answer.ReadString('\n'); err != nil || got != "echo hello\n" {
		t.Fatalf("%q %v", got, err)
	}
	conn.Close()
	eventually(t, "the result", func() bool { return reflect.DeepEqual(e.results(), map[string]float64{"upgrade": 1}) })
}

func TestServerSentEventsAreNotHeldBack(t *testing.T) {
	e := newEdge(t)
	release := make(chan struct{})
	up := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-release
		_, _ = io.WriteString(w, "data: second\n\n")
	})
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	encode gzip
	reverse_proxy ` + up + `
}`)
	req, _ := http.NewRequest("GET", "http://"+e.addr+"/events", nil)
	asReader(req, "Accept: text/event-stream")
	resp, err := plainClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 100)
	n, err := resp.Body.Read(buf) // hangs if anything holds it back
	if err != nil || string(buf[:n]) != "data: first\n\n" {
		t.Fatalf("%q %v", buf[:n], err)
	}
	close(release)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "data: second\n\n" {
		t.Fatalf("%q %v", rest, err)
	}
	eventually(t, "the result", func() bool { return e.results()["asset"] == 1 })
}

// The early hints reach the browser, and the status after them is recorded.
func TestInformationalAnswersPass(t *testing.T) {
	e := newEdge(t)
	up := origin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload; as=style")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<p>gone")
	})
	e.load(`$ADDR {
	eider {
		site demo.localhost
	}
	reverse_proxy ` + up + `
}`)
	req, _ := http.NewRequest("GET", "http://"+e.addr+"/", nil)
	asReader(req)
	hints := 0
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints && h.Get("Link") != "" {
				hints++
			}
			return nil
		},
	}))
	resp, err := plainClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if hints != 1 || resp.StatusCode != 404 {
		t.Errorf("%d hints, then %s", hints, resp.Status)
	}
	if ev := e.agg.wait(t, 1)[0]; ev.Kind != shared.KindError || ev.Status.V != 404 {
		t.Errorf("recorded as %+v", ev)
	}
}

// What a middleware reaches below us works: flush, deadlines, hijacking,
// full duplex, push.
func TestControlsReachTheRealWriter(t *testing.T) {
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
