package receive

import (
	"sync"

	"github.com/eider-analytics/eider/shared"
)

// boots knows which processes have said hello, by their boot nonce, and which
// of them speaks for an edge.
//
// A nonce that is new takes the edge over at once: that is what a restart
// after a kill -9 looks like. Only when the nonce that was replaced speaks
// again are there two processes with one edge's identity, that is, a copied
// queue directory; then the one that speaks is told to take a new id. Which of
// the two that is does not matter: each opening of a queue has an epoch of its
// own, and what both copies still hold of older epochs is the same bytes.
type boots struct {
	mu      sync.Mutex
	of      map[shared.Epoch]boot
	speaker map[shared.EdgeID]shared.Epoch
	order   []shared.Epoch // oldest first
}

// boot is what a process last said hello for.
type boot struct {
	edge  shared.EdgeID
	epoch shared.Epoch
}

// keptBoots bounds the memory for processes that have long gone. One that is
// forgotten is asked to say hello again.
const keptBoots = 16 << 10

func newBoots() *boots {
	return &boots{of: map[shared.Epoch]boot{}, speaker: map[shared.EdgeID]shared.Epoch{}}
}

// hello notes that a process speaks for an edge, and reports false if another
// one has taken the edge over from it.
func (b *boots) hello(id shared.EdgeID, epoch, nonce shared.Epoch) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.of[nonce]
	if ok && known.edge == id && b.speaker[id] != nonce {
		return false
	}
	if !ok {
		b.order = append(b.order, nonce)
		if len(b.order) > keptBoots {
			gone := b.order[0]
			b.order = b.order[1:]
			if e := b.of[gone].edge; b.speaker[e] == gone {
				delete(b.speaker, e)
			}
			delete(b.of, gone)
		}
	}
	b.of[nonce] = boot{edge: id, epoch: epoch}
	b.speaker[id] = nonce
	return true
}

// standing is what a process may do for an edge.
type standing uint8

const (
	standsUnknown standing = iota // has not said hello in this life of the aggregator
	standsWell
	standsReplaced // another process has taken the edge over from it
)

// batch says how a process stands that sends batches of an edge. One that has
// moved on to a new id still sends what it had sealed under the old one.
func (b *boots) batch(id shared.EdgeID, nonce shared.Epoch) standing {
	b.mu.Lock()
	defer b.mu.Unlock()
	known, ok := b.of[nonce]
	switch {
	case !ok:
		return standsUnknown
	case known.edge == id && b.speaker[id] != nonce:
		return standsReplaced
	}
	return standsWell
}

// epoch is the one that a process writes now; 0 if it is not known.
func (b *boots) epoch(nonce shared.Epoch) shared.Epoch {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of[nonce].epoch
}
