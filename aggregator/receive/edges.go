package receive

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// edge is what the receiver holds of one edge id.
type edge struct {
	// lock is held while a request of this edge is decided and recorded. It is
	// a channel so that waiting for it can end.
	lock chan struct{}

	// Guarded by lock.
	info    state.Edge
	lagMS   int64
	recent  []verdict // ring of the latest
	oldest  int       // index in recent once it is full
	refused int       // rejections that recent lists
	damaged damage

	health atomic.Pointer[EdgeHealth]
}

// keptVerdicts bounds the memory per edge for answering a repeated batch as
// the first time, and for noticing other bytes in its place.
const keptVerdicts = 512

// keptRejections bounds it too: a batch of a few hundred bytes can be all
// refused. The latest one always fits, and so does a window of an edge.
const keptRejections = shared.MaxBatchEvents

// verdict is how one frame was decided.
type verdict struct {
	epoch       shared.Epoch
	first, last uint64
	sum         [batch.SumSize]byte
	data        bool // false: a loss marker, which may stand for data that was there before
	undecodable bool
	rejected    []shared.Rejected
}

// damage counts how often the very same wrong bytes came.
type damage struct {
	sum   [batch.SumSize]byte
	times int
}

// again notes wrong bytes and reports whether they came often enough to be
// what the edge has.
func (d *damage) again(sum [batch.SumSize]byte) bool {
	if d.sum != sum {
		*d = damage{sum: sum}
	}
	d.times++
	return d.times >= sameDamage
}

func (r *Receiver) edge(id shared.EdgeID) *edge {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.edges[id]
	if e == nil {
		e = &edge{lock: make(chan struct{}, 1), info: state.Edge{ID: id}}
		r.edges[id] = e
	}
	return e
}

func (e *edge) acquire(ctx context.Context) error {
	select {
	case e.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *edge) releaseLock() { <-e.lock }

func (e *edge) remember(v verdict) {
	e.refused += len(v.rejected)
	if len(e.recent) < keptVerdicts {
		e.recent = append(e.recent, v)
	} else {
		e.refused -= len(e.recent[e.oldest].rejected)
		e.recent[e.oldest] = v
		e.oldest = (e.oldest + 1) % keptVerdicts
	}
	for i := 0; e.refused > keptRejections && i < len(e.recent)-1; i++ {
		old := &e.recent[(e.oldest+i)%len(e.recent)]
		e.refused -= len(old.rejected)
		old.rejected = nil
	}
}

// repeat adds to ack what was said about the sequences of h when they first
// came, as far as it is remembered. conflict reports that h's frame holds
// other bytes than the one that was accepted for this range.
func (e *edge) repeat(f *batch.Frame, through uint64, ack *shared.Ack) (conflict bool) {
	h := &f.Header
	last := min(h.LastSeq(), through)
	for i := range e.recent {
		v := &e.recent[i]
		if v.epoch != h.Epoch || v.last < h.FirstSeq || v.first > last {
			continue
		}
		if v.undecodable {
			ack.Undecodable = append(ack.Undecodable, shared.Range{First: max(v.first, h.FirstSeq), Last: min(v.last, last)})
		}
		for _, rej := range v.rejected {
			if rej.Seq >= h.FirstSeq && rej.Seq <= last {
				ack.Rejected = append(ack.Rejected, rej)
			}
		}
		if v.data && h.Kind == shared.BatchData && v.sum != f.Sum && v.first == h.FirstSeq {
			conflict = true
		}
	}
	return conflict
}

// publish makes the edge's state visible to Edges.
func (e *edge) publish(m *marks) {
	h := &EdgeHealth{Edge: e.info, LagMS: e.lagMS}
	m.sum(h)
	e.health.Store(h)
}

// marks holds how far each epoch of each edge was accepted. Its lock is held
// for moments only; an edge's own lock orders the changes of its marks.
type marks struct {
	mu      sync.Mutex
	of      map[markKey]state.Mark
	byEpoch map[shared.Epoch]shared.EdgeID
	totals  map[shared.EdgeID]totals
}

type markKey struct {
	edge  shared.EdgeID
	epoch shared.Epoch
}

// totals are an edge's sums over all its epochs, and the highest of its marks:
// the sequence of an edge goes on from epoch to epoch.
type totals struct{ accepted, rejected, lost, highest uint64 }

func newMarks() *marks {
	return &marks{
		of:      map[markKey]state.Mark{},
		byEpoch: map[shared.Epoch]shared.EdgeID{},
		totals:  map[shared.EdgeID]totals{},
	}
}

func (m *marks) put(mark state.Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := markKey{mark.Edge, mark.Epoch}
	old := m.of[key]
	m.of[key] = mark
	m.byEpoch[mark.Epoch] = mark.Edge
	t := m.totals[mark.Edge]
	t.accepted += mark.Accepted - old.Accepted
	t.rejected += mark.Rejected - old.Rejected
	t.lost += mark.Lost - old.Lost
	t.highest = max(t.highest, mark.Expected)
	m.totals[mark.Edge] = t
}

// get returns the mark of h's epoch; one that is not known yet begins at the
// epoch's first sequence, which the header brings.
func (m *marks) get(h *shared.Header) (mark state.Mark, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if mark, ok := m.of[markKey{h.Edge, h.Epoch}]; ok {
		return mark, true
	}
	return state.Mark{Edge: h.Edge, Epoch: h.Epoch, EpochFirst: h.EpochFirst, Expected: h.EpochFirst}, false
}

// expected returns the next sequence of an epoch. An edge that had to take a
// new id still keeps epochs under its old one, so an epoch that is unknown
// under this edge is looked for under the others.
func (m *marks) expected(id shared.EdgeID, epoch shared.Epoch) (uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mark, ok := m.of[markKey{id, epoch}]
	if !ok {
		if other, found := m.byEpoch[epoch]; found {
			mark, ok = m.of[markKey{other, epoch}]
		}
	}
	return mark.Expected, ok
}

// find returns the mark of an epoch of an edge.
func (m *marks) find(id shared.EdgeID, epoch shared.Epoch) (state.Mark, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mark, ok := m.of[markKey{id, epoch}]
	return mark, ok
}

// highest is the sequence before which something of the edge was accepted.
func (m *marks) highest(id shared.EdgeID) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.totals[id].highest
}

// sum fills in how far an edge has been accepted.
func (m *marks) sum(h *EdgeHealth) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.totals[h.ID]
	h.Accepted, h.Rejected, h.Lost = t.accepted, t.rejected, t.lost
	h.Expected = m.of[markKey{h.ID, h.Epoch}].Expected
}
