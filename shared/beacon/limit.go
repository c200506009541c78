package beacon

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits are the token buckets of the collection endpoints, in messages a
// second; 0 = the default, negative = none.
type Limits struct {
	// PerAddress bounds what one client can do. It holds for a /64 of IPv6, and
	// neither for trusted peers that speak for themselves nor with an API key.
	PerAddress float64
	// PerSite bounds what one site's visitors can do to the others'.
	PerSite float64
}

// The defaults. A page sends a handful of messages; an office behind one
// address many of them.
const (
	defaultPerAddress = 100
	defaultPerSite    = 20_000
)

// Sizes of the tables. A bucket that has been displaced begins full again,
// which helps nobody who needs thousands of addresses for it.
const (
	addressBuckets = 1 << 14
	siteBuckets    = 1 << 10
	bucketWays     = 4
)

// buckets is a bounded table of token buckets by a seeded hash: what it is
// asked by, an address, is neither kept nor guessed from what is kept.
type buckets struct {
	seed  maphash.Seed
	limit rate.Limit
	burst int

	mu    sync.Mutex
	slots []bucket
}

type bucket struct {
	key  uint64 // 0 = free
	used int64  // ns since 1970
	rate *rate.Limiter
}

// newBuckets returns nil where there is no limit.
func newBuckets(perSecond, byDefault float64, least, size int) *buckets {
	if perSecond == 0 {
		perSecond = byDefault
	}
	if perSecond < 0 {
		return nil
	}
	return &buckets{
		seed: maphash.MakeSeed(), limit: rate.Limit(perSecond), burst: max(int(3*perSecond), least), slots: make([]bucket, size),
	}
}

// take takes n tokens and returns 0, or takes none and returns how long it is
// until there are as many.
func (b *buckets) take(key uint64, n int, now time.Time) time.Duration {
	if b == nil || n == 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.find(key|1, now).ReserveN(now, min(n, b.burst))
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// find returns the bucket of a key, in the place of the one of its set that
// has been idle for longest.
func (b *buckets) find(key uint64, now time.Time) *rate.Limiter {
	set := b.slots[int(key>>1)%(len(b.slots)/bucketWays)*bucketWays:][:bucketWays]
	oldest := &set[0]
	for i := range set {
		if set[i].key == key {
			set[i].used = now.UnixNano()
			return set[i].rate
		}
		if set[i].used < oldest.used {
			oldest = &set[i]
		}
	}
	*oldest = bucket{key: key, used: now.UnixNano(), rate: rate.NewLimiter(b.limit, b.burst)}
	return oldest.rate
}

// ofAddress is the key of an address: of the network of a household, as its
// devices change the rest of an IPv6 address at will.
func (b *buckets) ofAddress(addr netip.Addr) uint64 {
	if b == nil {
		return 0
	}
	a := addr.Unmap().As16()
	if !addr.Unmap().Is4() {
		clear(a[8:])
	}
	return maphash.Bytes(b.seed, a[:])
}

func (b *buckets) ofSite(id string) uint64 {
	if b == nil {
		return 0
	}
	return maphash.String(b.seed, id)
}

// addressMay takes n tokens of an address's bucket and returns 0, or how long
// it is until there are as many.
func (in *Intake) addressMay(addr netip.Addr, n int, now time.Time) time.Duration {
	b := in.addresses.Load()
	return b.take(b.ofAddress(addr), n, now)
}

// siteMay does the same for a site.
func (in *Intake) siteMay(id string, n int, now time.Time) time.Duration {
	b := in.sites.Load()
	return b.take(b.ofSite(id), n, now)
}
