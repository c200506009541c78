// Package sites is the registry: which sites there are, by which names, and
// what each of them records.
//
// It owns the ids of sites, which are generated and safe in a path, the rules
// by which a domain, as people and proxies write it, becomes one name, and the
// options of a site. It promises that an id and a UUID find the same site for
// ever, and a domain until somebody takes it from the site; that no two sites
// share a name; and that nothing from outside becomes part of a path. It
// refuses names that no browser could ask for and options that can't work,
// with an error that says why.
package sites

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// maxSites bounds what an edge with a valid token can fill the registry with.
const maxSites = 10_000

// maxBytes bounds what all sites are together as edges get them: an answer that
// is too large for them, with the salts, would leave all of them without.
const maxBytes = 16 << 20

// Origins of a site.
const (
	originCaddyfile = "caddyfile"
	originOperator  = "operator"
)

// Errors that callers tell apart.
var (
	// ErrTooMany means that the registry is full.
	ErrTooMany = fmt.Errorf("there are %d sites already, which is the limit", maxSites)
	// ErrTooLarge means that the sites are more than edges can be told.
	ErrTooLarge = fmt.Errorf("all sites together have more than %d MiB of names, links and patterns, which is the limit: take some of them away", maxBytes>>20)
	// ErrUnknown means that no site has the name.
	ErrUnknown = errors.New("there is no such site")
	// ErrStore means that nothing is wrong with what was asked for, but with
	// the store.
	ErrStore = errors.New("the site could not be stored")
)

// Store keeps the sites; see package state.
type Store interface {
	PutSite(state.Site) error
	Sites() ([]state.Site, error)
}

// Registry is the registry in memory, and in the store. Its methods are safe
// for concurrent use; finding a site takes no lock.
type Registry struct {
	store   Store
	zone    string
	now     func() time.Time
	changed chan struct{}

	mu    sync.Mutex // orders changes
	count uint64     // of changes
	boot  string     // makes versions of different lives differ
	book  atomic.Pointer[book]
}

// book is one state of the registry. It never changes.
type book struct {
	names   map[string]state.Site // ids, UUIDs and domains
	sites   int
	bytes   int // of all, as edges get them
	version string
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
	var boot [6]byte
	_, _ = rand.Read(boot[:]) // never fails since Go 1.24
	r := &Registry{
		store: store, zone: defaultZone, now: time.Now,
		changed: make(chan struct{}, 1), boot: hex.EncodeToString(boot[:]),
	}
	names := make(map[string]state.Site, 3*len(all))
	bytes := 0
	for _, s := range all {
		enter(names, s)
		bytes += sizeOf(&s)
	}
	r.publish(names, len(all), bytes)
	return r, nil
}

// publish makes names the registry. The caller holds r.mu, but in Open.
func (r *Registry) publish(names map[string]state.Site, sites, bytes int) {
	r.count++
	r.book.Store(&book{names: names, sites: sites, bytes: bytes, version: r.boot + "-" + strconv.FormatUint(r.count, 10)})
	select {
	case r.changed <- struct{}{}:
	default: // whoever waits is told already
	}
}

// Version changes with every change of any site, and with every opening.
func (r *Registry) Version() string { return r.book.Load().version }

// Changed receives after one or more changes. It is for one reader.
func (r *Registry) Changed() <-chan struct{} { return r.changed }

// enter adds all names of a site.
func enter(names map[string]state.Site, s state.Site) {
	names[s.ID] = s
	names[s.UUID] = s
	for _, d := range s.Domains {
		names[d] = s
	}
}

// Resolve finds a site by its id, UUID or domain. Of a domain neither case nor
// port, trailing dot or leading "www." matter. An archived site is found, too.
func (r *Registry) Resolve(name string) (state.Site, bool) {
	names := r.book.Load().names
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
	return r.add(domain, Change{}, originCaddyfile)
}

// Add makes sure that a domain is a site that has what c says.
func (r *Registry) Add(domain string, c Change) (state.Site, error) {
	return r.add(domain, c, originOperator)
}

func (r *Registry) add(name string, c Change, origin string) (state.Site, error) {
	domain, err := Domain(name)
	if err != nil {
		return state.Site{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.book.Load()
	old, known := b.names[domain]
	switch {
	case known && !slices.Contains(old.Domains, domain):
		// Names are for ever, and an id is one.
		return state.Site{}, fmt.Errorf("%s can't be a site: it is the id of the site %s", domain, old.Name)
	case known && c.empty():
		return old, nil
	case known:
		return r.change(b, old, c)
	case b.sites >= maxSites:
		return state.Site{}, ErrTooMany
	}
	s := state.Site{
		ID: newID(domain, b.names), UUID: newUUID(), Domains: []string{domain}, Name: domain, Zone: r.zone,
		CreatedAt: r.now().UnixMicro(), Origin: origin, Identity: shared.IdentityDay,
	}
	if c.Domains != nil {
		// What is added is one of its names, whatever the others are.
		domains := append([]string{domain}, *c.Domains...)
		c.Domains = &domains
	}
	if err := c.apply(&s); err != nil {
		return state.Site{}, err
	}
	return r.put(b, nil, s)
}

// Edit changes a site, named by id, UUID or domain. Another zone or period of
// identities is for days to come: what was counted stays where it is.
func (r *Registry) Edit(name string, c Change) (state.Site, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.Resolve(name)
	if !ok {
		return state.Site{}, fmt.Errorf("%w: %s", ErrUnknown, strconv.Quote(cut(name)))
	}
	return r.change(r.book.Load(), old, c)
}

// change applies c to a site of b. The caller holds r.mu.
func (r *Registry) change(b *book, old state.Site, c Change) (state.Site, error) {
	s := old
	if err := c.apply(&s); err != nil {
		return state.Site{}, err
	}
	if same(&old, &s) {
		return old, nil
	}
	s.UpdatedAt = r.now().UnixMicro()
	if !samePrivacy(&old, &s) {
		s.PrivacyChanged = s.UpdatedAt
	}
	return r.put(b, &old, s)
}

// put stores s, in the place of old if there is one, and publishes it. The
// caller holds r.mu.
func (r *Registry) put(b *book, old *state.Site, s state.Site) (state.Site, error) {
	for _, d := range s.Domains {
		if other, taken := b.names[d]; taken && other.ID != s.ID {
			return state.Site{}, fmt.Errorf("%s is a name of the site %s already: take it from there first", d, other.ID)
		}
	}
	if err := checkSlugs(b.names, &s); err != nil {
		return state.Site{}, err
	}
	bytes := b.bytes + sizeOf(&s)
	if old != nil {
		bytes -= sizeOf(old)
	}
	if bytes > maxBytes && bytes > b.bytes {
		return state.Site{}, ErrTooLarge
	}
	if err := r.store.PutSite(s); err != nil {
		return state.Site{}, fmt.Errorf("%w: %w", ErrStore, err)
	}
	names := make(map[string]state.Site, len(b.names)+2+len(s.Domains))
	for k, v := range b.names {
		names[k] = v
	}
	count := b.sites + 1
	if old != nil {
		count--
		for _, d := range old.Domains {
			delete(names, d)
		}
	}
	enter(names, s)
	r.publish(names, count, bytes)
	return s, nil
}

// List returns every site in the order of their names.
func (r *Registry) List() []state.Site {
	list := []state.Site{}
	for name, s := range r.book.Load().names {
		if name == s.ID {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b state.Site) int {
		return strings.Compare(a.Name+"\x00"+a.ID, b.Name+"\x00"+b.ID)
	})
	return list
}

// Configs is the registry as edges and collectors need it, in the order of the
// ids, and the version that it is of. Nobody may change it.
func (r *Registry) Configs() (list []shared.SiteConfig, version string) {
	b := r.book.Load()
	list = make([]shared.SiteConfig, 0, b.sites)
	for name, s := range b.names {
		if name == s.ID {
			list = append(list, Config(&s))
		}
	}
	slices.SortFunc(list, func(a, b shared.SiteConfig) int { return strings.Compare(a.ID, b.ID) })
	return list, b.version
}

// Config is a site as edges and collectors need it.
func Config(s *state.Site) shared.SiteConfig {
	return shared.SiteConfig{
		ID: s.ID, UUID: s.UUID, Name: s.Name, Domains: s.Domains, TimeZone: s.Zone, AllowedDomains: s.AllowedDomains,
		Identity: s.Identity, Archived: s.Archived, Privacy: s.Privacy, Links: s.Links,
	}
}

// sizeOf is how much of an answer to an edge a site is, in bytes.
func sizeOf(s *state.Site) int {
	b, err := json.Marshal(Config(s))
	if err != nil {
		panic(err) // of texts and booleans
	}
	return len(b)
}

// Zone is the site's zone by its id; that of an unknown site is the default.
func (r *Registry) Zone(siteID string) string {
	if s, ok := r.book.Load().names[siteID]; ok {
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
