package caddymodule

import (
	"slices"
	"sync/atomic"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/evidence"
	"github.com/eider-analytics/eider/shared/registry"
)

// otherSite labels requests for hosts that no configuration names.
const otherSite = "_other"

// resultIndex numbers the closed list of results. They are few, and told by
// their lengths mostly: a table to look them up in takes longer.
func resultIndex(r shared.Result) int { return slices.Index(shared.Results, r) }

// site is one site's counters. They live as long as the process: a reload
// finds them again by name.
type site struct {
	name        string
	results     []atomic.Uint64 // by resultIndex
	sums        *sums           // of these, for the aggregator
	evidence    atomic.Uint64   // completions of this name
	activations atomic.Uint64
	visitors    *evidence.Site                 // who was shown a page
	place       atomic.Pointer[registry.Place] // in the view that was last asked
}

// known is what the registry says of the site. It is looked up by name once for
// each view; a site that nobody asks for keeps no view.
func (s *site) known(view *registry.View) *shared.SiteConfig {
	at := s.place.Load()
	if at == nil || !at.Of(view) {
		found := view.Find(s.name)
		at = &found
		s.place.Store(at)
	}
	return view.At(*at)
}

func newSite(name string, m *evidence.Memory) *site {
	return &site{name: name, results: make([]atomic.Uint64, len(shared.Results)), sums: newSums(), visitors: m.Site(name)}
}

func (s *site) count(r shared.Result) { s.results[resultIndex(r)].Add(1) }
