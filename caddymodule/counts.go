package caddymodule

import (
	"sync/atomic"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/evidence"
)

// otherSite labels requests for hosts that no configuration names.
const otherSite = "_other"

// resultIndex numbers the closed list of results.
var resultIndex = func() map[shared.Result]int {
	index := make(map[shared.Result]int, len(shared.Results))
	for i, r := range shared.Results {
		index[r] = i
	}
	return index
}()

// site is one site's counters. They live as long as the process: a reload
// finds them again by name.
type site struct {
	name        string
	results     []atomic.Uint64 // by resultIndex
	sums        *sums           // of these, for the aggregator
	evidence    atomic.Uint64   // completions of this name
	activations atomic.Uint64
	visitors    *evidence.Site // who was shown a page
}

func newSite(name string, m *evidence.Memory) *site {
	return &site{name: name, results: make([]atomic.Uint64, len(shared.Results)), sums: newSums(), visitors: m.Site(name)}
}

func (s *site) count(r shared.Result) { s.results[resultIndex[r]].Add(1) }
