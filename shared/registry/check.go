package registry

import (
	"errors"
	"fmt"

	"github.com/eider-analytics/eider/shared"
)

// Bounds of one state: what is beyond them was not made by an aggregator of
// ours, and none of it is taken.
const (
	maxSites        = 20_000
	maxSiteNames    = 200 // domains of one site, and as many allowed ones
	maxSiteLinks    = 10_000
	maxSaltsPerSite = 8
	maxSigningKey   = 1 << 10
	maxKeys         = 1000
	maxPeriod       = 40 * 24 * 3600 * 1_000_000 // µs; a month, and room
)

// checkState says what is wrong with a state. Its messages name no salt and no
// key.
func checkState(s *shared.EdgeState) error {
	switch {
	case len(s.Sites) > maxSites:
		return fmt.Errorf("%d sites, at most %d", len(s.Sites), maxSites)
	case len(s.Salts) > maxSaltsPerSite*max(len(s.Sites), 1):
		return fmt.Errorf("%d salts for %d sites", len(s.Salts), len(s.Sites))
	case len(s.SigningKey) > maxSigningKey:
		return errors.New("a signing key of absurd length")
	case len(s.TokenKeys) > max(len(s.Sites), 1):
		return fmt.Errorf("%d keys of tokens for %d sites", len(s.TokenKeys), len(s.Sites))
	case len(s.Keys) > maxKeys:
		return fmt.Errorf("%d keys, at most %d", len(s.Keys), maxKeys)
	}
	ids := make(map[string]bool, len(s.Sites))
	for i := range s.Sites {
		site := &s.Sites[i]
		if err := checkSite(site); err != nil {
			return fmt.Errorf("site %d: %w", i+1, err)
		}
		if ids[site.ID] {
			return fmt.Errorf("site %s is there twice", site.ID)
		}
		ids[site.ID] = true
	}
	for id, key := range s.TokenKeys {
		if !siteID(id) || key == (shared.Secret{}) {
			return errors.New("a key of tokens that is empty, or of no site")
		}
	}
	for i := range s.Salts {
		if err := checkSalt(&s.Salts[i]); err != nil {
			return fmt.Errorf("salt %d: %w", i+1, err)
		}
	}
	return nil
}

func checkSite(s *shared.SiteConfig) error {
	if !siteID(s.ID) {
		return errors.New("no id of a site")
	}
	if len(s.Domains) > maxSiteNames || len(s.AllowedDomains) > maxSiteNames {
		return fmt.Errorf("more than %d domains", maxSiteNames)
	}
	for _, list := range [][]string{s.Domains, s.AllowedDomains, {s.UUID, s.TimeZone, s.Identity}} {
		for _, name := range list {
			if len(name) > shared.MaxSite || shared.Cut(name, shared.MaxSite) != name {
				return errors.New("a name that is none")
			}
		}
	}
	if len(s.Links) > maxSiteLinks {
		return fmt.Errorf("more than %d short addresses", maxSiteLinks)
	}
	for i := range s.Links {
		if l := &s.Links[i]; l.Slug == "" || len(l.Slug) > shared.MaxShort || len(l.UUID) > shared.MaxShort || len(l.URL) > 2*shared.MaxPath {
			return errors.New("a short address that is none")
		}
	}
	return nil
}

func checkSalt(s *shared.Salt) error {
	switch {
	case !siteID(s.Site):
		return errors.New("of no site")
	case s.Key == [32]byte{}:
		return errors.New("empty")
	case s.From < 0, s.From >= s.Until, s.Until-s.From > maxPeriod: // in this order nothing overflows
		return errors.New("of an impossible period")
	case s.Identity == "", len(s.Identity) > shared.MaxShort, shared.Cut(s.Identity, shared.MaxShort) != s.Identity:
		return errors.New("of no kind of identity")
	}
	return nil
}

// siteID reports whether s has the form of a site's id:
// ^[a-z0-9][a-z0-9_-]{0,62}$.
func siteID(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '_' || s[0] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
