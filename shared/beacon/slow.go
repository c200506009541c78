package beacon

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// bodyTime is how long a body may take, or a third longer. Who sends a byte now
// and then holds a connection, a goroutine and memory at no cost of their own.
const bodyTime = 15 * time.Second

// slowBodies ends the reading of bodies that do not come.
//
// A read deadline for each would be a timer for each, set and taken away, which
// wakes the thread that waits for the network: that was a tenth of what a small
// message costs. Nearly every body is there when it is asked for. So those that
// are being read are looked at together, now and then, and only the connection of
// one that is late is touched. The server's own deadlines stand.
type slowBodies struct {
	every time.Duration // from look to look

	mu      sync.Mutex
	reading map[*request]int // looks there were when it began
	looks   int
	looking bool // another look will come
}

// looksEach is how many looks a body sees at least before it is late.
const looksEach = 3

// allow sets how long a body may take.
func (s *slowBodies) allow(d time.Duration) {
	s.every, s.reading = d/looksEach, map[*request]int{}
}

// begin is called before a body is read, end afterwards, in any case. end tells
// whether the body was in time: if so, its connection has not been touched, and
// will not be.
func (s *slowBodies) begin(q *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading[q] = s.looks
	if !s.looking {
		s.looking = true
		time.AfterFunc(s.every, s.look)
	}
}

func (s *slowBodies) end(q *request) (inTime bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, inTime = s.reading[q]
	delete(s.reading, q)
	return inTime
}

// look lets the readers of late bodies fail. The lock is held meanwhile, so that
// nobody's next request on the connection is met.
func (s *slowBodies) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	for q, begun := range s.reading {
		if s.looks-begun > looksEach {
			_ = http.NewResponseController(q.w).SetReadDeadline(time.Unix(1, 0)) // where the server has deadlines
			delete(s.reading, q)
		}
	}
	if s.looking = len(s.reading) > 0; s.looking {
		time.AfterFunc(s.every, s.look)
	}
}

// leave ends a request. A body that nobody has read is read by the server before
// it answers, to keep the connection: with a deadline of its own, since nobody
// looks after it any more. The server takes it away for the next request.
func (q *request) leave() {
	if q.read || q.r.ContentLength == 0 || q.r.Body == nil || q.r.Body == http.NoBody {
		return
	}
	_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(looksEach * q.in.slow.every))
}

// otherBodyTime is how long a body may take that is none of the collection
// endpoints'. They are short, and of people and programs that mean it.
const otherBodyTime = 30 * time.Second

// EndSlowBodies is for all that a server with collection endpoints answers beside
// them: it bounds how long a body may take that the handler has no bound for,
// or does not read at all. The server reads such a one before it answers, and
// would wait for ever. A handler may set a deadline of its own as it reads.
func EndSlowBodies(next http.Handler) http.Handler { return endSlowBodies(next, otherBodyTime) }

func endSlowBodies(next http.Handler, within time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		rc := http.NewResponseController(w)
		_ = rc.SetReadDeadline(time.Now().Add(within)) // where the server has deadlines
		r = r.WithContext(r.Context())                 // a copy: the body is the server's
		r.Body = &endingBody{r.Body, rc}
		next.ServeHTTP(w, r)
	})
}

// endingBody lifts the deadline once all of the body is there: what a handler
// makes of it may take longer, and a deadline that passes would look to the
// server as if the client had gone.
type endingBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (b *endingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
