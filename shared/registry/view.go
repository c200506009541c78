// Package registry is what an edge, a collector and the aggregator's own
// collection endpoints know of the sites: an immutable [View] of the state that
// the aggregator hands out.
//
// It owns finding a site by its names and a salt by its time, and (for those
// that are not the aggregator) asking for the state, keeping the sites on disk
// for the next start, and keeping the secrets in memory only.
//
// It promises that a reader never waits and never sees half of a change. It
// refuses to invent sites: a name that it does not know is nil.
package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/eider-analytics/eider/shared"
)

// View is one state of the registry. It never changes.
type View struct {
	state *shared.EdgeState
	n     uint64                   // no other view's
	names map[string]int           // indices of state.Sites
	links map[string]link          // by slug and by UUID
	salts map[string][]shared.Salt // by site id
	keys  map[[sha256.Size]byte]*shared.IngestKey
}

// link is a short address and the site that it is of.
type link struct {
	site *shared.SiteConfig
	link *shared.Link
}

// views are those that were made, for their numbers.
var views atomic.Uint64

// NewView makes a view of a state, which it keeps.
func NewView(s *shared.EdgeState) *View {
	v := &View{
		state: s, n: views.Add(1), links: map[string]link{}, keys: map[[sha256.Size]byte]*shared.IngestKey{},
		names: make(map[string]int, 4*len(s.Sites)), salts: make(map[string][]shared.Salt, len(s.Sites)),
	}
	for i := range s.Sites {
		site := &s.Sites[i]
		v.names[site.ID] = i
		v.names[site.UUID] = i
		for _, d := range site.Domains {
			v.names[d] = i
		}
		for j := range site.Links {
			l := &site.Links[j]
			v.links[l.Slug], v.links[l.UUID] = link{site, l}, link{site, l}
		}
	}
	delete(v.names, "") // what a site lacks is no name
	for i := range s.Keys {
		var digest [sha256.Size]byte
		if n, err := hex.Decode(digest[:], []byte(s.Keys[i].Digest)); err == nil && n == len(digest) {
			v.keys[digest] = &s.Keys[i]
		}
	}
	for _, salt := range s.Salts {
		v.salts[salt.Site] = append(v.salts[salt.Site], salt)
	}
	return v
}

// Version is the state's.
func (v *View) Version() string { return v.state.Version }

// State is what the view was made of, for handing on; it must not be changed.
func (v *View) State() *shared.EdgeState { return v.state }

// TokenKey signs Umami's tokens for a site, by its id; ok is false where none is
// known (yet).
func (v *View) TokenKey(siteID string) (key shared.Secret, ok bool) {
	if key, ok = v.state.TokenKeys[siteID]; ok || len(v.state.SigningKey) == 0 {
		return key, ok
	}
	return shared.TokenKey(v.state.SigningKey, siteID), true
}

// IngestKey returns for which sites, by their ids, a server may send that shows
// a token; ok is false if the token is none or over at now, µs since 1970. It is
// found by its digest, so that the time it takes tells nothing of a right one.
func (v *View) IngestKey(token string, now int64) (allows func(siteID string) bool, ok bool) {
	key := v.keys[sha256.Sum256([]byte(token))]
	if token == "" || key == nil || key.Until != 0 && now >= key.Until {
		return nil, false
	}
	return func(siteID string) bool { return len(key.Sites) == 0 || slices.Contains(key.Sites, siteID) }, true
}

// Site finds a site by its id, UUID or domain; nil = there is none. Of a
// domain neither case nor port, trailing dot or leading "www." matter. It does
// not allocate for names in their normal form.
func (v *View) Site(name string) *shared.SiteConfig {
	return v.At(v.Find(name))
}

// Host is [View.Site] for the Host of a request, which anybody can make up: only a
// domain is one, not an id or a UUID.
func (v *View) Host(host string) *shared.SiteConfig {
	s := v.Site(host)
	if s == nil || !slices.Contains(s.Domains, host) && !slices.Contains(s.Domains, normal(host)) {
		return nil
	}
	return s
}

// Place says where a view has a site. It keeps nothing of the view, whose
// secrets must go when the next one comes.
type Place struct {
	view  uint64
	index int // -1 = nowhere
}

// Of reports whether it is a place in the view: another one's says nothing of it.
func (p Place) Of(v *View) bool { return v != nil && p.view == v.n }

// Find is [View.Site] for who asks for the same name again: [View.At] has the site.
func (v *View) Find(name string) Place {
	if v == nil {
		return Place{index: -1}
	}
	i, ok := v.names[name]
	if !ok {
		i, ok = v.names[normal(name)]
	}
	if !ok {
		i = -1
	}
	return Place{v.n, i}
}

// At is the site at a place; nil = there is none, or the place is not of the view.
func (v *View) At(p Place) *shared.SiteConfig {
	if !p.Of(v) || p.index < 0 {
		return nil
	}
	return &v.state.Sites[p.index]
}

// Sites lists every site. It is the view's own: nothing in it may be changed.
func (v *View) Sites() []shared.SiteConfig {
	if v == nil {
		return nil
	}
	return v.state.Sites
}

// Link finds a short address, and the site that it is of, by its slug or its
// UUID; nil = there is none.
func (v *View) Link(name string) (*shared.Link, *shared.SiteConfig) {
	if v == nil || name == "" {
		return nil, nil
	}
	l := v.links[name]
	return l.link, l.site
}

// Salt returns the key of a site, by its id, at a time, µs since 1970.
func (v *View) Salt(siteID string, at int64) (shared.Salt, bool) {
	if v == nil {
		return shared.Salt{}, false
	}
	for _, s := range v.salts[siteID] {
		if at >= s.From && at < s.Until {
			return s, true
		}
	}
	return shared.Salt{}, false
}

func normal(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if i := strings.LastIndexByte(name, ':'); i >= 0 && (strings.IndexByte(name, ':') == i || strings.HasPrefix(name, "[")) && !strings.HasSuffix(name, "]") {
		name = name[:i]
	}
	name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), ".")
	if bare, ok := strings.CutPrefix(name, "www."); ok && strings.Contains(bare, ".") {
		return bare
	}
	return name
}

// Holder is where the newest view is found. The zero value has an empty one.
type Holder struct{ view atomic.Pointer[View] }

var empty = NewView(&shared.EdgeState{})

// Load returns the newest view, never nil.
func (h *Holder) Load() *View {
	if v := h.view.Load(); v != nil {
		return v
	}
	return empty
}

// Store makes v the newest view.
func (h *Holder) Store(v *View) { h.view.Store(v) }

// Site finds a site in the newest view.
func (h *Holder) Site(name string) *shared.SiteConfig { return h.Load().Site(name) }

// Salt finds a salt in the newest view.
func (h *Holder) Salt(siteID string, at int64) (shared.Salt, bool) { return h.Load().Salt(siteID, at) }
