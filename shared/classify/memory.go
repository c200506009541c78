package classify

import (
	"hash/maphash"
	"sync/atomic"
)

// Memory remembers the type that paths last answered with, so that a 304,
// which has none, can be told. It holds a fixed number of paths, the later
// ones pushing out earlier ones that fall on the same place: a client that
// asks for endless paths costs others their entry, never memory.
//
// It is safe for concurrent use. The zero value is empty and ready, but must
// not be copied.
type Memory struct {
	// Each slot holds the hash of a path, whose lowest bits are replaced by the type.
	slots [memorySlots]atomic.Uint64
}

const (
	memoryBits  = 13 // 64 KiB of slots
	memorySlots = 1 << memoryBits
	typeMask    = 7
)

// seed is drawn once: nobody outside can aim at a slot.
var seed = maphash.MakeSeed()

func memoryKey(site, path string) uint64 {
	return maphash.String(seed, path) ^ (maphash.String(seed, site) << 1)
}

// Learn remembers what a path of a site answered with. An answer without a
// type teaches nothing.
func (m *Memory) Learn(site, path, contentType string) {
	t := typeOf(contentType)
	switch t {
	case TypeUnknown:
		return
	case TypeXML:
		t = TypeOther
		if feedPath(path) {
			t = TypeFeed
		}
	}
	key := memoryKey(site, path)
	slot, value := &m.slots[key>>(64-memoryBits)], key&^typeMask|uint64(t)
	if slot.Load() != value { // most writes would change nothing
		slot.Store(value)
	}
}

// Recall returns what the path last answered with, or TypeUnknown.
func (m *Memory) Recall(site, path string) Type {
	key := memoryKey(site, path)
	value := m.slots[key>>(64-memoryBits)].Load()
	if value&^typeMask != key&^typeMask {
		return TypeUnknown
	}
	return Type(value & typeMask)
}
