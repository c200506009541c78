package collector

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// late is an answer that remembers whether its body must come in time.
type late struct {
	*httptest.ResponseRecorder
	by time.Time
}

func (l *late) SetReadDeadline(at time.Time) error { l.by = at; return nil }

// TestBodiesOfOtherPathsMustCome: the listener is open to everybody, and the
// server reads what no handler has read before it answers.
func TestBodiesOfOtherPathsMustCome(t *testing.T) {
	h := (&Collector{}).routes()
	for _, path := range []string{"/livez", "/metrics", "/nowhere"} {
		w := &late{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequest("GET", path, strings.NewReader("a body")))
		if left := time.Until(w.by); left <= 0 || left > time.Minute {
			t.Errorf("%s: the body may take %s", path, left)
		}
	}
}

// TestAPanicNamesNobody: the log says where it was, not whose request it was.
func TestAPanicNamesNobody(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	c := &Collector{log: zap.New(core)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.serve(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { panic("a defect at " + r.RequestURI) }), make(chan error, 1))
	if res, err := http.Get("http://" + l.Addr().String() + "/?token=SECRET"); err == nil {
		_ = res.Body.Close()
		t.Errorf("answered %d", res.StatusCode)
	}
	if err := c.servers[0].Close(); err != nil {
		t.Error(err)
	}
	var text strings.Builder
	for _, entry := range logs.All() {
		fmt.Fprintln(&text, entry.Message, entry.ContextMap())
	}
	if s := text.String(); !strings.Contains(s, "routes_test.go") || strings.Contains(s, "SECRET") || strings.Contains(s, "127.0.0.1") {
		t.Error(s)
	}
}
