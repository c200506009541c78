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

	"github.com/eider-analytics/eider/shared"
)

// place is where a network is, as far as the database knows.
type place struct {
	country, region, city string
}

// placeDB is one mmdb file, mapped. Results are remembered by the place of the
// record in the file: decoding costs microseconds, and no address is kept.
type placeDB struct {
	file   *maxminddb.Reader
	flat   bool // records name the country in a field of their own
	memo   placeMemo
	failed atomic.Bool // a lookup went wrong: the file is damaged
}

// Files of other kinds, of whoever confused them.
var errNoPlaces = errors.New("it has no countries: a country or city database in MaxMind's format is needed")

// openPlaceDB opens a database and looks whether it knows countries. Names of
// kinds are not relied on: there are dozens (GeoLite2-City, DBIP-Location
// (compat=City), IP2LITE-…).
func openPlaceDB(path string) (db *placeDB, err error) {
	file, err := maxminddb.Open(path)
	if err != nil {
		return nil, err
	}
	db = &placeDB{file: file}
	db.memo.init()
	known, err := db.knowsCountries()
	if err == nil && !known {
		err = fmt.Errorf("a %s database: %w", shared.Cut(file.Metadata.DatabaseType, shared.MaxShort), errNoPlaces)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return db, nil
}

// How many networks are looked at for a country (the first one has it where
// there are any), and how many leaves of the tree for networks. In a damaged
// file the tree can lead to itself.
const (
	sampledNetworks = 500
	sampledLeaves   = 5000
)

func (db *placeDB) knowsCountries() (known bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			known, err = false, errFault
		}
	}()
	networks, leaves := 0, 0
	// With all leaves, each step is a short one, whatever the tree is like.
	for network := range db.file.Networks(maxminddb.IncludeNetworksWithoutData(), maxminddb.IncludeAliasedNetworks()) {
		if err := network.Err(); err != nil {
			return false, err
		}
		if leaves++; leaves > sampledLeaves || networks > sampledNetworks {
			break
		}
		if !network.Found() {
			continue
		}
		networks++
		for _, flat := range []bool{false, true} {
			var code string
			if path := countryPath(flat); network.DecodePath(&code, path...) == nil && len(code) == 2 {
				db.flat = flat
				return true, nil
			}
		}
	}
	// An empty database of the right kind is a database.
	kind := db.file.Metadata.DatabaseType
	return networks == 0 && (strings.Contains(kind, "Country") || strings.Contains(kind, "City")), nil
}

// countryPath is where a record has its country's code: in MaxMind's form, or
// flat, as of IPinfo.
func countryPath(flat bool) []any {
	if flat {
		return []any{"country_code"}
	}
	return []any{"country", "iso_code"}
}

var errFault = errors.New("fault while reading the mapped file")

// find turns a fault in the mapped file into an error: overwriting the database
// in place, instead of renaming a new one over it, takes pages away under the
// mapping, and an unhandled fault would end the proxy.
func (db *placeDB) find(addr netip.Addr) (found place, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			found, err = place{}, errFault
		}
	}()
	result := db.file.Lookup(addr)
	if err := result.Err(); err != nil {
		return place{}, err
	}
	if !result.Found() {
		return place{}, nil
	}
	if known, ok := db.memo.get(result.Offset()); ok {
		return known, nil
	}
	if found, err = db.decode(result); err != nil {
		return place{}, err
	}
	// The decoded strings may lie in the mapping, which ends at Close.
	found = place{strings.Clone(found.country), strings.Clone(found.region), strings.Clone(found.city)}
	db.memo.put(result.Offset(), found)
	return found, nil
}

func (db *placeDB) decode(result maxminddb.Result) (found place, err error) {
	if db.flat {
		var code string
		err = result.DecodePath(&code, countryPath(true)...)
		return place{country: country(code)}, err
	}
	var rec geoip2.City // a country record is a part of it
	if err := result.Decode(&rec); err != nil {
		return place{}, err
	}
	found.country = country(rec.Country.ISOCode)
	if found.country != "" {
		if len(rec.Subdivisions) > 0 {
			found.region = region(rec.Subdivisions[0].ISOCode, found.country)
		}
		found.city = shared.Cut(rec.City.Names.English, shared.MaxShort)
	}
	return found, nil
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
