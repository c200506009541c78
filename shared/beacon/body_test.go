package beacon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eider-analytics/eider/internal/cpu"
)

// TestSlowBodiesAreNotWaitedFor by a real server, which would wait for ever
// otherwise: also for a small one, and for one that no endpoint reads.
func TestSlowBodiesAreNotWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name, path, header string
		want               int
	}{
		{"small", "/api/send", "Content-Length: 100", http.StatusBadRequest},
		{"large", "/api/send", "Content-Length: 9000", http.StatusBadRequest},
		{"of no said length", "/api/event", "Transfer-Encoding: chunked", http.StatusBadRequest},
		{"a server's", "/api/events", "Content-Length: 100\r\nAuthorization: Bearer " + apiToken, http.StatusBadRequest},
		{"of no use", "/opt-out", "Content-Length: 100", http.StatusNoContent},
		{"refused unread", "/api/events", "Content-Length: 100", http.StatusUnauthorized},
		{"to nowhere", "/api/nothing", "Content-Length: 100", http.StatusNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, Mount{})
			d.in.slow.allow(150 * time.Millisecond)
			server := httptest.NewServer(d.in.At(d.mount))
			defer server.Close()
			conn := dial(t, server)
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-Test-Client: %s\r\n%s\r\n\r\n5", c.path, visitor, c.header)
			begun := time.Now()
			answer := answerOf(t, bufio.NewReader(conn))
			if answer.StatusCode != c.want || !answer.Close {
				t.Errorf("answered %s after %v, and the connection goes on: %v", answer.Status, time.Since(begun), !answer.Close)
			}
		})
	}
}

// TestNobodyInTimeIsMet: the requests of one connection are served while the
// looks go on, long after a body may have taken, and those who only wait for
// their answer are not taken for gone.
func TestNobodyInTimeIsMet(t *testing.T) {
	d := newDoor(t, Mount{})
	const allowed = 60 * time.Millisecond
	d.in.slow.allow(allowed)
	gone := make(chan error, 10)
	h := d.in.At(d.mount)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.URL.Path == "/api/event" {
			time.Sleep(3 * allowed) // whatever comes behind the intake
			gone <- r.Context().Err()
		}
	}))
	defer server.Close()
	slow := dial(t, server) // the looks go on for this one
	fmt.Fprintf(slow, "POST /api/send HTTP/1.1\r\nHost: x\r\nX-Test-Client: %s\r\nContent-Length: 100\r\n\r\n5", visitor)
	conn := dial(t, server)
	reader := bufio.NewReader(conn)
	const body = `{"n":"x","u":"https://site.example/","d":"site.example"}`
	for _, c := range []struct {
		path string
		want int
	}{{"/api/event", 202}, {"/opt-out", 204}, {"/api/event", 202}, {"/opt-in", 204}, {"/api/event", 202}} {
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-Test-Client: %s\r\nUser-Agent: %s\r\nContent-Length: %d\r\n\r\n%s", c.path, visitor, chrome, len(body), body)
		if answer := answerOf(t, reader); answer.StatusCode != c.want || answer.Close {
			t.Fatalf("%s: %s, close %v", c.path, answer.Status, answer.Close)
		}
		time.Sleep(3 * allowed)
	}
	for range len(gone) {
		if err := <-gone; err != nil {
			t.Errorf("a client that waits is taken for gone: %v", err)
		}
	}
	d.counted(Taken, 3)
}

// TestALateBodyIsRefusedWhole: a body whose last byte comes at the moment at
// which it is found late is not taken. Its connection has been cut off by then,
// and with it, in a server, the request's context: its sender would be told that
// it could not be written, and it would have been.
func TestALateBodyIsRefusedWhole(t *testing.T) {
	const body = `{"n":"x","u":"https://site.example/","d":"site.example"}`
	for name, late := range map[string]bool{"late": true, "in time": false} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, Mount{})
			d.in.slow.allow(30 * time.Millisecond)
			w := &deadlines{ResponseRecorder: httptest.NewRecorder(), set: make(chan struct{})}
			whole := strings.NewReader(body)
			r := httptest.NewRequest(http.MethodPost, "/api/event", readerFunc(func(b []byte) (int, error) {
				if late {
					<-w.set
				}
				return whole.Read(b)
			}))
			r.Header.Set("User-Agent", chrome)
			r.Header.Set("X-Test-Client", visitor)
			d.in.At(d.mount).ServeHTTP(w, r)
			if late {
				if w.Code != http.StatusBadRequest || w.Header().Get("Connection") != "close" {
					t.Errorf("answered %d, %v", w.Code, w.Header())
				}
				d.counted(Malformed, 1)
				d.counted(Taken, 0)
				return
			}
			if w.Code != http.StatusAccepted {
				t.Errorf("answered %d", w.Code)
			}
			d.counted(Taken, 1)
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestLooksEndWithTheBodies: nothing of a body is kept, and no timer runs for
// nobody.
func TestLooksEndWithTheBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s slowBodies
		s.allow(bodyTime)
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		late, early := &request{w: w}, &request{w: w}
		begun := time.Now()
		s.begin(late)
		for range 20 {
			s.begin(early)
			time.Sleep(time.Second)
			s.end(early)
		}
		synctest.Wait()
		if took := w.at.Sub(begun); w.n != 1 || took < bodyTime || took > bodyTime*4/3 {
			t.Errorf("%d deadlines, the last one after %v", w.n, took)
		}
		s.end(late)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(s.reading) != 0 || s.looking {
			t.Errorf("%d bodies are being read, looked for: %v", len(s.reading), s.looking)
		}
	})
}

// deadlines counts those that are set.
type deadlines struct {
	*httptest.ResponseRecorder
	n   int
	at  time.Time
	set chan struct{} // closed by the first one; nil = nobody waits
}

func (d *deadlines) SetReadDeadline(time.Time) error {
	if d.n++; d.n == 1 && d.set != nil {
		close(d.set)
	}
	d.at = time.Now()
	return nil
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // less than bodyTime
	return conn
}

func answerOf(t *testing.T, r *bufio.Reader) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer
}

// BenchmarkSmallBody is one message over one connection that is kept. What else
// a message costs is left out: the endpoint reads it and refuses it.
func BenchmarkSmallBody(b *testing.B) {
	server := httptest.NewServer(benchDoor(b))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := []byte("POST /api/event HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	reader := bufio.NewReader(conn)
	defer cpu.Report(b)()
	for b.Loop() {
		_, _ = conn.Write(request)
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	}
}
