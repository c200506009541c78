package stats

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// JourneyQuery asks which ways visits take most.
type JourneyQuery struct {
	Query
	entry  *Condition // nil = any
	length int
}

// Journeys are the ways that most visits took.
type Journeys struct {
	Visits   Count     `json:"visits"` // with a page view, and with that entry
	Journeys []Journey `json:"journeys"`
	Other    int64     `json:"other"` // visits that took another way
	Meta     *Meta     `json:"meta,omitempty"`
}

// Journey is one way.
type Journey struct {
	// Pages are those of the way in their order, the entry page first. One that
	// was loaded again is one.
	Pages     []string `json:"pages"`
	Continues bool     `json:"continues"` // visits went on to more pages than were asked for
	Visits    int64    `json:"visits"`
	Share     *float64 `json:"share"` // of all
}

// The bounds of ways.
const (
	defaultJourney = 5
	maxJourney     = 10
	// maxJourneys are told apart while they are counted, at some 200 bytes each.
	maxJourneys = 200_000
)

// ParseJourneys reads entry (a page) and length beside the common parameters.
func ParseJourneys(site Site, p url.Values, now time.Time) (JourneyQuery, error) {
	var q JourneyQuery
	var err error
	if q.Query, err = Parse(site, p, now); err != nil {
		return q, err
	}
	if entry := p.Get("entry"); entry != "" {
		c, err := site.pageCondition("entry", entry)
		if err != nil {
			return q, err
		}
		q.entry = &c
	}
	q.length, err = parseCount("length", p.Get("length"), defaultJourney, 1, maxJourney)
	return q, err
}

// journeyTally counts visits by their ways: the hashes of pages, eight bytes each,
// and a byte more where a visit goes on.
type journeyTally struct {
	length int
	ways   map[string]int64
	visits int64
	other  int64 // of ways that are not told apart
	way    []byte
}

// add counts a visit by its page views in order.
func (t *journeyTally) add(pages []uint64) {
	t.way = t.way[:0]
	n, before := 0, uint64(0)
	for _, page := range pages {
		if n > 0 && page == before {
			continue
		}
		if n == t.length {
			t.way = append(t.way, 1)
			break
		}
		t.way = binary.BigEndian.AppendUint64(t.way, page)
		before = page
		n++
	}
	t.visits++
	if _, ok := t.ways[string(t.way)]; ok || len(t.ways) < maxJourneys {
		t.ways[string(t.way)]++
	} else {
		t.other++
	}
}

// Journeys answers with the ways of the visits that were selected.
func (e *Engine) Journeys(ctx context.Context, files []lake.File, q *JourneyQuery) (*Journeys, error) {
	t := &journeyTally{length: q.length, ways: map[string]int64{}}
	err := e.trails(ctx, files, q.SiteID, q.compile, func(trail [][]uint64) error {
		visits := trail[0]
		for i := 0; i < len(visits); {
			end := i + 1
			for end < len(visits) && visits[end] == visits[i] {
				end++
			}
			if q.entry == nil || trail[3][i] == 1 {
				t.add(trail[2][i:end])
			}
			i = end
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a := &Journeys{Visits: Count(t.visits), Journeys: []Journey{}, Other: t.visits}
	ways := slices.SortedFunc(maps.Keys(t.ways), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.ways[b], t.ways[a]), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	ways = ways[min(q.Offset, len(ways)):]
	ways = ways[:min(q.Limit, len(ways))]
	wanted := map[uint64]bool{}
	for _, way := range ways {
		for _, page := range pagesOf(way) {
			wanted[page] = true
		}
	}
	names, err := e.names(ctx, files, &q.Query, pages, slices.Collect(maps.Keys(wanted)))
	if err != nil {
		return nil, err
	}
	for _, way := range ways {
		j := Journey{Visits: t.ways[way], Share: ratio(t.ways[way], t.visits), Continues: len(way)%8 == 1}
		for _, page := range pagesOf(way) {
			j.Pages = append(j.Pages, names[page])
		}
		a.Other -= j.Visits
		a.Journeys = append(a.Journeys, j)
	}
	slices.SortStableFunc(a.Journeys, func(a, b Journey) int {
		return cmp.Or(cmp.Compare(b.Visits, a.Visits), slices.Compare(a.Pages, b.Pages))
	})
	caveats, err := e.behavedVisits(ctx, files, &q.Query, nil, &a.Visits, "visits", "share")
	a.Meta = metaOf(caveats)
	return a, err
}

func pagesOf(way string) []uint64 {
	var list []uint64
	for ; len(way) >= 8; way = way[8:] {
		list = append(list, binary.BigEndian.Uint64([]byte(way[:8])))
	}
	return list
}

// compile is the SQL of the page views of visits that began in the range and were
// selected, in their order.
func (q *JourneyQuery) compile(b *builder, whose string) statement {
	p := newPlan(&q.Query, q.Range, b, pages)
	entry := "0::BIGINT"
	if q.entry != nil {
		entry = newMarks(q.Range, []Condition{*q.entry}).mask(p)
	}
	s := p.picked(true, people+" AND "+whose)
	s.text += " SELECT n.visitor_id AS v, n.visit AS visit, k::BIGINT AS k, hash(" + p.column(pages) + ") AS page, " + entry + " AS entry" +
		" FROM (SELECT * FROM numbered WHERE pv AND " + whose + ") n JOIN (SELECT visitor_id, visit FROM visits" +
		" SEMI JOIN (SELECT visitor_id, visit FROM picked) USING (visitor_id, visit) WHERE " + p.begun() + ") s USING (visitor_id, visit) ORDER BY v, k, page"
	s.args = b.args
	return s
}
