package beacon

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxPooledBody keeps a rare huge body from staying in the pool.
const maxPooledBody = 1 << 20

var bodies = sync.Pool{New: func() any { return new([]byte) }}

// body reads the body, at most limit bytes of it, and hands it to use. Nothing
// of it may be kept. It returns false if it has answered.
func (q *request) body(limit int64, use func(body []byte)) bool {
	if q.r.ContentLength > limit {
		return q.tooLarge()
	}
	buf := bodies.Get().(*[]byte)
	defer func() {
		q.in.held.Add(-q.held)
		q.held = 0
		if cap(*buf) <= maxPooledBody {
			bodies.Put(buf)
		}
	}()
	var err error
	*buf, err = q.readInTime(http.MaxBytesReader(q.w, q.r.Body, limit), (*buf)[:0])
	if err != nil {
		q.w.Header().Set("Connection", "close") // what is left of the body is not waited for
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return q.tooLarge()
	case errors.Is(err, errManyBodies):
		q.in.counts.add(NotWritten, 1)
		q.w.Header().Set("Connection", "close")
		q.unavailable()
		return false
	case err != nil:
		q.in.counts.add(Malformed, 1)
		q.fail(Malformed, fieldError("", "the body ended early or came too slowly"), 0)
		return false
	}
	use(*buf)
	return true
}

func (q *request) tooLarge() bool {
	q.in.counts.add(TooLarge, 1)
	q.w.Header().Set("Connection", "close") // the rest of the body is not read
	q.fail(TooLarge, nil, 0)
	return false
}

// Bodies of senders that nobody vouches for are held by what has come of them,
// in pieces: a length that is only announced is no reason to keep memory, and
// all that come slowly at once keep no more than maxHeld, or twice that, as
// buffers grow by doubling.
const (
	maxHeld   = 64 << 20
	heldPiece = 256 << 10
)

var errManyBodies = errors.New("too many large bodies at once")

// hold accounts for n bytes of a body.
func (q *request) hold(n int) error {
	if q.sender.honoured || int64(n) <= maxBody+q.held {
		return nil
	}
	q.held += heldPiece
	if q.in.held.Add(heldPiece) > maxHeld {
		return errManyBodies
	}
	return nil
}

var errLate = errors.New("the body came too slowly")

// readInTime is readAll with an end. A body that is whole and was found late is
// late: with its connection, the request's context has ended, so that whoever
// writes the message would give up on it and say that it was not written.
func (q *request) readInTime(r io.Reader, buf []byte) (_ []byte, err error) {
	q.read = true
	q.in.slow.begin(q)
	defer func() {
		if inTime := q.in.slow.end(q); !inTime && err == nil {
			err = errLate
		}
	}()
	return q.readAll(r, buf)
}

// readAll appends everything that r has to buf.
func (q *request) readAll(r io.Reader, buf []byte) ([]byte, error) {
	expected := q.r.ContentLength
	if !q.sender.honoured {
		expected = min(expected, maxBody)
	}
	if n := int(expected) + 1; expected > 0 && cap(buf) < n { // one more for the end to show
		buf = make([]byte, 0, n)
	}
	for {
		if err := q.hold(len(buf)); err != nil {
			return buf, err
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		room := buf[len(buf):cap(buf)]
		n, err := r.Read(room[:min(len(room), heldPiece)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}
