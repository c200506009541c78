package evidence

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// ahead is a table of pages that were fetched ahead and not yet seen. Most
// requests find that there is none of theirs without taking the lock.
type ahead struct {
	newest atomic.Int64 // minute of the last one noted: after its time nothing is looked for
	keys   [pending]atomic.Uint64
	mu     sync.Mutex // guards pages, and the writing of keys
	pages  [pending]aheadPage
}

type aheadPage struct {
	viewID uint64
	minute int64
}

const (
	pending   = 4096 // pages, in sets of aheadWays: 96 KiB
	aheadWays = 4

	// PendingFor is how long a page that was fetched ahead waits to be seen, in
	// minutes. Its view has the time at which it was fetched: later than a
	// visit's pause it would be counted into the wrong visit.
	PendingFor = 30
)

// aheadSeed makes places unforeseeable.
var aheadSeed = maphash.MakeSeed()

// place returns a page's key, which is never zero, and the first place of its
// set.
func place(visitor uint64, target string) (key uint64, set int) {
	key = maphash.String(aheadSeed, target) ^ visitor
	if key == 0 {
		key = 1
	}
	return key, int(key>>32) % (pending / aheadWays) * aheadWays
}

// idle reports whether no page can be waiting.
func (a *ahead) idle(now int64) bool {
	newest := a.newest.Load()
	return newest == 0 || now-newest > PendingFor
}

func (a *ahead) note(visitor uint64, target string, viewID uint64, now int64) {
	key, set := place(visitor, target)
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.room(key, set)
	a.pages[at] = aheadPage{viewID: viewID, minute: now}
	a.keys[at].Store(key)
	a.newest.Store(now)
}

// room returns the place for a page: its own if it is noted already, else a
// free one, else that of the page that was fetched longest ago. The caller holds
// mu.
func (a *ahead) room(key uint64, set int) int {
	oldest, free := set, -1
	for i := set; i < set+aheadWays; i++ {
		switch held := a.keys[i].Load(); {
		case held == key:
			return i
		case held == 0:
			free = i
		case a.pages[i].minute < a.pages[oldest].minute:
			oldest = i
		}
	}
	if free >= 0 {
		return free
	}
	return oldest
}

// take returns the view id of a page that waits, and lets it go.
func (a *ahead) take(visitor uint64, target string, now int64) (viewID uint64, ok bool) {
	if a.idle(now) {
		return 0, false
	}
	key, set := place(visitor, target)
	for i := set; i < set+aheadWays; i++ {
		if a.keys[i].Load() == key {
			return a.takeAt(i, key, now)
		}
	}
	return 0, false
}

func (a *ahead) takeAt(i int, key uint64, now int64) (viewID uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys[i].Load() != key {
		return 0, false // another request was faster
	}
	page := a.pages[i]
	a.keys[i].Store(0)
	a.pages[i] = aheadPage{}
	return page.viewID, now-page.minute <= PendingFor
}

func (a *ahead) forget(visitor uint64, target string, now int64) { _, _ = a.take(visitor, target, now) }
