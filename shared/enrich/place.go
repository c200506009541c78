package enrich

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/oschwald/geoip2-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// place is where a network is, as far as the database knows.
type place struct {
	country, region, city string
}

// places looks addresses up in an mmdb file. Results are remembered by the
// place of the record in the file: decoding costs microseconds, and no address
// is kept.
type places struct {
	log    *zap.Logger
	db     *maxminddb.Reader
	memo   placeMemo
	failed atomic.Bool // a lookup went wrong: the file is damaged
}

// openPlaces opens a country or city database. A file that is missing or
// damaged is a warning and a nil *places, which knows no place; a sound file of
// another kind is an error, since it was named by mistake.
func openPlaces(path string, log *zap.Logger) (*places, error) {
	if path == "" {
		return nil, nil
	}
	db, err := maxminddb.Open(path)
	if err != nil {
		log.Warn("geoip database cannot be read; events are recorded without a place", zap.String("path", path), zap.Error(err))
		return nil, nil
	}
	kind := db.Metadata.DatabaseType
	if !strings.Contains(kind, "Country") && !strings.Contains(kind, "City") && !strings.Contains(kind, "Enterprise") {
		_ = db.Close()
		return nil, fmt.Errorf("geoip database %s is a %s database: a country or city database is needed", path, kind)
	}
	p := &places{log: log, db: db}
	p.memo.init()
	return p, nil
}

// find returns the place of an address, or the zero place.
func (p *places) find(addr netip.Addr) place {
	addr = addr.Unmap()
	if p == nil || p.failed.Load() || !public(addr) {
		return place{}
	}
	found, err := p.lookup(addr)
	if err != nil && p.failed.CompareAndSwap(false, true) {
		// The error text of the library can name the address.
		p.log.Warn("geoip database is damaged; events are recorded without a place until the configuration is loaded again")
	}
	return found
}

var errFault = errors.New("fault while reading the mapped file")

// lookup turns a fault in the mapped file into an error: overwriting the
// database in place, instead of renaming a new one over it, takes pages away
// under the mapping, and an unhandled fault would end the proxy.
func (p *places) lookup(addr netip.Addr) (found place, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			found, err = place{}, errFault
		}
	}()
	result := p.db.Lookup(addr)
	if err := result.Err(); err != nil {
		return place{}, err
	}
	if !result.Found() {
		return place{}, nil
	}
	if known, ok := p.memo.get(result.Offset()); ok {
		return known, nil
	}
	var rec geoip2.City // a country record is a part of it
	if err := result.Decode(&rec); err != nil {
		return place{}, err
	}
	found.country = country(rec.Country.ISOCode)
	if found.country != "" {
		if len(rec.Subdivisions) > 0 {
			found.region = shared.Cut(rec.Subdivisions[0].ISOCode, shared.MaxShort)
		}
		found.city = shared.Cut(rec.City.Names.English, shared.MaxShort)
	}
	// The decoded strings may lie in the mapping, which ends at Close.
	found = place{strings.Clone(found.country), strings.Clone(found.region), strings.Clone(found.city)}
	p.memo.put(result.Offset(), found)
	return found, nil
}

func (p *places) close() error {
	if p == nil {
		return nil
	}
	return p.db.Close()
}

// country returns a code of ISO 3166-1, or "" for what stands for none: XX
// (unknown) and T1 (Tor), as some databases and proxies write.
func country(code string) string {
	if len(code) != 2 || code == "XX" || code == "ZZ" {
		return ""
	}
	for i := range 2 {
		if code[i] < 'A' || code[i] > 'Z' {
			return ""
		}
	}
	return code
}

// tor is the "country" of Tor's exits at Cloudflare.
const tor = "T1"

// namedPlace is the place that a proxy before ours names. Names are taken as
// the networks send them: encoded (Vercel, CloudFront) or not (Cloudflare).
func namedPlace(o *shared.Observation) place {
	p := place{country: country(strings.ToUpper(strings.TrimSpace(o.Country)))}
	if p.country == "" {
		return place{}
	}
	p.region = region(o.Region, p.country)
	p.city = shared.Cut(strings.TrimSpace(unescape(o.City)), shared.MaxShort)
	return p
}

// region returns a code of ISO 3166-2 without its country.
func region(code, country string) string {
	code = strings.ToUpper(strings.TrimSpace(code))
	if rest, ok := strings.CutPrefix(code, country); ok && strings.HasPrefix(rest, "-") {
		code = rest[1:]
	}
	if len(code) < 1 || len(code) > 3 {
		return ""
	}
	for i := 0; i < len(code); i++ {
		if !alnum(code[i]) {
			return ""
		}
	}
	return code
}

// unescape takes percent-encoding off where it is valid.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if decoded, err := url.PathUnescape(s); err == nil && utf8.ValidString(decoded) {
		return decoded
	}
	return s
}

// carrierNAT is the address space of RFC 6598.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// public reports whether an address can have a place.
func public(addr netip.Addr) bool {
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !carrierNAT.Contains(addr)
}

// placeMemo is the bounded memory of places by record: a direct-mapped table,
// because offsets are spread already.
type placeMemo struct{ slot []atomic.Pointer[placeEntry] }

type placeEntry struct {
	offset uintptr
	place  place
}

const placeSlots = 4096 // a power of two; about 600 KiB when full

func (m *placeMemo) init() { m.slot = make([]atomic.Pointer[placeEntry], placeSlots) }

func (m *placeMemo) at(offset uintptr) *atomic.Pointer[placeEntry] {
	const spread = 0x9E3779B97F4A7C15 // 2^64 / golden ratio: Fibonacci hashing
	return &m.slot[uint64(offset)*spread>>52]
}

func (m *placeMemo) get(offset uintptr) (place, bool) {
	if e := m.at(offset).Load(); e != nil && e.offset == offset {
		return e.place, true
	}
	return place{}, false
}

func (m *placeMemo) put(offset uintptr, p place) {
	m.at(offset).Store(&placeEntry{offset, p})
}
