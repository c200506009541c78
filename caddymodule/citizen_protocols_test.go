package caddymodule

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/eider-analytics/eider/shared"
)

// withAndWithout lets a real client talk to the same site, first without the
// module and then with it, and holds the two conversations against each other.
// It leaves the edge with the module loaded.
func withAndWithout(t *testing.T, e *edge, site string, talk func(t *testing.T) string) {
	t.Helper()
	var said [2]string
	for i, head := range []string{"", "eider {\n\t\tsite demo.localhost\n\t}"} {
		e.stop() // a connection that comes during a reload may be closed unanswered
		e.load(strings.ReplaceAll(site, "$EIDER", head))
		said[i] = talk(t)
	}
	if said[0] == "" || said[0] != said[1] {
		t.Errorf("without the module: %.2000q\nwith it: %.2000q", said[0], said[1])
	}
}

// exactly waits for the results and compares them.
func (e *edge) exactly(want map[string]float64) {
	e.t.Helper()
	eventually(e.t, "a result of each request", func() bool { return sum(e.results()) >= sum(want) })
	if got := e.results(); len(got) != len(want) || !sameCounts(got, want) {
		e.t.Errorf("results %v, want %v", got, want)
	}
}

// Line 1: informational answers pass, and the status after them is recorded.
func TestCitizen1InformationalAnswersPass(t *testing.T) {
	e := newEdge(t)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost { // reading the body sends 100 Continue
			n, _ := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprintf(w, "%d bytes", n)
			return
		}
		for _, link := range []string{"</a.css>; rel=preload; as=style", "</b.js>; rel=preload; as=script"} {
			w.Header().Set("Link", link)
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Del("Link")
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<p>gone")
	})
	ask := func(method string, body io.Reader, headers ...string) string {
		req, _ := http.NewRequest(method, "http://"+e.addr+"/", body)
		asReader(req, headers...)
		var said strings.Builder
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			Got100Continue: func() { said.WriteString("continue; ") },
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				// Caddy says 100 when the body is first read and passes the origin's
				// on: one or two of them arrive, whichever is faster.
				if code != http.StatusContinue {
					_, _ = fmt.Fprintf(&said, "%d %s; ", code, h["Link"])
				}
				return nil
			},
		}))
		client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second, DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = fmt.Fprint(&said, resp.StatusCode, resp.Header["Link"], bodyOf(t, resp))
		return said.String()
	}
	withAndWithout(t, e, "$ADDR {\n\t$EIDER\n\treverse_proxy "+up+"\n}", func(t *testing.T) string {
		hints := ask("GET", nil)
		if !strings.HasPrefix(hints, "103 [</a.css>") || strings.Count(hints, "103 ") != 2 {
			t.Errorf("hints %q", hints)
		}
		posted := ask("POST", strings.NewReader(strings.Repeat("x", 5000)), "Expect: 100-continue")
		if !strings.HasPrefix(posted, "continue; ") {
			t.Errorf("posted %q", posted)
		}
		return hints + posted
	})
	if ev := e.agg.wait(t, 1)[0]; ev.Kind != shared.KindError || ev.Status.V != 404 {
		t.Errorf("recorded as %+v", ev)
	}
	e.exactly(map[string]float64{"error": 1, "method": 1})
}

// Line 2: WebSocket, with a real handshake and frames both ways, of which one is
// larger than any buffer between.
func TestCitizen2WebSocket(t *testing.T) {
	e := newEdge(t)
	up := origin(t, websocket.Handler(func(c *websocket.Conn) {
		for {
			var message []byte
			if err := websocket.Message.Receive(c, &message); err != nil {
				return
			}
			if err := websocket.Message.Send(c, append([]byte("echo "), message...)); err != nil {
				return
			}
		}
	}).ServeHTTP)
	withAndWithout(t, e, "$ADDR {\n\t$EIDER\n\tencode\n\treverse_proxy "+up+"\n}", func(t *testing.T) string {
		config, err := websocket.NewConfig("ws://"+e.addr+"/socket", "http://"+e.addr)
		if err != nil {
			t.Fatal(err)
		}
		config.Header = http.Header{"User-Agent": {chrome}}
		conn, err := config.DialContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		var said strings.Builder
		for _, message := range []string{"hello", "", strings.Repeat("a large frame ", 100_000), "\x00\xff"} {
			var got []byte
			if err := websocket.Message.Send(conn, []byte(message)); err != nil {
				t.Fatal(err)
			}
			if err := websocket.Message.Receive(conn, &got); err != nil {
				t.Fatal(err)
			}
			if string(got) != "echo "+message {
				t.Errorf("%.40q comes back as %.40q", message, got)
			}
			said.Write(got)
		}
		return said.String()
	})
	e.exactly(map[string]float64{"upgrade": 1})
}

// Line 2: an event is read while the next one is not sent yet.
func TestCitizen2ServerSentEvents(t *testing.T) {
	e := newEdge(t)
	next := make(chan struct{})
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	withAndWithout(t, e, "$ADDR {\n\t$EIDER\n\tencode\n\treverse_proxy "+up+"\n}", func(t *testing.T) string {
		var said strings.Builder
		for _, encoding := range []string{"", "gzip"} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+e.addr+"/events", nil)
			asReader(req, "Accept: text/event-stream", "Accept-Encoding: "+encoding)
			resp, err := plainClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			var events io.Reader = resp.Body
			if encoding != "" {
				if events, err = gzip.NewReader(resp.Body); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 3 {
				buf := make([]byte, len("data: 0\n\n"))
				_, err := io.ReadFull(events, buf) // hangs if anything holds it back
				if want := fmt.Sprintf("data: %d\n\n", i); err != nil || string(buf) != want {
					t.Fatalf("%q %v, want %q", buf, err, want)
				}
				said.Write(buf)
				next <- struct{}{}
			}
			resp.Body.Close()
			cancel()
		}
		return said.String()
	})
	e.exactly(map[string]float64{"asset": 2})
}

// Line 2: gRPC over HTTP/2 without TLS: a call, a stream that stays open, a
// status in the trailer.
func TestCitizen2GRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, service := grpc.NewServer(), health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	e := newEdge(t)
	e.global = "servers {\n\t\tprotocols h1 h2c\n\t}"
	withAndWithout(t, e, "$ADDR {\n\t$EIDER\n\tencode\n\treverse_proxy h2c://"+listener.Addr().String()+"\n}", func(t *testing.T) string {
		service.SetServingStatus("shop", grpc_health_v1.HealthCheckResponse_SERVING)
		conn, err := grpc.NewClient(e.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent(chrome))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		client := grpc_health_v1.NewHealthClient(conn)
		var said strings.Builder
		var trailer metadata.MD
		for _, name := range []string{"shop", "nowhere"} {
			reply, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: name}, grpc.Trailer(&trailer))
			delete(trailer, "date")
			_, _ = fmt.Fprint(&said, reply.GetStatus(), " ", err, trailer, "\n")
		}
		watching, stop := context.WithCancel(ctx)
		stream, err := client.Watch(watching, &grpc_health_v1.HealthCheckRequest{Service: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		for _, status := range []grpc_health_v1.HealthCheckResponse_ServingStatus{
			grpc_health_v1.HealthCheckResponse_NOT_SERVING, grpc_health_v1.HealthCheckResponse_SERVING,
		} {
			reply, err := stream.Recv() // hangs if anything holds it back
			_, _ = fmt.Fprint(&said, reply.GetStatus(), " ", err, "\n")
			service.SetServingStatus("shop", status)
		}
		stop()
		for err == nil {
			_, err = stream.Recv()
		}
		if want := "SERVING <nil>"; !strings.HasPrefix(said.String(), want) || !strings.Contains(said.String(), "NotFound") {
			t.Errorf("said %q", said.String())
		}
		return said.String()
	})
	e.exactly(map[string]float64{"method": 3})
}

// Line 2: parts of files, and bodies in each encoding. What is recorded of the
// size is what went over the wire.
func TestCitizen2RangesAndCompressedBodies(t *testing.T) {
	text := strings.Repeat("<p>eider eider eider</p>\n", 4000)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		typ := "text/html"
		if strings.HasSuffix(r.URL.Path, ".zip") {
			typ = "application/zip"
		}
		w.Header().Set("Content-Type", typ)
		http.ServeContent(w, r, "", time.Unix(1_700_000_000, 0), strings.NewReader(text))
	})
	unpack := map[string]func(io.Reader) (io.Reader, error){
		"":     func(r io.Reader) (io.Reader, error) { return r, nil },
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	e := newEdge(t)
	withAndWithout(t, e, "$ADDR {\n\t$EIDER\n\tencode gzip zstd\n\treverse_proxy "+up+"\n}", func(t *testing.T) string {
		var said strings.Builder
		for _, c := range []struct{ path, encoding, ranged, want string }{
			{"/page", "", "", text},
			{"/page", "gzip", "", text},
			{"/page", "zstd", "", text},
			{"/a.zip", "", "", text},
			{"/a.zip", "", "bytes=0-99", text[:100]},
			{"/a.zip", "", "bytes=100-", text[100:]},
			{"/a.zip", "", "bytes=-5", text[len(text)-5:]},
			{"/a.zip", "", "bytes=99999999-", ""},
		} {
			resp := e.get(c.path, "Accept-Encoding: "+c.encoding, "Range: "+c.ranged)
			wire := bodyOf(t, resp)
			if resp.Header.Get("Content-Encoding") != c.encoding {
				t.Fatalf("%+v: %v", c, resp.Header)
			}
			reader, err := unpack[c.encoding](strings.NewReader(wire))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(reader); c.want != "" && (err != nil || !bytes.Equal(got, []byte(c.want))) {
				t.Errorf("%+v: %d bytes unpacked: %v", c, len(got), err)
			}
			_, _ = fmt.Fprint(&said, resp.StatusCode, resp.Header["Content-Range"], len(wire), wire)
		}
		return said.String()
	})
	sizes := map[int64]int{}
	for _, ev := range e.agg.wait(t, 5) {
		sizes[ev.BytesSent.V]++
	}
	if sizes[int64(len(text))] != 2 || sizes[100] != 1 || len(sizes) < 4 {
		t.Errorf("recorded sizes %v, plain is %d", sizes, len(text))
	}
	e.exactly(map[string]float64{"pageview": 3, "download": 2, "partial": 3})
}
