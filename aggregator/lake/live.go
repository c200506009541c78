package lake

import (
	"maps"
	"slices"

	"github.com/eider-analytics/eider/aggregator/state"
)

// LiveDays returns the local days (yyyy-mm-dd, ascending) on which a site has
// events that no import brought: also those that are not committed yet.
func (l *Lake) LiveDays(site string) []string {
	days := map[string]bool{}
	l.mu.Lock()
	groups := l.gen.order
	if l.cutting != nil {
		groups = append(l.cutting.order[:len(l.cutting.order):len(l.cutting.order)], groups...)
	}
	for _, gr := range groups {
		if gr.site == site && gr.live() {
			days[gr.day.String()] = true
		}
	}
	l.mu.Unlock()
	// What is committed between the two looks is seen by both.
	s := l.Snapshot()
	defer s.Release()
	for i := range s.Files {
		if f := &s.Files[i]; f.SiteID == site && (f.Facts == nil || live(f.Rows, f.Facts)) {
			days[f.Date] = true
		}
	}
	return slices.Sorted(maps.Keys(days))
}

// live reports whether any row of the group is no import's. The caller holds
// the lake's lock.
func (gr *group) live() bool {
	if gr.open != nil && gr.open.live() {
		return true
	}
	return slices.ContainsFunc(gr.sealed, (*chunk).live)
}

func (c *chunk) live() bool { return live(int64(c.rows()), &c.facts) }

// live reports whether any of the rows is an event that no import brought. Sums
// of requests are about events and not events themselves.
func live(rows int64, f *state.Facts) bool { return rows > f.Imported+f.Requests }
