package stats

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

// seal seals a day, if it has events.
func (g *growingLake) seal(date Date, zone *time.Location) {
	g.t.Helper()
	s, err := g.lake.BeginSeal(g.t.Context(), state.DayKey{SiteID: testSite, Date: date.String(), Zone: zone.String()})
	if errors.Is(err, lake.ErrNothing) {
		return
	}
	if err != nil {
		g.t.Fatal(err)
	}
	sealer := NewSealer(g.Engine)
	sealer.atOnce = 40 // a day becomes several segments
	made, err := sealer.Derive(g.t.Context(), s)
	if err != nil {
		s.Abandon()
		g.t.Fatal(err)
	}
	if _, err := s.Commit(g.t.Context(), made); err != nil {
		g.t.Fatal(err)
	}
}

// TestSealedDaysAnswer: whatever days are sealed, and whatever comes late, every
// answer is the one that the events give alone.
func TestSealedDaysAnswer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rounds := uint64(4)
	if testing.Short() {
		rounds = 1
	}
	rolled, late := 0, 0
	for round := range rounds {
		s := newStory(seed, round)
		if round%2 == 0 {
			daily(s.events, s.zone)
		}
		decorate(s.r, s.events)
		g := newGrowingLakeIn(t, s.zone)
		first := dateOf(s.first.In(s.zone))
		events := slices.Clone(s.events)
		s.r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		// Some come after days were sealed.
		for step := 0; len(events) > 0; step++ {
			n := min(len(events), 1+s.r.IntN(len(s.events)))
			if step == 0 {
				n = min(len(events), max(n, len(events)*3/4))
			}
			g.take(events[:n], true)
			events = events[n:]
			for day := -1; day <= s.days+1; day++ {
				if s.r.IntN(4) > 0 {
					g.seal(first.add(0, 0, day), s.zone)
				}
			}
			g.compareTiers(s, fmt.Sprintf("round %d, step %d", round, step), &rolled, &late)
		}
	}
	if rolled == 0 || late == 0 && rounds > 2 {
		t.Errorf("rollups answered %d questions, and %d days were late", rolled, late)
	}
}

// compareTiers asks about random ranges with and without sealed days.
func (g *growingLake) compareTiers(s *story, name string, rolled, late *int) {
	g.t.Helper()
	g.files()
	snap := g.lake.Snapshot()
	defer snap.Release()
	days := snap.SiteDays(testSite)
	for _, d := range days {
		if d.Late > 0 {
			*late++
		}
	}
	for range 6 {
		from := dateOf(s.first.In(s.zone)).add(0, 0, s.r.IntN(s.days+2)-1)
		r := newRange(s.zone, from, from.add(0, 0, s.r.IntN(s.days+2)))
		if r.From == r.To {
			continue
		}
		q := Query{SiteID: testSite, Range: r, Limit: 100, site: Site{Zone: s.zone, Days: days}, Metrics: named("visitors", "visits", "pageviews", "events", "bounce_rate", "visit_duration")}
		switch d := pickOf(s.r, nil, pages, sources, browsers, exitPages, together); d {
		case nil:
		case together:
			q.Groups = []Group{{name: "time", interval: pickOf(s.r, Day, Week, Month)}}
		default:
			q.Groups = []Group{{name: d.api, dimension: d}}
		}
		alone := q
		alone.site.Days = nil
		if q.statement(snap.Files, r).rollups != nil {
			*rolled++
		}
		got, _, err := g.ask(g.t.Context(), snap.Files, &q, r)
		if err != nil {
			g.t.Fatal(err)
		}
		want, _, err := g.ask(g.t.Context(), snap.Files, &alone, r)
		if err != nil {
			g.t.Fatal(err)
		}
		if !slices.Equal(shown(got), shown(want)) {
			g.t.Fatalf("%s: %s, %s to %s by %+v, %+v:\n got %s\nwant %s", name, s.zone, r.First, r.Last, q.Groups, q.plan(snap.Files, r), shown(got), shown(want))
		}
	}
}
