package enrich

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/eider-analytics/eider/shared"
)

// writeDatabase makes a small mmdb file.
func writeDatabase(t testing.TB, kind string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "places.mmdb")
	putDatabase(t, path, kind, "DE")
	return path
}

// putDatabase puts a database under a name, in which 198.51.100.0/25 lies in a
// country: a file of its own, renamed.
func putDatabase(t testing.TB, path, kind string, code mmdbtype.String) {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	insert := func(network string, record mmdbtype.Map) {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(n, record); err != nil {
			t.Fatal(err)
		}
	}
	land := func(code mmdbtype.String) mmdbtype.Map {
		switch {
		case strings.Contains(kind, "ASN"):
			return mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(64496)}
		case strings.Contains(kind, "ipinfo"):
			return mmdbtype.Map{"country_code": code, "country": mmdbtype.String("A Country"), "asn": mmdbtype.String("AS64496")}
		}
		return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": code}}
	}
	berlin := land(code)
	if strings.Contains(kind, "City") || strings.Contains(kind, "DB11") {
		berlin["subdivisions"] = mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String("BE")}}
		berlin["city"] = mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Berlin"), "de": mmdbtype.String("Berlin (Stadt)")}}
	}
	insert("198.51.100.0/25", berlin)
	insert("2001:db8:1::/48", berlin)
	insert("198.51.100.128/25", land("T1"))
	insert("203.0.113.0/24", land("XX"))
	insert("192.0.2.0/24", land("de"))
	insert("10.0.0.0/8", land("FR"))
	f, err := os.Create(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) (*places, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	p, err := newPlaces(path, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	return p, logs
}

func TestPlaces(t *testing.T) {
	for _, kind := range []string{
		"GeoLite2-City", "GeoLite2-Country", "GeoIP2-City-Europe", "DBIP-Country-Lite", "DBIP-Location (compat=City)",
		"IP2LITE-DB1", "IP2LITE-DB11", "ipinfo lite",
	} {
		p, logs := open(t, writeDatabase(t, kind))
		known := place{country: "DE"}
		if strings.Contains(kind, "City") || strings.Contains(kind, "DB11") {
			known = place{"DE", "BE", "Berlin"}
		}
		for range 2 { // decoded, then remembered
			for addr, want := range map[string]place{
				"198.51.100.1": known, "::ffff:198.51.100.1": known, "2001:db8:1::77": known,
				"198.51.100.200": {}, // T1 is Tor, no country
				"203.0.113.1":    {}, // XX is unknown
				"192.0.2.1":      {}, // not a code of the standard
				"8.8.8.8":        {}, // not in the file
				"10.1.2.3":       {}, // private, though in the file
				"127.0.0.1":      {}, "::1": {}, "fe80::1": {}, "100.64.0.1": {}, "fd00::1": {},
			} {
				if got := p.find(netip.MustParseAddr(addr)); got != want {
					t.Errorf("%s: %s: %+v, want %+v", kind, addr, got, want)
				}
			}
		}
		if got := p.find(netip.Addr{}); got != (place{}) {
			t.Errorf("no address is in %+v", got)
		}
		if logs.Len() != 0 {
			t.Errorf("%s: %v", kind, logs.All())
		}
	}
}

func TestABadDatabaseIsAWarningAndNoPlace(t *testing.T) {
	dir := t.TempDir()
	sound, err := os.ReadFile(writeDatabase(t, "GeoLite2-City"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"empty": nil, "garbage": []byte("no database"), "cut": sound[:len(sound)-40]}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"empty", "garbage", "cut", "missing"} {
		p, logs := open(t, filepath.Join(dir, name))
		if got := p.find(netip.MustParseAddr("198.51.100.1")); got != (place{}) {
			t.Errorf("%s: %+v", name, got)
		}
		if logs.Len() != 1 || logs.All()[0].ContextMap()["path"] != filepath.Join(dir, name) {
			t.Errorf("%s: %v", name, logs.All())
		}
	}
}

func TestADatabaseOfAnotherKindIsAnError(t *testing.T) {
	path := writeDatabase(t, "GeoLite2-ASN")
	_, err := New(Config{GeoIP: path})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "GeoLite2-ASN") {
		t.Errorf("%v", err)
	}
}

// Overwriting a mapped file takes its pages away. The proxy must live.
func TestADatabaseTruncatedUnderTheMapping(t *testing.T) {
	path := writeDatabase(t, "GeoLite2-City")
	p, logs := open(t, path)
	addr := netip.MustParseAddr("198.51.100.1")
	if p.find(addr).country != "DE" {
		t.Fatal("not found before")
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := p.find(addr); got != (place{}) {
			t.Errorf("%+v", got)
		}
	}
	if logs.Len() != 1 {
		t.Errorf("%d warnings", logs.Len())
	}
	for _, l := range logs.All() {
		if strings.Contains(l.Message, addr.String()) {
			t.Error("the log names an address")
		}
	}
}

// The database under the name is followed through everything that can become of
// it, with one line in the log for each change.
func TestTheDatabaseIsFollowed(t *testing.T) {
	addr := netip.MustParseAddr("198.51.100.1")
	path := filepath.Join(t.TempDir(), "places.mmdb")
	sound := func(code mmdbtype.String) func() { return func() { putDatabase(t, path, "GeoLite2-Country", code) } }
	write := func(b []byte) func() {
		return func() {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	p, logs := open(t, path)
	if logs.Len() != 1 {
		t.Fatalf("a missing file: %v", logs.All())
	}
	for _, step := range []struct {
		what     string
		do       func()
		want     string
		warnings int
	}{
		{"nothing", func() {}, "", 0},
		{"the file comes", sound("DE"), "DE", 0},
		{"it is replaced", sound("FR"), "FR", 0},
		{"it is overwritten with garbage", write([]byte("garbage, and more of it")), "", 1},
		{"the garbage changes", write([]byte("other garbage")), "", 0},
		{"it is mended", sound("IT"), "IT", 0},
		{"it goes", func() { _ = os.Remove(path) }, "", 1},
		{"it comes again", sound("ES"), "ES", 0},
		{"one of another kind comes", func() { putDatabase(t, path, "GeoLite2-ASN", "DE") }, "", 1},
		{"the right one comes", sound("PT"), "PT", 0},
		{"only its time changes", func() { _ = os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)) }, "PT", 0},
	} {
		logs.TakeAll()
		step.do()
		p.look() // sees that it is another one
		p.look() // sees that it has settled
		for range 3 {
			if got := p.find(addr).country; got != step.want {
				t.Fatalf("%s: %q, want %q", step.what, got, step.want)
			}
			p.look()
		}
		if n := logs.FilterLevelExact(zap.WarnLevel).Len(); n != step.warnings {
			t.Errorf("%s: %d warnings: %v", step.what, n, logs.All())
		}
	}
}

// A file that is still being written is not touched.
func TestAFileThatGrowsIsLeftAlone(t *testing.T) {
	path := writeDatabase(t, "GeoLite2-Country")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	growing := filepath.Join(t.TempDir(), "places.mmdb")
	p, logs := open(t, growing)
	logs.TakeAll()
	for n := 100; n < len(b); n += 200 {
		if err := os.WriteFile(growing, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		p.look()
	}
	if err := os.WriteFile(growing, b, 0o600); err != nil {
		t.Fatal(err)
	}
	p.look()
	p.look()
	if p.find(netip.MustParseAddr("198.51.100.1")).country != "DE" || logs.Len() != 0 {
		t.Errorf("not read, or %v", logs.All())
	}
}

// Lookups go on while databases are exchanged under them.
func TestExchangeUnderLookups(t *testing.T) {
	path := writeDatabase(t, "GeoLite2-City")
	p, logs := open(t, path)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				if got := p.find(netip.MustParseAddr("198.51.100.1")); got != (place{"DE", "BE", "Berlin"}) {
					t.Errorf("%+v", got)
					return
				}
			}
		})
	}
	for range 30 {
		putDatabase(t, path, "GeoLite2-City", "DE")
		p.look()
		p.look()
	}
	stop.Store(true)
	readers.Wait()
	if logs.Len() != 0 {
		t.Errorf("%v", logs.All())
	}
}

func TestThePlaceThatAProxyNames(t *testing.T) {
	e, err := New(Config{GeoIP: writeDatabase(t, "GeoLite2-City")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	for _, c := range []struct {
		headers string
		want    place
	}{
		{"", place{"DE", "BE", "Berlin"}}, // of the database
		{"Cf-Ipcountry: FR", place{country: "FR"}},
		{"Cf-Ipcountry: DE", place{"DE", "BE", "Berlin"}}, // which the database knows more of
		{"Cf-Ipcountry: XX", place{"DE", "BE", "Berlin"}},
		{"Cf-Ipcountry: T1", place{}},
		{"Cf-Ipcountry: DEU | Cf-Ipcity: Nowhere", place{"DE", "BE", "Berlin"}},
		{"Cf-Ipcountry: US | Cf-Region-Code: TX | Cf-Ipcity: San Antonio", place{"US", "TX", "San Antonio"}},
		{"X-Vercel-Ip-Country: BR | X-Vercel-Ip-Country-Region: SP | X-Vercel-Ip-City: S%C3%A3o%20Paulo", place{"BR", "SP", "São Paulo"}},
		{"X-Vercel-Ip-Country: BR | X-Vercel-Ip-City: 100%", place{country: "BR", city: "100%"}},
		{"Cloudfront-Viewer-Country: us | Cloudfront-Viewer-Country-Region: MI | Cloudfront-Viewer-City: Ann Arbor", place{"US", "MI", "Ann Arbor"}},
		{"Cloudfront-Viewer-Country: GB | Cloudfront-Viewer-Country-Region: GB-ENG", place{country: "GB", region: "ENG"}},
		{"Eo-Client-Ipcountry: SG", place{country: "SG"}},
		{"Cf-Ipcountry: FR | X-Vercel-Ip-City: Forged | Cloudfront-Viewer-Country: US", place{country: "FR"}},
		{"Cf-Ipcountry: F\x00", place{"DE", "BE", "Berlin"}},
		{"Cf-Ipcountry: FR | Cf-Region-Code: <script> | Cf-Ipcity: a\x00b", place{country: "FR", city: "ab"}},
	} {
		var named ProxyPlace
		for h := range strings.SplitSeq(c.headers, " | ") {
			if name, value, ok := strings.Cut(h, ": "); ok && !named.Note(name, value) {
				t.Errorf("%s is not known", name)
			}
		}
		o := view()
		o.ClientIP = netip.MustParseAddr("198.51.100.1")
		named.Tell(&o)
		var got shared.Event
		e.Enrich(&o, &got)
		if p := (place{got.CountryCode, got.Region, got.City}); p != c.want {
			t.Errorf("%s: %+v, want %+v", c.headers, p, c.want)
		}
	}
}

// FuzzPlaces: no file ends the process, and no place that comes out of one is
// refused later.
func FuzzPlaces(f *testing.F) {
	for _, kind := range []string{"GeoLite2-City", "ipinfo lite"} {
		b, err := os.ReadFile(writeDatabase(f, kind))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "places.mmdb")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := newPlaces(path, zap.NewNop())
		if err != nil {
			return
		}
		defer p.close()
		for _, addr := range []string{"198.51.100.1", "198.51.100.200", "2001:db8:1::77", "8.8.8.8"} {
			where := p.find(netip.MustParseAddr(addr))
			e := shared.Event{
				Site: "a", Kind: shared.KindPageview, Origin: shared.OriginEdge, Time: noon,
				CountryCode: where.country, Region: where.region, City: where.city,
			}
			if r := e.Check(); r != "" {
				t.Fatalf("%+v: %s", where, r)
			}
		}
	})
}
