package conduct

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

// Request is what is looked at of an answered request.
type Request struct {
	Addr      netip.Addr
	UserAgent string
	At        int64  // µs since 1970
	Path      string // of the original URI, decoded
	Status    int
	Result    shared.Result // what it counts as if nothing is held against it
	// Embedded: its browser says that a page asks for it. Whoever reads a site
	// with broken links to /vendor/ or a plugin's files does not look for holes.
	Embedded bool
}

// The limits. Each leaves room for the fastest reader that was thought of.
const (
	second = int64(1_000_000)

	// fastPages within fastWindow, and no part of a page among them. Opening a
	// folder of bookmarks stays below.
	fastPages  = 20
	fastWindow = 10 * second

	// lostRequests within lostWindow that found nothing, and they are at least
	// half of all. A site with broken images stays below the half.
	lostRequests = 20
	lostWindow   = 600 * second

	// probesEnough different probes make all that the client asks for suspect.
	probesEnough = 2

	// memory is how long a client is remembered after its last request, and held
	// for a bot after the last thing that makes it one.
	memory = 1800 * second
)

// The size of the table: 16,384 clients in 1 MiB. A new client takes the place
// of the one in its set that was quiet for longest.
const (
	shards = 64
	sets   = 64 // of a shard
	ways   = 4
)

// Table remembers what clients did. It is safe for concurrent use.
type Table struct {
	seed   maphash.Seed
	secret uint64
	shards [shards]shard
}

type shard struct {
	mu   sync.Mutex
	sets [sets][ways]client
}

type client struct {
	key  uint64
	seen int64 // µs, of its last request; 0 = no client

	fastFrom     int64
	pages, parts uint16
	reads        bool // was shown a page

	lostFrom  int64
	lost, all uint16

	probes    uint8
	lastProbe uint32
	reason    verdict
	until     int64 // how long the reason holds
}

// verdict is a reason in one byte.
type verdict uint8

const (
	nothing verdict = iota
	probe
	tooFast
	errors
)

var reasons = [...]string{probe: enrich.ReasonProbe, tooFast: enrich.ReasonTooFast, errors: enrich.ReasonErrors, nothing: ""}

// New makes an empty table.
func New() *Table { return &Table{seed: maphash.MakeSeed(), secret: rand.Uint64()} }

// Observe notes a request and returns why its client is a bot, or "".
func (t *Table) Observe(r *Request) string {
	probing := Probes(r.Path, r.Status) && !(r.Embedded && !secret(r.Path))
	if !tellsApart(r.Addr) {
		if probing {
			return reasons[probe]
		}
		return ""
	}
	key := t.key(r)
	s := &t.shards[key%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.client(key, r.At)
	c.note(r)
	if probing {
		c.notePath(uint32(maphash.String(t.seed, r.Path)), r.At)
		return reasons[probe]
	}
	c.judge(r.At)
	if c.reason == nothing || r.At >= c.until {
		return ""
	}
	return reasons[c.reason]
}

// tellsApart reports whether an address stands for a client.
func tellsApart(a netip.Addr) bool {
	return a.IsValid() && !a.IsLoopback() && !a.IsPrivate() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !carrier.Contains(a)
}

// carrier is the network between a provider and its customers (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// key hashes address and user agent. IPv6 is cut to the household's /64, as for
// visitors. The user agent's hash is seeded, so nobody outside can aim at
// another's entry by what is mixed into it.
func (t *Table) key(r *Request) uint64 {
	a := r.Addr.As16()
	address := binary.BigEndian.Uint64(a[:8])
	if r.Addr.Unmap().Is4() {
		address = binary.BigEndian.Uint64(a[8:])
	}
	hi, lo := bits.Mul64(address^t.secret, maphash.String(t.seed, r.UserAgent)|1)
	return hi ^ lo | 1 // zero is nobody
}

// client finds the client of a key, or makes it in the place of another. The
// caller holds s.mu.
func (s *shard) client(key uint64, at int64) *client {
	set := &s.sets[key/shards%sets]
	oldest := &set[0]
	for i := range set {
		c := &set[i]
		if c.key == key {
			if at-c.seen > memory {
				*c = client{key: key}
			}
			return c
		}
		if c.seen < oldest.seen {
			oldest = c
		}
	}
	*oldest = client{key: key}
	return oldest
}

// note counts the request.
func (c *client) note(r *Request) {
	c.seen = max(c.seen, r.At)
	if r.At-c.fastFrom >= fastWindow || r.At < c.fastFrom {
		c.fastFrom, c.pages, c.parts = r.At, 0, 0
	}
	if r.At-c.lostFrom >= lostWindow || r.At < c.lostFrom {
		c.lostFrom, c.lost, c.all = r.At, 0, 0
	}
	switch r.Result {
	case shared.ResultPageview:
		c.reads = true
		up(&c.pages)
	case shared.ResultError:
		up(&c.pages)
	case shared.ResultAsset, shared.ResultSubrequest, shared.ResultFrame, shared.ResultFragment:
		up(&c.parts)
	}
	up(&c.all)
	if (r.Status == 404 || r.Status == 410) && !(r.Embedded && c.reads) { // a page's broken images are not its reader's guesses
		up(&c.lost)
	}
}

// up counts, and stops at the end.
func up(n *uint16) {
	if *n < 1<<16-1 {
		*n++
	}
}

// notePath counts a probe that is another than the last.
func (c *client) notePath(path uint32, at int64) {
	if c.probes > 0 && c.lastProbe == path {
		return
	}
	c.lastProbe = path
	c.probes = min(c.probes+1, probesEnough)
	if c.probes >= probesEnough {
		c.reason, c.until = probe, at+memory
	}
}

// judge holds what was counted against the client.
func (c *client) judge(at int64) {
	switch {
	case c.pages >= fastPages && c.parts == 0:
		c.reason, c.until = tooFast, at+memory
	case c.lost >= lostRequests && 2*int(c.lost) >= int(c.all):
		c.reason, c.until = errors, at+memory
	}
}
