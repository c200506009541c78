package enrich

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/netip"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// Salts gives out the keys of visitors: those that the aggregator makes.
type Salts interface {
	// Salt returns the key of a site, by its id, at a time, µs since 1970. ok is
	// false when there is none.
	Salt(siteID string, at int64) (salt shared.Salt, ok bool)
}

// LocalSalts are an edge's own: random, one for each site and local day, in
// memory only. They end with the process, or when the day after next begins, and
// with them every way to recompute an identity.
//
// One random key a day is kept; a site's salt is the keyed hash of its name
// under it. That makes the sites' salts independent of each other in bounded
// memory, however many hosts are asked for.
type LocalSalts struct {
	zone *time.Location

	mu   sync.Mutex
	days [2]localDay // the two drawn last, the newer first
}

type localDay struct {
	from, until int64
	key         [32]byte
}

// NewLocalSalts makes salts whose days begin at midnight of a zone; nil is the
// machine's.
func NewLocalSalts(zone *time.Location) *LocalSalts {
	if zone == nil {
		zone = time.Local
	}
	return &LocalSalts{zone: zone}
}

// Salt implements [Salts]. There always is one.
func (l *LocalSalts) Salt(site string, at int64) (shared.Salt, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.day(at).salt(site), true
}

// forget drops the days that ended long enough before a time.
func (l *LocalSalts) forget(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.days {
		if d := &l.days[i]; now-d.until > keptFor {
			*d = localDay{}
		}
	}
}

// keptFor is how long after its day a salt of our own is kept, µs, like the
// aggregator's.
const keptFor = 48 * 3600 * 1_000_000

// kept returns the salt of a time only if its day was asked for before.
func (l *LocalSalts) kept(site string, at int64) (shared.Salt, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.days {
		if d := &l.days[i]; at >= d.from && at < d.until {
			return d.salt(site), true
		}
	}
	return shared.Salt{}, false
}

// salt derives a site's salt from the day's key.
func (d *localDay) salt(site string) shared.Salt {
	s := shared.Salt{Site: site, From: d.from, Until: d.until, Identity: shared.IdentityDayLocal}
	mac := hmac.New(sha256.New, d.key[:])
	mac.Write([]byte(site))
	mac.Sum(s.Key[:0])
	return s
}

// day returns the day of a time, with a fresh key if it is none of the two that
// are kept; the one asked for first is then forgotten. That also holds when a
// clock is set back by days: new identities rather than none.
func (l *LocalSalts) day(at int64) *localDay {
	for i := range l.days {
		if d := &l.days[i]; at >= d.from && at < d.until {
			return d
		}
	}
	t := time.UnixMicro(at).In(l.zone)
	y, m, d := t.Date()
	from := time.Date(y, m, d, 0, 0, 0, 0, l.zone).UnixMicro()
	until := time.Date(y, m, d+1, 0, 0, 0, 0, l.zone).UnixMicro()
	l.days[1] = l.days[0]
	// Where clocks are put forward at midnight, the day begins after its first
	// instant by the calendar.
	l.days[0] = localDay{from: min(from, at), until: max(until, at+1)}
	_, _ = rand.Read(l.days[0].key[:]) // never fails since Go 1.24
	return &l.days[0]
}

// keyring hands out the keyed hashes of one site's visitors: the two blocks of
// a HMAC's key are hashed once a salt, not for each event.
//
// Every event asks for the salt anew, since the aggregator's can come while a
// local one is in use.
type keyring struct {
	salts Salts       // the aggregator's
	local *LocalSalts // where it has none; nil = no identity then
	site  string      // the site's id, or its name while nobody knows it

	mu      sync.Mutex
	own     shared.Salt // the local salt used last
	ownUsed bool        // since the last forget
	keyed   [2]keyedHash
	replace int // the one of keyed that goes next
	buf     []byte
}

type keyedHash struct {
	key  [32]byte
	mac  hash.Hash // nil = none
	used bool      // since the last forget
}

// forget lets go of what was not used since the last time: a salt's end must
// not wait for the next visitor.
func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.keyed {
		h := &k.keyed[i]
		if !h.used {
			*h = keyedHash{}
		}
		h.used = false
	}
	if !k.ownUsed {
		k.own = shared.Salt{}
	}
	k.ownUsed = false
}

// visitor sets the event's identity: the first 64 bits of HMAC-SHA256(salt,
// site ‖ address ‖ user agent), and for a while after the salt has changed the
// one under the salt before, by which the aggregator finds the visit that goes
// on. It sets nothing where there is no address or salt. IPv6 is cut to /64: a
// household's network, since devices change the rest.
func (k *keyring) visitor(dst *shared.Event, addr netip.Addr, userAgent string, at int64, mayBeLocal bool) {
	if !addr.IsValid() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	salt, ok := k.salt(at, mayBeLocal)
	if !ok {
		return
	}
	dst.VisitorID, dst.Identity = k.sum((*[32]byte)(&salt.Key), addr, userAgent), salt.Identity
	if at-salt.From >= shared.PrevIdentityFor {
		return
	}
	if before, ok := k.saltBefore(salt.From, mayBeLocal); ok {
		dst.PrevVisitorID = k.sum((*[32]byte)(&before.Key), addr, userAgent)
	}
}

func (k *keyring) salt(at int64, mayBeLocal bool) (shared.Salt, bool) {
	if salt, ok := k.salts.Salt(k.site, at); ok {
		return salt, true
	}
	if k.local == nil || !mayBeLocal {
		return shared.Salt{}, false
	}
	if k.own.Identity == "" || at < k.own.From || at >= k.own.Until {
		k.own, _ = k.local.Salt(k.site, at)
	}
	k.ownUsed = true
	return k.own, true
}

// saltBefore is the salt in force until from, if it is still there.
func (k *keyring) saltBefore(from int64, mayBeLocal bool) (shared.Salt, bool) {
	if salt, ok := k.salts.Salt(k.site, from-1); ok {
		return salt, true
	}
	if k.local == nil || !mayBeLocal {
		return shared.Salt{}, false
	}
	return k.local.kept(k.site, from-1)
}

func (k *keyring) sum(key *[32]byte, addr netip.Addr, userAgent string) uint64 {
	b := append(k.buf[:0], k.site...)
	b = append(b, 0) // site names hold no NUL; the address has a fixed length
	addr = addr.Unmap()
	if addr.Is4() {
		a := addr.As4()
		b = append(b, 4, a[0], a[1], a[2], a[3], 0, 0, 0, 0)
	} else {
		a := addr.As16()
		b = append(append(b, 6), a[:8]...)
	}
	b = append(b, userAgent...)
	mac := k.mac(key)
	mac.Reset()
	mac.Write(b)
	clear(b)
	k.buf = mac.Sum(b[:0])
	id := binary.BigEndian.Uint64(k.buf)
	if id == 0 {
		id = 1 // zero is "no visitor"
	}
	return id
}

func (k *keyring) mac(key *[32]byte) hash.Hash {
	for i := range k.keyed {
		if h := &k.keyed[i]; h.mac != nil && h.key == *key {
			h.used = true
			return h.mac
		}
	}
	h := &k.keyed[k.replace]
	k.replace = 1 - k.replace
	h.key, h.used = *key, true
	h.mac = hmac.New(sha256.New, h.key[:]) // of the copy: the caller's stays on its stack
	return h.mac
}

// Salt returns the salt that an event of a site is made with at a time, for
// those who remember visitors as long as their identities live. ok is false
// where events of the site have no identity then.
func (e *Enricher) Salt(site string, at int64) (salt shared.Salt, ok bool) {
	p := e.policies.of(site, nil)
	if p.NoVisitorID {
		return shared.Salt{}, false
	}
	p.visitors.mu.Lock()
	defer p.visitors.mu.Unlock()
	return p.visitors.salt(at, true)
}
