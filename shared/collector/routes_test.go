package collector

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
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
