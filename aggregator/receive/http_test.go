package receive

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eider-analytics/eider/shared"
)

func TestOnlyTheTokenOpensTheDoor(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	for _, path := range []string{shared.PathHello, shared.PathBatches, shared.PathObservations} {
		for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic " + token, token, "Bearer " + token + "x", "bearer  "} {
			req := e.request(path, shared.ContentTypeBatches, e.frame(1, 1, nil))
			req.Header.Set("Authorization", auth)
			a := g.do(req)
			if a.status != http.StatusUnauthorized || a.err.Code != shared.CodeUnauthorized || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %q: %d %+v", path, auth, a.status, a.err)
			}
		}
	}
	if g.spool.Next() != 1 {
		t.Error("something was recorded")
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	good := e.frame(1, 2, nil)
	far := newEdge(1 << 62)
	tiny := e.lost(1, 1, shared.LossCorruption)
	for name, c := range map[string]struct {
		body   []byte
		change func(*http.Request)
		status int
	}{
		"empty":                  {nil, nil, 400},
		"garbage":                {[]byte("garbage"), nil, 400},
		"cut":                    {good[:len(good)-1], nil, 400},
		"cut in the header":      {good[:20], nil, 400},
		"other type":             {good, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 415},
		"no type":                {good, func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
		"compressed":             {good, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
		"no boot nonce":          {good, func(r *http.Request) { r.Header.Del(shared.HeaderBoot) }, 400},
		"no send time":           {good, func(r *http.Request) { r.Header.Del(shared.HeaderSentAt) }, 400},
		"absurd send time":       {good, func(r *http.Request) { r.Header.Set(shared.HeaderSentAt, "9223372036854775807") }, 400},
		"negative send time":     {good, func(r *http.Request) { r.Header.Set(shared.HeaderSentAt, "-1") }, 400},
		"no monotonic time":      {good, func(r *http.Request) { r.Header.Del(shared.HeaderMonotonic) }, 400},
		"get":                    {nil, func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"announced too large":    {good, func(r *http.Request) { r.ContentLength = shared.MaxBody + 1 }, 413},
		"too large, unannounced": {make([]byte, shared.MaxBody+1), func(r *http.Request) { r.ContentLength = -1 }, 413},
		"too many frames":        {bytes.Repeat(tiny, maxFrames+1), nil, 413},
		"two edges":              {slices.Concat(good, newEdge(1).frame(3, 1, nil)), nil, 400},
		"absurd sequence":        {far.lost(1<<62, 1<<60, shared.LossCorruption), nil, 400},
		"stranger":               {newEdge(1).frame(1, 1, nil), func(r *http.Request) { r.Header.Set(shared.HeaderBoot, "00000000000000aa") }, 409},
	} {
		req := e.request(shared.PathBatches, shared.ContentTypeBatches, c.body)
		if c.change != nil {
			c.change(req)
		}
		w := httptest.NewRecorder()
		g.recv.ServeHTTP(w, req)
		if w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.status)
		}
	}
	if g.spool.Next() != 1 {
		t.Error("something was recorded")
	}
	chunked := e.request(shared.PathBatches, shared.ContentTypeBatches, good)
	chunked.ContentLength = -1
	if a := g.do(chunked); a.status != http.StatusOK || a.ack.AckedThrough != 2 {
		t.Errorf("a body of unknown length: %d %+v", a.status, a.err)
	}
}

func TestObservationsAreReserved(t *testing.T) {
	g := newRig(t)
	if a := g.do(newEdge(1).request(shared.PathObservations, "application/json", []byte("{}"))); a.status != http.StatusNotImplemented || a.err.Message == "" {
		t.Errorf("%d %+v", a.status, a.err)
	}
}

func TestHellosThatAreRefused(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	ok := fmt.Sprintf(`{"edge":%q,"epoch":%q,"boot_nonce":%q`, e.id, e.epoch, e.boot)
	for name, body := range map[string]string{
		"empty": "", "garbage": "{", "no names": "{}", "other nonce": strings.Replace(ok, e.boot.String(), "00000000000000aa", 1) + "}",
		"short edge":    `{"edge":"abc"}`,
		"backward span": ok + `,"kept":[{"epoch":"00000000000000aa","first":5,"last":4}]}`,
		"too large":     ok + `,"name":"` + strings.Repeat("x", maxHello) + `"}`,
	} {
		if a := g.do(e.request(shared.PathHello, "application/json", []byte(body))); a.status != 400 && a.status != 413 {
			t.Errorf("%s: %d %+v", name, a.status, a.err)
		}
	}
	a := g.do(e.request(shared.PathHello, "application/json", []byte(ok+`,"name":"a\u0000b","sites":[{"domain":"new.example"},{"domain":"../etc"},{"domain":"a'b"}]}`)))
	if a.status != 200 || len(a.hello.Sites) != 3 || a.hello.Sites[0].SiteID != "new-example" || a.hello.Sites[1].Error == "" || a.hello.Sites[2].Error == "" {
		t.Errorf("%d %+v", a.status, a.hello)
	}
	if name := g.recv.Edges()[0].Name; name != "ab" {
		t.Errorf("name %q", name)
	}
}

func TestAHelloTellsWhatIsMissing(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 10, e.frame(1, 10, nil))
	unknown := shared.NewEpoch()
	kept := []shared.EpochSpan{
		{Epoch: e.epoch, Range: shared.Range{First: 5, Last: 20}}, {Epoch: unknown, Range: shared.Range{First: 21, Last: 30}},
	}
	want := []shared.EpochMark{{Epoch: e.epoch, Expected: 11}, {Epoch: unknown, Expected: 21}}
	if a := g.hello(e, kept...); !slices.Equal(a.hello.Expected, want) {
		t.Errorf("%+v", a.hello)
	}
	// Under a new edge id, the epochs of the old one are still known.
	e.id = shared.NewEdgeID()
	if a := g.hello(e, kept...); !slices.Equal(a.hello.Expected, want) {
		t.Errorf("under a new id: %+v", a.hello)
	}
}

func TestARequestThatBreaksOffIsHarmless(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	srv := httptest.NewServer(g.recv)
	defer srv.Close()
	body := e.frame(1, 200, nil)
	var head bytes.Buffer
	req, _ := http.NewRequest(http.MethodPost, srv.URL+shared.PathBatches, nil)
	req.Header.Set("Content-Type", shared.ContentTypeBatches)
	e.headers(req)
	_ = req.Header.Write(&head)
	for cut := 0; cut <= len(body); cut += 1 + len(body)/20 {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n", shared.PathBatches, len(body), head.Bytes())
		conn.Write(body[:cut])
		conn.(*net.TCPConn).SetLinger(0) // RST
		conn.Close()
	}
	// The whole body arrives, but nobody hears the answer.
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n", shared.PathBatches, len(body), head.Bytes())
	conn.Write(body)
	if _, err := bufio.NewReader(conn).ReadByte(); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	g.mustAck(e, 200, body)
	g.settle()
	g.wantCounts(e, seqs(1, 200)...)
	// A length that promises less than what comes ends the batch early.
	short, _ := http.NewRequest(http.MethodPost, srv.URL+shared.PathBatches, io.LimitReader(bytes.NewReader(e.frame(201, 5, nil)), 50))
	short.ContentLength = 50
	short.Header.Set("Content-Type", shared.ContentTypeBatches)
	e.headers(short)
	resp, err := http.DefaultClient.Do(short)
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// pipes is a listener in memory, so that time can be virtual.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

func TestASlowClientIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recv, err := New(Config{Tokens: theToken(token), DeadLetters: t.TempDir(), Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		ln := make(pipes)
		srv := &http.Server{Handler: recv}
		go srv.Serve(ln)
		client, server := net.Pipe()
		ln <- server
		began := time.Now()
		go func() {
			fmt.Fprintf(client, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\n%s: 0000000000000001\r\n%s: 1\r\n%s: 1\r\n\r\n",
				shared.PathBatches, shared.ContentTypeBatches, token, shared.HeaderBoot, shared.HeaderSentAt, shared.HeaderMonotonic)
			for {
				if _, err := client.Write([]byte("E")); err != nil {
					return
				}
				time.Sleep(time.Second) // a byte a second
			}
		}()
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("%+v %v", resp, err)
		}
		if took := time.Since(began); took > 2*pieceTime {
			t.Errorf("held on for %s", took)
		}
		client.Close()
		close(ln)
		defer time.Sleep(time.Minute) // the server lingers for a moment
		srv.Close()
	})
}
