package beacon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestSlowBodiesBesideTheEndpointsEnd by a real server, which would wait for
// ever: whether the handler reads the body, or leaves it to the server.
func TestSlowBodiesBesideTheEndpointsEnd(t *testing.T) {
	const within = 100 * time.Millisecond
	mux := http.NewServeMux()
	mux.HandleFunc("/unread", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 64<<10)) })
	mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	// What takes its time once all is there is not cut off.
	mux.HandleFunc("/thinks", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusGatewayTimeout)
		case <-time.After(3 * within):
		}
	})
	server := httptest.NewServer(endSlowBodies(mux, within))
	defer server.Close()
	for _, path := range []string{"/unread", "/long", "/read", "/nowhere"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("%s: the connection is still held: %v", path, err)
		}
		_ = conn.Close()
	}
	for range 2 { // on the same connection
		res, err := http.Post(server.URL+"/thinks", "text/plain", strings.NewReader("all of it"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("what thinks is answered %d", res.StatusCode)
		}
	}
}

// setDeadlines is an answer whose connection has read deadlines.
type setDeadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *setDeadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// TestWithoutBodyNothingIsSet: a deadline costs a timer.
func TestWithoutBodyNothingIsSet(t *testing.T) {
	h := EndSlowBodies(http.NotFoundHandler())
	for body, want := range map[string]int{"": 0, "x": 1} {
		w := &setDeadlines{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "POST", "/", strings.NewReader(body)))
		if len(w.set) != want || want > 0 && time.Until(w.set[0]) > otherBodyTime {
			t.Errorf("body %q: deadlines %v, want %d", body, w.set, want)
		}
	}
}

// TestPanicsAreHidden: neither what a panic says nor whose request it was gets
// into a log.
func TestPanicsAreHidden(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	log := zap.New(core)
	var own bytes.Buffer
	server := httptest.NewUnstartedServer(HidePanics(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/aborts" {
			panic(http.ErrAbortHandler)
		}
		panic("a defect at " + r.RequestURI)
	}), log))
	server.Config.ErrorLog = stdlog.New(&own, "", 0)
	server.Start()
	for _, path := range []string{"/?token=SECRET", "/aborts"} {
		if res, err := http.Get(server.URL + path); err == nil {
			_ = res.Body.Close()
			t.Errorf("%s: answered %d", path, res.StatusCode)
		}
	}
	server.Close()
	all := logs.All()
	if len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()["stack"]), "slow_test.go") {
		t.Fatalf("%v", all)
	}
	if text := fmt.Sprint(all[0].Message, all[0].ContextMap(), own.String()); strings.Contains(text, "SECRET") || strings.Contains(text, "127.0.0.1") {
		t.Error(text)
	}
}
