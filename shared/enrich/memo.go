package enrich

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// memo remembers the results of a pure function of a string in bounded memory.
//
// It is a set-associative table of immutable entries behind atomic pointers:
// no lock, so that all request goroutines can ask at once, and no allocation
// for a key that is there. A key hashes to one set of memoWays entries; a new
// one replaces the entry after the last replaced. The hash is seeded, so that
// nobody outside can aim at one set.
//
// The bound is memoSets × memoWays keys of at most maxUserAgent bytes: 4 MiB
// when somebody sends as many different ones, a few hundred KiB on real
// traffic.
type memo[V any] struct {
	seed maphash.Seed
	sets [memoSets]memoSet[V]
}

const (
	memoSets = 1024 // a power of two
	memoWays = 4
)

// A set fills one cache line. The tags spare a look at the entries of other
// keys, which lie anywhere in memory; the key itself decides, so a tag that
// does not belong to its entry any more costs a miss and nothing else.
type memoSet[V any] struct {
	tag   [memoWays]atomic.Uint32
	next  atomic.Uint32
	entry [memoWays]atomic.Pointer[memoEntry[V]]
}

type memoEntry[V any] struct {
	key   string
	value V
}

func newMemo[V any]() *memo[V] { return &memo[V]{seed: maphash.MakeSeed()} }

// get returns make(key), remembered or made now. What make returns may refer
// to the key that it is given: that one is the memo's own copy.
func (m *memo[V]) get(key string, make func(key string) V) *V {
	h := maphash.String(m.seed, key)
	set, tag := &m.sets[h%memoSets], uint32(h>>32)
	for i := range set.entry {
		if set.tag[i].Load() != tag {
			continue
		}
		if e := set.entry[i].Load(); e != nil && e.key == key {
			return &e.value
		}
	}
	key = strings.Clone(key)
	e := &memoEntry[V]{key: key, value: make(key)}
	way := set.next.Add(1) % memoWays
	set.entry[way].Store(e)
	set.tag[way].Store(tag)
	return &e.value
}
