package caddymodule

import (
	"sync"

	"github.com/eider-analytics/eider/shared"
)

// ringSize is how many observations wait for the recorder at most: about 2 MiB, as
// much again for their texts and, at 20,000 page views a second, 0.2 s.
const ringSize = 4096

// books is what the ring tells of what it takes and turns away.
type books interface {
	Capture(n uint64)
	Discard(n uint64, r shared.DropReason)
}

// ring is a bounded queue of observations from many request goroutines to the
// one recorder. Pushing never waits for the recorder: a full ring is a counted
// drop.
//
// Until the queue is open it keeps the books itself and hands them over in
// open; after close it turns everything away.
type ring struct {
	mu     sync.Mutex
	slots  []slot
	head   int // the oldest
	n      int
	closed bool
	books  books // nil until the queue is open

	captured uint64 // before the queue was open, and after it closed
	dropped  uint64
	reason   shared.DropReason // of these drops

	wake chan struct{} // holds a token when the ring is not empty any more
	half chan struct{} // holds a token when it is half full
}

func newRing(size int) *ring {
	return &ring{slots: make([]slot, size), wake: make(chan struct{}, 1), half: make(chan struct{}, 1), reason: shared.DropError}
}

// slot is one observation and where its texts are.
type slot struct {
	shared.Observation
	texts texts
}

// push takes a copy of o and the room that its texts are in, for which it gives
// an empty one; or it counts a drop.
func (r *ring) push(o *shared.Observation, t *texts) {
	r.mu.Lock()
	full := r.closed || r.n == len(r.slots)
	if !full {
		s := &r.slots[(r.head+r.n)%len(r.slots)]
		s.Observation = *o
		s.texts, *t = *t, s.texts
		r.n++
	}
	first, half := r.n == 1, r.n == len(r.slots)/2
	r.account(full)
	r.mu.Unlock()
	if first && !full {
		signal(r.wake)
	}
	if half && !full {
		signal(r.half)
	}
}

// signal leaves a token in a channel that holds one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (r *ring) account(dropped bool) {
	if r.books == nil {
		r.captured++
		if dropped {
			r.dropped++
		}
		return
	}
	r.books.Capture(1)
	if dropped {
		r.books.Discard(1, shared.DropRing)
	}
}

// front returns the oldest observations, in order, for the recorder to read in
// place: pushing does not touch slots that are taken. At most batch at once.
func (r *ring) front(batch int) []slot {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(r.n, batch, len(r.slots)-r.head)
	return r.slots[r.head : r.head+n]
}

// advance gives the n oldest slots back. Their addresses and texts are wiped.
// Only the recorder calls it: nobody else moves the head.
func (r *ring) advance(n int) {
	for i := range n { // they are still the recorder's
		s := &r.slots[r.head+i]
		s.Observation = shared.Observation{}
		s.texts.wipe()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head = (r.head + n) % len(r.slots)
	r.n -= n
}

// open hands the books over to the queue, which is open now.
func (r *ring) open(b books) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b.Capture(r.captured)
	b.Discard(r.dropped, r.reason)
	r.books, r.captured, r.dropped = b, 0, 0
}

// unavailable says why the queue is not open, for the drops until it is.
func (r *ring) unavailable(reason shared.DropReason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = reason
}

// close turns away whatever comes from now on.
func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// detach takes the books back before the queue closes.
func (r *ring) detach() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.books = nil
}

// counters are the ring's own books: all there is until the queue is open.
func (r *ring) counters() shared.Counters {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := shared.Counters{Captured: r.captured, Queued: r.captured - r.dropped}
	c.Dropped[r.reason].Count = r.dropped
	return c
}

func (r *ring) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}
