package enrich

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// Sites finds a site by its id, UUID or domain; nil = it is not known. A site
// of one state of the registry is always the same pointer.
type Sites interface {
	Site(name string) *shared.SiteConfig
}

// policy is what holds for the events of one site: its options, ready to be
// applied, and the keys of its visitors.
type policy struct {
	site  *shared.SiteConfig // nil = not known
	extra *shared.Privacy    // what the proxy asks for beside; nil = nothing

	shared.Privacy // the stricter of both
	redact         []*regexp.Regexp
	redactAll      bool // a pattern can't be used: nothing may pass by it
	keys           map[string]bool
	zone           *time.Location // nil but for HourTimes
	visitors       keyring
	used           bool // since the last sweep
}

// policies keeps the policy of each site as long as the registry says the same
// of it.
type policies struct {
	sites Sites
	salts Salts
	local *LocalSalts
	log   *zap.Logger

	mu  sync.Mutex
	all map[policyKey]*policy
}

type policyKey struct {
	name  string // the site's id, else its name
	extra *shared.Privacy
}

// maxPolicies bounds the memory for sites: hosts of a wildcard come from
// outside. Beyond it all are forgotten and made anew, which changes no
// identity.
const maxPolicies = 1024

func (ps *policies) of(name string, extra *shared.Privacy) *policy {
	site := ps.sites.Site(name)
	if site != nil {
		name = site.ID
	}
	key := policyKey{name, extra}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.all[key]
	if p != nil && p.site == site {
		p.used = true
		return p
	}
	if p == nil && len(ps.all) >= maxPolicies {
		clear(ps.all)
	}
	// The name may be a part of an observation that is much longer.
	key.name = strings.Clone(name)
	p = ps.make(key, site, p)
	p.used = true
	ps.all[key] = p
	return p
}

// sweepEvery is how often what is not in use is let go of. What was used last
// just after one sweep is gone with the one after the next.
const sweepEvery = time.Hour

// sweep lets go of sites that nobody asked for since the last time, and of the
// keys that were not used.
func (ps *policies) sweep(now time.Time) {
	ps.mu.Lock()
	for key, p := range ps.all {
		if !p.used {
			delete(ps.all, key)
			continue
		}
		p.used = false
		p.visitors.forget()
	}
	ps.mu.Unlock()
	if ps.local != nil {
		ps.local.forget(now.UnixMicro())
	}
}

// sweeping sweeps until stop is closed.
func (ps *policies) sweeping(stop <-chan struct{}) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			ps.sweep(now)
		case <-stop:
			return
		}
	}
}

// make compiles a policy; of the one before, what has not changed is used
// again.
func (ps *policies) make(key policyKey, site *shared.SiteConfig, before *policy) *policy {
	p := &policy{site: site, extra: key.extra}
	p.visitors.salts, p.visitors.local, p.visitors.site = ps.salts, ps.local, key.name
	if site != nil {
		p.Privacy = site.Privacy
	}
	p.Privacy = p.Privacy.Stricter(key.extra)
	if before != nil && slices.Equal(before.Redact, p.Redact) {
		p.redact, p.redactAll = before.redact, before.redactAll
	} else {
		ps.compile(p, key.name)
	}
	if len(p.QueryKeys) > 0 {
		p.keys = make(map[string]bool, len(p.QueryKeys))
		for _, k := range p.QueryKeys[:min(len(p.QueryKeys), shared.MaxQueryKeys)] {
			if shared.PlainQueryKey(k) {
				p.keys[strings.ToLower(k)] = true
			}
		}
	}
	if p.HourTimes {
		p.zone = time.UTC
		if site != nil {
			if zone, err := time.LoadLocation(site.TimeZone); err == nil {
				p.zone = zone
			}
		}
	}
	return p
}

// compile compiles the patterns. One that can't be compiled would let through
// what it was to remove, so paths and titles of the site are then removed
// wholly, until somebody mends it.
func (ps *policies) compile(p *policy, site string) {
	if len(p.Redact) > 2*shared.MaxRedact { // the registry's and the proxy's own
		p.redactAll = true
		ps.log.Warn("too many redact patterns: paths and titles are not recorded until there are fewer", zap.String("site", site))
		return
	}
	for _, pattern := range p.Redact {
		re, err := shared.CompileRedaction(pattern)
		if err != nil {
			p.redactAll = true
			ps.log.Warn("a redact pattern can't be used: paths and titles are not recorded until it is mended",
				zap.String("site", site), zap.String("pattern", shared.Cut(pattern, shared.MaxTitle)), zap.Error(err))
			return
		}
		p.redact = append(p.redact, re)
	}
}

// clean applies the site's own patterns to a path or a title.
func (p *policy) clean(s string) string {
	if p.redactAll && s != "" {
		return shared.Redacted
	}
	for _, re := range p.redact {
		s = replaceMatches(re, s)
	}
	return s
}

// replaceMatches is ReplaceAllLiteralString but for empty matches, which are
// left alone: they remove nothing and would make the text longer.
func replaceMatches(re *regexp.Regexp, s string) string {
	if !re.MatchString(s) {
		return s
	}
	var b strings.Builder
	done := 0
	for _, at := range re.FindAllStringIndex(s, -1) {
		if at[0] == at[1] {
			continue
		}
		b.WriteString(s[done:at[0]])
		b.WriteString(shared.Redacted)
		done = at[1]
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// ownDomain reports whether a host is one of the site's.
func (p *policy) ownDomain(host string) bool {
	return p.site != nil && slices.Contains(p.site.Domains, host)
}

// apply removes from an event what the site's options and the visitor's wishes
// leave out. The identity is not made in the first place.
func (p *policy) apply(dst *shared.Event) {
	if p.CountryOnly {
		dst.Region, dst.City = "", ""
	}
	if p.NoVersions {
		dst.BrowserVersion, dst.OSVersion = "", ""
	}
	if p.NoScreen {
		dst.ScreenSize = ""
	}
	if p.ReferrerHostOnly {
		dst.ReferrerPath = ""
	}
	if p.HourTimes {
		dst.Time = hour(dst.Time, p.zone)
	}
}

// hour cuts a time, µs since 1970, to the full hour of a zone.
func hour(at int64, zone *time.Location) int64 {
	const hour = 3600 * 1_000_000
	_, offset := time.UnixMicro(at).In(zone).Zone()
	local := at + int64(offset)*1_000_000
	return at - ((local%hour)+hour)%hour
}
