package generator

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// site makes the traffic of one site, day by day.
type site struct {
	*plan
	m      *model
	index  int
	id     string
	domain string

	weights, passed float64 // of all days, and of those before this one
	events          int64   // rows in all
	used            int64   // rows so far

	visitors []visitor // of this period of identities
	made     uint64    // how many of them there ever were in this period
	minutes  [numEdges]map[int64]*sum
	books    books

	r       *rand.Rand // of this day
	planned []row      // of the visit that is being made
	buckets []*bucket  // of this day and those after it
}

// visitor is somebody who may come again in this period of identities.
type visitor struct {
	id                    uint64
	end                   int64 // when the last visit ended, µs since 1970
	client, place         int32
	screen                uint8
	assets, script, robot bool  // robot: a browser that never fetches an asset
	seenOn                int32 // day for which there is evidence; −1 = none
}

// maxVisitors bounds who may come again, in memory.
const maxVisitors = 1 << 21

func newSite(p *plan, m *model, index int, id, domain string, events int64) *site {
	s := &site{plan: p, m: m, index: index, id: id, domain: domain, events: events}
	for i := range s.minutes {
		s.minutes[i] = map[int64]*sum{}
	}
	for d := range p.Days {
		s.weights += s.weight(d)
	}
	s.books = newBooks()
	return s
}

// weight is the share of the day number d in the site's traffic: growth, the day
// of the week, chance, and now and then a day on which everybody comes.
func (s *site) weight(d int) float64 {
	r := stream(s.Seed, uint64(s.index), uint64(d), 1)
	w := math.Pow(yearGrowth, float64(d)/365) * weekdays[s.first.AddDate(0, 0, d).Weekday()] * logNormal(r, 1, 0.09)
	if r.Float64() < 0.012 {
		w *= 1.5 + 2*r.Float64()
	}
	return w
}

// generate makes the rows of the day number d. Those that arrive later go into
// later buckets.
func (s *site) generate(d int, buckets []*bucket) {
	s.r, s.buckets = stream(s.Seed, uint64(s.index), uint64(d), 2), buckets
	if s.rotates(d) {
		s.visitors, s.made = s.visitors[:0], 0
		s.books.rotate()
	}
	s.passed += s.weight(d)
	target := int64(math.Round(float64(s.events) * s.passed / s.weights))
	if d == s.Days-1 {
		target = s.events
	}
	people := target - int64(botShare*float64(target-s.used))
	for tries := 0; s.used < people && tries < 200; tries++ {
		room := int64(math.MaxInt64)
		if d == s.Days-1 { // there is no day after it that could make up for it
			if room = target - s.used; room < 40 {
				break
			}
		}
		if s.visit(d, room) {
			tries = 0
		}
	}
	for s.used < target && s.bot(d, target-s.used) {
	}
	s.tellSums(d)
	s.books.close(s.date(d))
}

// time draws a time of the local day by how busy people are.
func (s *site) time(d int) int64 {
	from, to := s.start(d), s.start(d+1)
	share := (float64(s.m.hour.draw(s.r)) + s.r.Float64()) / float64(len(hours))
	return from + int64(share*float64(to-from))
}

// visit plans the visit of somebody and takes it over. It reports whether there
// was one: who is still here can't come.
func (s *site) visit(d int, room int64) bool {
	at := s.time(d)
	returns, who := returnsToday, -1
	if s.monthly {
		returns = returnsMonth
	}
	if n := len(s.visitors); n > 0 && s.r.Float64() < returns {
		u := s.r.Float64() // some come again and again
		if i := int(float64(n) * u * u); at > s.visitors[i].end+31*minute {
			who = i
		}
	}
	if who >= 0 {
		return s.session(d, &s.visitors[who], at, room)
	}
	v := s.newVisitor(d)
	if !s.session(d, &v, at, room) {
		return false
	}
	s.made++
	if len(s.visitors) < maxVisitors {
		s.visitors = append(s.visitors, v)
	}
	return true
}

func (s *site) newVisitor(d int) visitor {
	r := s.r
	v := visitor{
		id:     mix(s.Seed, uint64(s.index), s.period(d), s.made, 3),
		client: int32(s.m.clients.draw(r)), place: int32(s.m.places.draw(r)), seenOn: -1,
	}
	v.screen = uint8(s.m.screenOf[v.client].draw(r))
	v.robot = r.Float64() < hiddenBots
	v.assets = !v.robot && r.Float64() >= withoutAssets
	v.script = s.beacons && !v.robot && r.Float64() < scripted
	return v
}

// mark counts a request in its minute's sums, and reports whether that makes a
// further row.
func (s *site) mark(edge uint8, at int64, what int, assets uint32) {
	if !s.Sums {
		return
	}
	key := at - at%minute
	m := s.minutes[edge][key]
	if m == nil {
		m = &sum{site: int32(s.index), edge: edge, minute: key}
		s.minutes[edge][key] = m
		s.used++
	}
	m.counts[what]++
	m.counts[sumAsset] += assets
	if what == sumPageview && at%37 == 0 {
		m.counts[sumRedirect]++
	}
}

// tellSums makes the rows of all minutes that are over at the end of the day
// number d, as the proxy writes them: at the end of each minute.
func (s *site) tellSums(d int) {
	end := s.start(d + 1)
	for edge := range s.minutes {
		b := s.buckets[0]
		if edge == edgeLate {
			b = s.buckets[s.delay(d)]
		}
		var keys []int64
		for key := range s.minutes[edge] {
			if key < end {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			b.sums = append(b.sums, *s.minutes[edge][key])
			b.rows = append(b.rows, row{at: key + minute - 1, kind: rowSums, visit: int32(len(b.sums) - 1)})
			delete(s.minutes[edge], key)
		}
	}
}

// maxDelay is how many days late rows come.
const maxDelay = 3

// delay is how many days what the late edge saw on the day number d is late.
func (p *plan) delay(d int) int { return 1 + int(mix(p.Seed, uint64(d), 4)%maxDelay) }

// bot makes one request of a robot, where there is room for it.
func (s *site) bot(d int, room int64) bool {
	r := s.r
	from, to := s.start(d), s.start(d+1)
	at := from + r.Int64N(to-from)
	if room == 1 && s.Sums && s.minutes[edgeNear][at-at%minute] == nil {
		// One more row is wanted, and another minute would make two.
		for {
			at = 0
			for key := range s.minutes[edgeNear] {
				if key < to && key > at {
					at = key
				}
			}
			if at == 0 {
				return false
			}
			at += r.Int64N(minute)
			if at < to {
				break
			}
		}
	}
	robot := s.m.robots.draw(r)
	u := r.Float64()
	v := visit{
		site: int32(s.index), robot: int32(robot), client: -1, place: int32(s.m.places.draw(r)), protocol: uint8(s.m.protocol.draw(r)),
		id:   mix(s.Seed, uint64(s.index), s.period(d), uint64(robot), uint64(u*u*float64(robots[robot].fleet)), 5),
		salt: r.Uint64(),
	}
	b := s.buckets[0]
	one := row{at: at, kind: rowBot, visit: b.add(v)}
	one.n, one.page = s.asked(robots[robot].asks)
	b.rows = append(b.rows, one)
	s.used++
	s.mark(edgeNear, at, sumBot, 0)
	return true
}

// asked draws what a robot asks for, and where.
func (s *site) asked(asks string) (what, at int32) {
	r := s.r
	anywhere := func() int32 { // crawlers come to every page, to some more often
		if r.IntN(2) == 0 {
			return int32(r.IntN(pageCount))
		}
		return int32(s.m.pages.draw(r))
	}
	switch asks {
	case "feed":
		return botFeed, 0
	case "probe":
		return botProbe, int32(r.IntN(len(probes)))
	case "ping":
		return botPage, 0
	}
	switch u := r.Float64(); {
	case u < 0.74 || asks == "fast":
		return botPage, anywhere()
	case u < 0.80:
		return botUnchanged, anywhere()
	case u < 0.92:
		return botGone, int32(s.m.gone.draw(r))
	case u < 0.98:
		return botAsset, int32(r.IntN(40))
	}
	return botDownload, int32(r.IntN(60))
}

// duration turns a number of seconds into µs, within bounds.
func duration(seconds float64, lo, hi time.Duration) int64 {
	return min(max(int64(seconds*1e6), lo.Microseconds()), hi.Microseconds())
}
