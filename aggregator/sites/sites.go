// Package sites is the registry: which sites there are, and by which names.
//
// It owns the ids of sites, which are generated and safe in a path, and the
// rules by which a domain, as people and proxies write it, becomes one name. It
// promises that a name finds the same site for ever, that two domains never
// share an id, and that nothing from outside becomes part of a path. It
// refuses names that no browser could ask for, with an error that says why.
package sites

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
)

// maxSites bounds what an edge with a valid token can fill the registry with.
const maxSites = 10_000

// Origins of a site.
const (
	originCaddyfile = "caddyfile"
	originOperator  = "operator"
)

// ErrTooMany means that the registry is full.
var ErrTooMany = fmt.Errorf("there are %d sites already, which is the limit", maxSites)

// Store keeps the sites; see package state.
type Store interface {
	PutSite(state.Site) error
	Sites() ([]state.Site, error)
}

// Registry is the registry in memory, and in the store. Its methods are safe
// for concurrent use; finding a site takes no lock.
type Registry struct {
	store Store
	zone  string
	now   func() time.Time

	mu    sync.Mutex // orders changes
	names atomic.Pointer[map[string]state.Site]
}

// Open reads the registry. defaultZone is the IANA zone of sites that are
// registered without one; "" = UTC.
func Open(store Store, defaultZone string) (*Registry, error) {
	if defaultZone == "" {
		defaultZone = "UTC"
	}
	if err := checkZone(defaultZone); err != nil {
		return nil, fmt.Errorf("default time zone: %w", err)
	}
	all, err := store.Sites()
	if err != nil {
		return nil, fmt.Errorf("read the sites: %w", err)
	}
	r := &Registry{store: store, zone: defaultZone, now: time.Now}
	names := make(map[string]state.Site, 3*len(all))
	for _, s := range all {
		enter(names, s)
	}
	r.names.Store(&names)
	return r, nil
}

// enter adds all names of a site.
func enter(names map[string]state.Site, s state.Site) {
	names[s.ID] = s
	names[s.UUID] = s
	for _, d := range s.Domains {
		names[d] = s
	}
}

// Resolve finds a site by its id, UUID or domain. Of a domain neither case nor
// port, trailing dot or leading "www." matter.
func (r *Registry) Resolve(name string) (state.Site, bool) {
	names := *r.names.Load()
	if s, ok := names[name]; ok {
		return s, true
	}
	if len(name) == uuidLen {
		if s, ok := names[strings.ToLower(name)]; ok {
			return s, true
		}
	}
	domain, err := Domain(name)
	if err != nil {
		return state.Site{}, false
	}
	s, ok := names[domain]
	return s, ok
}

// Register makes sure that a domain which an edge's configuration names is a
// site, and returns it.
func (r *Registry) Register(domain string) (state.Site, error) {
	return r.put(domain, "", originCaddyfile)
}

// Add makes sure that a domain is a site, and that it has the zone if one is
// given. Another zone is for days to come: what was counted stays where it is.
func (r *Registry) Add(domain, zone string) (state.Site, error) {
	return r.put(domain, zone, originOperator)
}

func (r *Registry) put(name, zone, origin string) (state.Site, error) {
	domain, err := Domain(name)
	if err != nil {
		return state.Site{}, err
	}
	if zone != "" {
		if err := checkZone(zone); err != nil {
			return state.Site{}, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	names := *r.names.Load()
	s, known := names[domain]
	switch {
	case known && !slices.Contains(s.Domains, domain):
		// Names are for ever, and an id is one.
		return state.Site{}, fmt.Errorf("%s can't be a site: it is the id of the site %s", domain, s.Name)
	case known && (zone == "" || zone == s.Zone):
		return s, nil
	case known:
		s.Zone = zone
	case len(names)/3 >= maxSites:
		return state.Site{}, ErrTooMany
	default:
		s = state.Site{
			ID: newID(domain, names), UUID: newUUID(), Domains: []string{domain}, Name: domain,
			Zone: zone, CreatedAt: r.now().UnixMicro(), Origin: origin,
		}
		if zone == "" {
			s.Zone = r.zone
		}
	}
	if err := r.store.PutSite(s); err != nil {
		return state.Site{}, fmt.Errorf("register %s: %w", domain, err)
	}
	next := make(map[string]state.Site, len(names)+3)
	for k, v := range names {
		next[k] = v
	}
	enter(next, s)
	r.names.Store(&next)
	return s, nil
}

// List returns every site in the order of their names.
func (r *Registry) List() []state.Site {
	list := []state.Site{}
	for name, s := range *r.names.Load() {
		if name == s.ID {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b state.Site) int {
		return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID)
	})
	return list
}

// Zone is the site's zone by its id; that of an unknown site is the default.
func (r *Registry) Zone(siteID string) string {
	if s, ok := (*r.names.Load())[siteID]; ok {
		return s.Zone
	}
	return r.zone
}

func checkZone(zone string) error {
	// "Local" and "" are zones to Go, but not the same ones everywhere.
	if zone == "" || zone == "Local" {
		return errors.New("a zone must be named as IANA names it, such as Europe/Berlin")
	}
	if _, err := time.LoadLocation(zone); err != nil {
		return fmt.Errorf("there is no time zone %s: name it as IANA does, such as Europe/Berlin", strconv.Quote(zone))
	}
	return nil
}

// newID makes an id of a domain: what it may not contain becomes a dash, and
// a number is appended where the name is taken.
func newID(domain string, taken map[string]state.Site) string {
	const longest = 63
	id := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return '-'
	}, domain)
	id = strings.Trim(id, "-_")
	if id == "" {
		id = "site"
	}
	id = strings.TrimRight(id[:min(len(id), longest)], "-_")
	candidate := id
	for n := 2; ; n++ {
		if _, ok := taken[candidate]; !ok {
			return candidate
		}
		suffix := "-" + strconv.Itoa(n)
		candidate = id[:min(len(id), longest-len(suffix))] + suffix
	}
}

const uuidLen = 36

// newUUID is a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
