package erasure

import (
	"cmp"
	"slices"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// rules are entries of the ledger, ready to be looked up: what is asked of a row
// does not grow with their number, but for a search among merged spans. They
// never change.
type rules struct {
	key   key
	sites map[string]*siteRules
}

type siteRules struct {
	spans    []period // of erasures that name nobody; sorted, apart from each other
	open     []limit  // of those that are being carried out, as they are
	visitors map[digest][]limit
	distinct map[digest][]limit
	hull     limit // of these two: no other row is worth a digest
}

// period is [from, to), µs since 1970.
type period struct{ from, to int64 }

// limit is what else must be so of a row for it to be erased.
type limit struct {
	from, to int64  // µs since 1970, of its time
	asked    int64  // it is no younger, by its time or by when it came
	distinct digest // if it is not zero: of its distinct id
}

// compile readies the entries. What was made under another key is left out, and
// counted.
func compile(k key, entries []state.Erasure) (r *rules, foreign int) {
	r = &rules{key: k, sites: map[string]*siteRules{}}
	for i := range entries {
		e := &entries[i]
		ids := len(e.Visitors) > 0 || e.Distinct != ""
		if ids && (k == nil || e.Key != k.name()) {
			foreign++
			continue
		}
		s := r.sites[e.SiteID]
		if s == nil {
			s = &siteRules{visitors: map[digest][]limit{}, distinct: map[digest][]limit{}}
			r.sites[e.SiteID] = s
		}
		s.add(e, ids)
	}
	for _, s := range r.sites {
		s.spans = merge(s.spans)
	}
	return r, foreign
}

func (s *siteRules) add(e *state.Erasure, ids bool) {
	l := limit{from: e.From, to: e.To, asked: e.AskedAt}
	if !ids {
		s.spans = append(s.spans, period{l.from, min(l.to, l.asked+1)})
		if e.State == state.ErasureOpen && l.to > l.asked {
			s.open = append(s.open, l) // rows of clocks that are ahead were there already
		}
		return
	}
	if len(s.visitors) == 0 && len(s.distinct) == 0 {
		s.hull = l
	}
	s.hull.from, s.hull.to, s.hull.asked = min(s.hull.from, l.from), max(s.hull.to, l.to), max(s.hull.asked, l.asked)
	distinct, named := parseDigest(e.Distinct)
	if named && !e.Both {
		s.distinct[distinct] = append(s.distinct[distinct], l)
	}
	if e.Both {
		l.distinct = distinct
	}
	for _, text := range e.Visitors {
		if d, ok := parseDigest(text); ok {
			s.visitors[d] = append(s.visitors[d], l)
		}
	}
}

// merge joins spans that touch.
func merge(spans []period) (out []period) {
	slices.SortFunc(spans, func(a, b period) int { return cmp.Compare(a.from, b.from) })
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
		} else if s.from < s.to {
			out = append(out, s)
		}
	}
	return out
}

// within reports whether a row is erased whoever it is of.
func (s *siteRules) within(w *lake.Who) bool {
	i, found := slices.BinarySearchFunc(s.spans, w.Time, func(s period, at int64) int { return cmp.Compare(s.from, at) })
	return found || i > 0 && w.Time < s.spans[i-1].to || oneOf(s.open, w)
}

// of returns what recognises a site's erased rows, nil where there are none.
func (r *rules) of(site string) func(*lake.Who) bool {
	s := r.sites[site]
	if s == nil {
		return nil
	}
	if len(s.visitors) == 0 && len(s.distinct) == 0 {
		return s.within
	}
	m := &matcher{siteRules: s, digester: r.key.of(site)}
	return m.erased
}

// event returns what recognises erased events of any site.
func (r *rules) event() func(site string, e *shared.Event) bool {
	known := map[string]func(*lake.Who) bool{}
	return func(site string, e *shared.Event) bool {
		gone, ok := known[site]
		if !ok {
			gone = r.of(site)
			known[site] = gone
		}
		if gone == nil {
			return false
		}
		w := lake.WhoOf(e)
		return gone(&w)
	}
}

// oneOf reports whether one of the limits takes in a row of its time.
func oneOf(list []limit, w *lake.Who) bool {
	for i := range list {
		if list[i].takes(w) {
			return true
		}
	}
	return false
}

func (l *limit) takes(w *lake.Who) bool {
	return w.Time >= l.from && w.Time < l.to && min(w.Time, w.ReceivedAt) <= l.asked
}

// matcher looks a site's rows up. It remembers the last visitors: a digest
// costs more than everything else here.
type matcher struct {
	*siteRules
	digester *digester
	seen     [1 << seenBits]seen
}

const seenBits = 7

type seen struct {
	visitor uint64
	limits  []limit
}

func (m *matcher) erased(w *lake.Who) bool {
	switch {
	case m.within(w):
		return true
	case !m.hull.takes(w): // as nearly all that happens now
		return false
	case m.named(w):
		return true
	}
	for _, id := range [...]uint64{w.VisitorID, w.PrevVisitorID} {
		if id == 0 {
			continue
		}
		for _, l := range m.of(id) {
			if l.takes(w) && (l.distinct == digest{} || w.DistinctID != "" && l.distinct == m.digester.distinct(w.DistinctID)) {
				return true
			}
		}
	}
	return false
}

// named reports whether a row's distinct id is erased.
func (m *matcher) named(w *lake.Who) bool {
	return w.DistinctID != "" && len(m.distinct) > 0 && oneOf(m.distinct[m.digester.distinct(w.DistinctID)], w)
}

// of returns what is erased of a visitor.
func (m *matcher) of(id uint64) []limit {
	if len(m.visitors) == 0 {
		return nil
	}
	slot := &m.seen[id*0x9E3779B97F4A7C15>>(64-seenBits)]
	if slot.visitor != id {
		*slot = seen{id, m.visitors[m.digester.visitor(id)]}
	}
	return slot.limits
}
