package stats

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/shared"
)

// askRolled answers by rollups alone, made of the days of each range.
func (e *Engine) askRolled(t *testing.T, files []lake.File, q *Query, days []Range) []Result {
	t.Helper()
	found, _, err := e.scanAnswer(t.Context(), files, q, q.Range, compileRolled(q, q.Range, nil, days))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// daily gives each visitor another identity on each local day, as salts do.
func daily(events []shared.Event, zone *time.Location) {
	for i := range events {
		e := &events[i]
		e.Identity = shared.IdentityDay
		e.PrevVisitorID = 0
		if e.VisitorID != 0 {
			h := fnv.New64a()
			fmt.Fprint(h, e.VisitorID, dayIn(zone, e.Time))
			e.VisitorID = h.Sum64()>>1 + 1
		}
	}
}

// decorate gives events the values that tables are made of: of a visitor mostly
// the same.
func decorate(r *rand.Rand, events []shared.Event) {
	for i := range events {
		e := &events[i]
		n := int(e.VisitorID % 5)
		if r.IntN(5) == 0 {
			n = r.IntN(5)
		}
		e.Browser = []string{"", "Chrome", "Chrome", "Firefox", "Safari"}[n]
		e.CountryCode = []string{"DE", "DE", "", "US", "AT"}[n]
		e.Source = []string{"", "Google", "", "Bing", ""}[r.IntN(5)]
		e.Pathname = fmt.Sprintf("/%d", r.IntN(4))
	}
}

// TestDaysAddUp: the answer to a question about a range is the sum of what was
// rolled up of its days, however they are cut, and the same as of its events.
func TestDaysAddUp(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rounds := uint64(4)
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		s := newStory(seed, round)
		if round%2 == 0 {
			daily(s.events, s.zone)
		}
		decorate(s.r, s.events)
		e, files := realLake(t, s.events, 1+s.r.IntN(3))
		first := dateOf(s.first.In(s.zone)).add(0, 0, s.r.IntN(3)-1)
		r := newRange(s.zone, first, first.add(0, 0, s.r.IntN(s.days+2)))
		if r.From == r.To {
			continue
		}
		tables := []*Dimension{nil, pages, sources, browsers, entryPages, exitPages, actions, nil}
		s.r.Shuffle(len(tables), func(i, j int) { tables[i], tables[j] = tables[j], tables[i] })
		for _, d := range tables[:4] {
			q := Query{SiteID: testSite, Range: r, Limit: 100, site: Site{Zone: s.zone}}
			for _, name := range []string{"visitors", "pageviews", "events", "visits", "bounce_rate", "visit_duration", "views_per_visit", "percentage"} {
				m, err := ParseMetric("", name)
				if err != nil {
					t.Fatal(err)
				}
				q.Metrics = append(q.Metrics, m)
			}
			if d != nil {
				q.Groups = []Group{{name: d.api, dimension: d}}
			} else if s.r.IntN(2) == 0 {
				q.Groups = []Group{{name: "time", interval: pickOf(s.r, Day, Week, Month)}}
			}
			if !q.adds(r) {
				t.Fatalf("%+v does not add up", q)
			}
			want, _, err := e.ask(t.Context(), files, &q, r)
			if err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("round %d: %s, %s to %s by %+v", round, s.zone, r.First, r.Last, q.Groups)
			for _, days := range [][]Range{{r}, cut(s.r, r, 1), cut(s.r, r, 3)} {
				if got := e.askRolled(t, files, &q, days); !reflect.DeepEqual(shown(got), shown(want)) {
					t.Fatalf("%s, %d parts:\n got %s\nwant %s", name, len(days), shown(got), shown(want))
				}
			}
		}
	}
}

// cut divides a range into runs of at most so many days.
func cut(r *rand.Rand, whole Range, most int) []Range {
	var list []Range
	for at := whole.First; at.days(whole.Last) >= 0; {
		last := at.add(0, 0, r.IntN(most))
		if last.days(whole.Last) < 0 {
			last = whole.Last
		}
		if part := newRange(whole.Zone, at, last); part.From < part.To {
			list = append(list, part)
		}
		at = last.add(0, 0, 1)
	}
	return list
}

func shown(results []Result) []string {
	var lines []string
	for _, r := range results {
		line := fmt.Sprint(r.Groups)
		for _, v := range r.Metrics {
			if v == nil {
				line += " null"
			} else {
				line += fmt.Sprintf(" %.6f", *v)
			}
		}
		lines = append(lines, line)
	}
	return slices.Clip(lines)
}
