package receive

import (
	"sync"
	"sync/atomic"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// handover brings recorded batches into the order of the spool: requests
// finish their fsync in any order, the sink must see positions without a gap,
// as its commit says "through".
type handover struct {
	mu      sync.Mutex
	next    uint64             // position to hand over next
	waiting map[uint64]pending // recorded, by position
	closing bool

	ready  chan struct{} // holds one token when there may be something to take
	events atomic.Int64  // in waiting
	done   atomic.Uint64 // last position that the sink has
}

// pending is one batch on its way to the sink; release gives its memory back.
type pending struct {
	batch   lake.Batch
	release func()
}

func newHandover() *handover {
	return &handover{waiting: map[uint64]pending{}, ready: make(chan struct{}, 1)}
}

func (h *handover) begin(next uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next = next
	h.done.Store(next - 1)
}

// put adds a recorded batch. It never waits: room was reserved before the
// batch was decoded.
func (h *handover) put(p pending) {
	h.mu.Lock()
	h.waiting[p.batch.SpoolPos] = p
	h.mu.Unlock()
	h.events.Add(int64(len(p.batch.Events)))
	h.wake()
}

// take returns the next batch if it is there.
func (h *handover) take() (pending, bool) {
	h.mu.Lock()
	p, ok := h.waiting[h.next]
	if ok {
		delete(h.waiting, h.next)
		h.next++
	}
	h.mu.Unlock()
	if ok {
		h.events.Add(-int64(len(p.batch.Events)))
	}
	return p, ok
}

func (h *handover) close() {
	h.mu.Lock()
	h.closing = true
	h.mu.Unlock()
	h.wake()
}

func (h *handover) closed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closing
}

func (h *handover) wake() {
	select {
	case h.ready <- struct{}{}:
	default:
	}
}
