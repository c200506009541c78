package enrich

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// writeDatabase makes a small mmdb file.
func writeDatabase(t testing.TB, kind string) string {
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
		return mmdbtype.Map{"country": mmdbtype.Map{"iso_code": code}}
	}
	berlin := land("DE")
	if strings.Contains(kind, "City") {
		berlin["subdivisions"] = mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String("BE")}}
		berlin["city"] = mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Berlin"), "de": mmdbtype.String("Berlin (Stadt)")}}
	}
	insert("198.51.100.0/25", berlin)
	insert("2001:db8:1::/48", berlin)
	insert("198.51.100.128/25", land("T1"))
	insert("203.0.113.0/24", land("XX"))
	insert("192.0.2.0/24", land("de"))
	insert("10.0.0.0/8", land("FR"))
	path := filepath.Join(t.TempDir(), "places.mmdb")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) (*places, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	p, err := openPlaces(path, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	return p, logs
}

func TestPlaces(t *testing.T) {
	for _, kind := range []string{"GeoLite2-City", "GeoLite2-Country", "DBIP-Country-Lite"} {
		p, logs := open(t, writeDatabase(t, kind))
		known := place{country: "DE"}
		if kind == "GeoLite2-City" {
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
