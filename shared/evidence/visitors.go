package evidence

import "sync/atomic"

// visitors is a table of visitors' states, one word each:
//
//	51 bits  of the visitor's hash
//	 2 bits  state
//	11 bits  the minute it was last shown a page, modulo 34 hours
//
// A visitor's place is one of the eight words of one bucket, which the
// remaining bits of its hash choose: a look-up reads one cache line.
type visitors struct {
	buckets [buckets]bucket
}

type bucket [ways]atomic.Uint64

const (
	bucketBits = 14
	buckets    = 1 << bucketBits // × 64 bytes = 1 MiB, 131,072 visitors
	ways       = 8

	minuteBits = 11
	minuteMask = 1<<minuteBits - 1
	stateShift = minuteBits
	stateMask  = 3 << stateShift
	tagMask    = ^uint64(stateMask | minuteMask)

	viewed = 1 << stateShift
	proven = 2 << stateShift
)

func (t *visitors) bucketOf(key uint64) *bucket {
	// The lowest bits, which the tag leaves out.
	return &t.buckets[(key&^tagMask)<<1&(buckets-1)|key>>63]
}

// find returns the visitor's word and what it holds, or nil.
func (b *bucket) find(key uint64) (*atomic.Uint64, uint64) {
	for i := range b {
		word := b[i].Load()
		if word&tagMask == key&tagMask && word&stateMask != 0 {
			return &b[i], word
		}
	}
	return nil, 0
}

// victim returns the word that a new visitor takes: a free one, else that of
// the visitor who was shown a page longest ago.
func (b *bucket) victim(now int64) (*atomic.Uint64, uint64) {
	var at *atomic.Uint64
	var found uint64
	oldest := int64(-1)
	for i := range b {
		word := b[i].Load()
		if word == 0 {
			return &b[i], 0
		}
		if age := (now - int64(word)) & minuteMask; age > oldest {
			at, found, oldest = &b[i], word, age
		}
	}
	return at, found
}

// attempts bounds how often a place is looked for that others take meanwhile:
// what is remembered is worth less than a request's time.
const attempts = 4

// enter gives the visitor at least this state, and the time.
func (t *visitors) enter(key uint64, state uint64, now int64) {
	b := t.bucketOf(key)
	for range attempts {
		at, old := b.find(key)
		if at == nil {
			at, old = b.victim(now)
		} else if old&stateMask > state {
			state = old & stateMask
		}
		word := key&tagMask | state | uint64(now&minuteMask)
		if word == old || at.CompareAndSwap(old, word) {
			return
		}
	}
}

func (t *visitors) saw(key uint64, now int64)    { t.enter(key, viewed, now) }
func (t *visitors) proved(key uint64, now int64) { t.enter(key, proven, now) }

// prove reports whether this call is the one that proves a visitor who was
// shown a page.
func (t *visitors) prove(key uint64) bool {
	b := t.bucketOf(key)
	for range attempts {
		at, old := b.find(key)
		if at == nil || old&stateMask != viewed {
			return false
		}
		if at.CompareAndSwap(old, old&^uint64(stateMask)|proven) {
			return true
		}
	}
	return false
}
