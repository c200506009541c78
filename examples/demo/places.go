package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// country is where made-up visitors come from, with what their browsers say
// they read. Country number i owns the networks 198.18.(8i).0/21 and
// 2001:db8:i::/48, which belong to nobody in truth.
type country struct {
	weight   int
	code     string
	language string
}

var countries = []country{
	{28, "GB", "en-GB,en;q=0.9"},
	{16, "DE", "de-DE,de;q=0.9,en;q=0.6"},
	{14, "NO", "nb-NO,nb;q=0.9,en;q=0.7"},
	{12, "US", "en-US,en;q=0.9"},
	{8, "IE", "en-IE,en;q=0.9"},
	{7, "FR", "fr-FR,fr;q=0.9"},
	{6, "NL", "nl-NL,nl;q=0.9"},
	{5, "SE", "sv-SE,sv;q=0.9"},
	{4, "IS", "is-IS,is;q=0.9,en;q=0.8"},
}

// newAddress draws a country and an address in its networks.
func newAddress(rng *rand.Rand) (address string, from country) {
	i := weighted(rng, len(countries), func(i int) int { return countries[i].weight })
	if rng.IntN(4) == 0 {
		return fmt.Sprintf("2001:db8:%x:%x::%x", i, rng.IntN(1<<16), 1+rng.IntN(1<<16-1)), countries[i]
	}
	return fmt.Sprintf("198.18.%d.%d", 8*i+rng.IntN(8), 1+rng.IntN(254)), countries[i]
}

// writePlaces writes the database that says so: a real site has one of
// MaxMind's.
func writePlaces(path string) error {
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-Country", RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		return fmt.Errorf("make the places: %w", err)
	}
	for i, c := range countries {
		record := mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(c.code)}}
		for _, text := range []string{fmt.Sprintf("198.18.%d.0/21", 8*i), fmt.Sprintf("2001:db8:%x::/48", i)} {
			network := netip.MustParsePrefix(text)
			ip := &net.IPNet{IP: network.Addr().AsSlice(), Mask: net.CIDRMask(network.Bits(), network.Addr().BitLen())}
			if err := w.Insert(ip, record); err != nil {
				return fmt.Errorf("make the places: %w", err)
			}
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the places: %w", err)
	}
	if _, err := w.WriteTo(f); err != nil {
		_ = f.Close()
		return fmt.Errorf("write the places: %w", err)
	}
	return f.Close()
}
