package caddymodule

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// A database that was exchanged under its name is read by the next reload.
func TestReloadReadsTheGeoIPFileAgain(t *testing.T) {
	e := newEdge(t)
	file := filepath.Join(e.dir, "places.mmdb")
	writePlaces(t, file, "DE")
	e.global = "servers {\n trusted_proxies static 127.0.0.0/8\n trusted_proxies_strict\n}"
	config := strings.Replace(e.caddyfile(pageSite), "aggregator ", "geoip "+file+"\naggregator ", 1)
	for n, want := range []string{"DE", "FR"} {
		next := filepath.Join(e.dir, "next.mmdb")
		writePlaces(t, next, want)
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
		if err := e.tryText(config); err != nil {
			t.Fatal(err)
		}
		e.get("/"+want, "X-Forwarded-For: 198.51.100.7")
		for _, ev := range e.agg.wait(t, n+1) {
			if ev.Pathname == "/"+want && ev.CountryCode != want {
				t.Errorf("country %q, want %q", ev.CountryCode, want)
			}
		}
	}
}

// writePlaces makes a database in which one network lies in one country.
func writePlaces(t *testing.T, path, country string) {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-Country", RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, network, err := net.ParseCIDR("198.51.100.0/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(country)}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.WriteTo(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
