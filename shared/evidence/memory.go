package evidence

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Identity is the period of a site's identities that a moment lies in.
type Identity struct {
	Until int64  // µs since 1970, excluded
	Mark  uint64 // tells it from another identity with the same end; see [Mark]
}

// Identities tells the identity that a site has at a time, µs since 1970. ok is
// false where there is none: then nobody is remembered.
type Identities func(site string, at int64) (id Identity, ok bool)

// maxPeriod ends a period even where identities live longer, as by the month.
// µs.
const maxPeriod = 24 * 3600 * 1_000_000

// recheck is how long a site's identity is believed before it is asked for
// again, µs: salts change before their time when an edge first reaches its
// aggregator, and after a restore.
const recheck = 5 * 1_000_000

// Memory is what one edge remembers. It is safe for concurrent use.
type Memory struct {
	identities Identities
	visitors   visitors
	ahead      ahead
}

// New makes an empty memory of about 1.2 MiB.
func New(identities Identities) *Memory { return &Memory{identities: identities} }

// markSeed makes marks meaningless outside of this process.
var markSeed = maphash.MakeSeed()

// Mark makes an identity's mark of its key, which it does not keep.
func Mark(key []byte) uint64 { return maphash.Bytes(markSeed, key) }

// Site returns the memory for one site. Callers keep it: two for one name
// know nothing of each other.
func (m *Memory) Site(name string) *Site { return &Site{memory: m, name: name} }

// Site is what is remembered of the visitors of one site.
type Site struct {
	memory *Memory
	name   string
	period atomic.Pointer[period]
	mu     sync.Mutex // held while the period is looked at again
}

// period is one seed's life.
type period struct {
	seed    maphash.Seed
	id      Identity
	none    bool // there is no identity
	until   int64
	recheck int64 // when the identity is asked for again
}

// at returns the period of a time, or nil if nobody may be remembered.
func (s *Site) at(now int64) *period {
	p := s.period.Load()
	if p == nil || now >= p.recheck || now >= p.until || p.recheck-now > recheck {
		p = s.renew(now)
	}
	if p.none {
		return nil
	}
	return p
}

// renew asks for the identity again: a new one begins a new period.
func (s *Site) renew(now int64) *period {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.period.Load()
	if last != nil && now < last.recheck && now < last.until && last.recheck-now <= recheck {
		return last // another request was faster
	}
	id, ok := s.memory.identities(s.name, now)
	next := &period{id: id, none: !ok, recheck: now + recheck}
	switch {
	case !ok:
		next.until = next.recheck
	case last != nil && !last.none && last.id == id && now < last.until && last.until-now <= maxPeriod:
		next.seed, next.until = last.seed, last.until
	default:
		next.seed, next.until = maphash.MakeSeed(), min(id.Until, now+maxPeriod)
	}
	s.period.Store(next)
	return next
}

// Visitor is one visitor of one site in one period. The zero value is nobody.
type Visitor struct {
	memory *Memory
	key    uint64
	minute int64
}

// maxUserAgent bounds what is hashed of a user agent.
const maxUserAgent = 1024

// Visitor returns whoever has this address and user agent, at a time in µs
// since 1970. An IPv6 address is cut to /64, as for an identity. It does not
// allocate.
func (s *Site) Visitor(addr netip.Addr, userAgent string, now int64) Visitor {
	if !addr.IsValid() {
		return Visitor{}
	}
	p := s.at(now)
	if p == nil {
		return Visitor{}
	}
	if len(userAgent) > maxUserAgent {
		userAgent = userAgent[:maxUserAgent]
	}
	var b [17]byte
	addr = addr.Unmap()
	if addr.Is4() {
		a := addr.As4()
		b[0] = 4
		copy(b[1:], a[:])
	} else {
		a := addr.As16()
		b[0] = 6
		copy(b[1:], a[:8])
	}
	ua := maphash.String(p.seed, userAgent)
	for i := range 8 {
		b[9+i] = byte(ua >> (8 * i))
	}
	return Visitor{memory: s.memory, key: maphash.Bytes(p.seed, b[:]), minute: now / minute}
}

// minute in µs: ages are kept in minutes.
const minute = 60 * 1_000_000

// Saw notes that the visitor was shown a page, by the target of its request
// (path and query as they were sent). Had it been fetched ahead before, that
// one was not what is seen now.
func (v Visitor) Saw(target string) {
	if v.memory == nil {
		return
	}
	v.memory.visitors.saw(v.key, v.minute)
	v.memory.ahead.forget(v.key, target, v.minute)
}

// FetchedAhead notes that the page of a target was fetched ahead, under this
// view id.
func (v Visitor) FetchedAhead(target string, viewID uint64) {
	if v.memory == nil {
		return
	}
	v.memory.ahead.note(v.key, target, viewID, v.minute)
}

// FetchedPart notes that the visitor fetched a part of a page. It returns true
// the first time that it does so after it was shown a page.
func (v Visitor) FetchedPart() (first bool) {
	return v.memory != nil && v.memory.visitors.prove(v.key)
}

// Showed notes that the page of a target asked for something, and so is on the
// visitor's screen. If it had been fetched ahead, ok is true, once, and viewID
// says which view that was. The visitor is proved by that, too.
func (v Visitor) Showed(target string) (viewID uint64, ok bool) {
	if v.memory == nil {
		return 0, false
	}
	viewID, ok = v.memory.ahead.take(v.key, target, v.minute)
	if ok {
		v.memory.visitors.proved(v.key, v.minute)
	}
	return viewID, ok
}
