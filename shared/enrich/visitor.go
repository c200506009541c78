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
)

// Salt is the key that visitors of one site are hashed with in one period.
type Salt struct {
	Key         [32]byte
	From, Until int64  // µs since 1970: the period, its end excluded
	Identity    string // what the event says of it: the period's kind, "+local" for an edge's own
}

// Salts gives out the keys of visitors. The aggregator's reach an edge by the
// network; without any, [LocalSalts] are used.
type Salts interface {
	// Salt returns the key of a site at a time, µs since 1970. ok is false when
	// there is none any more: the event then has no visitor.
	Salt(site string, at int64) (salt Salt, ok bool)
}

// identityLocal marks salts that no other edge and no other run of this one
// has: a visitor counted under one is counted again under the next.
const identityLocal = "day+local"

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
func (l *LocalSalts) Salt(site string, at int64) (Salt, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	day := l.day(at)
	s := Salt{From: day.from, Until: day.until, Identity: identityLocal}
	mac := hmac.New(sha256.New, day.key[:])
	mac.Write([]byte(site))
	mac.Sum(s.Key[:0])
	return s, true
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

// hashers keeps one ready keyed hash for each site: the two blocks of a HMAC's
// key are hashed once, not for each event.
type hashers struct {
	salts Salts

	mu     sync.Mutex
	bySite map[string]*hasher
}

type hasher struct {
	mu       sync.Mutex
	from     int64
	until    int64
	identity string
	mac      hash.Hash
	buf      []byte
}

// maxHashers bounds the memory for sites: hosts of a wildcard come from
// outside. Beyond it all are forgotten and made anew, which changes no identity.
const maxHashers = 1024

func newHashers(salts Salts) *hashers {
	return &hashers{salts: salts, bySite: make(map[string]*hasher)}
}

// visitor returns the first 64 bits of HMAC-SHA256(salt, site ‖ address ‖ user
// agent) and the kind of identity, or zero where there is no address or salt.
// IPv6 is cut to /64: a household's network, since devices change the rest.
func (h *hashers) visitor(site string, addr netip.Addr, userAgent string, at int64) (id uint64, identity string) {
	if !addr.IsValid() {
		return 0, ""
	}
	s := h.of(site)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mac == nil || at < s.from || at >= s.until {
		salt, ok := h.salts.Salt(site, at)
		if !ok {
			return 0, ""
		}
		s.mac = hmac.New(sha256.New, salt.Key[:])
		s.from, s.until, s.identity = salt.From, salt.Until, salt.Identity
	}
	b := append(s.buf[:0], site...)
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
	s.mac.Reset()
	s.mac.Write(b)
	clear(b)
	s.buf = s.mac.Sum(b[:0])
	id = binary.BigEndian.Uint64(s.buf)
	if id == 0 {
		id = 1 // zero is "no visitor"
	}
	return id, s.identity
}

func (h *hashers) of(site string) *hasher {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.bySite[site]
	if s == nil {
		if len(h.bySite) >= maxHashers {
			clear(h.bySite)
		}
		s = &hasher{}
		h.bySite[site] = s
	}
	return s
}
