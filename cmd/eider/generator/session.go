package generator

import (
	"time"
)

// Bounds of a visit, well away from those that end one.
const (
	longestPause = 27 * time.Minute
	longestVisit = 90 * minute
	// quiet is how long before midnight no page is shown, so that what the
	// beacon says of its being shown is of the same day.
	quiet = 3 * second
)

// session makes a visit of v on the day number d that begins at a time, in at
// most room rows, and takes it into the buckets and books. It reports whether it
// did: the last day's visits have to end with it.
func (s *site) session(d int, v *visitor, at, room int64) bool {
	end, last := s.start(d+1), d == s.Days-1
	s.planned = s.planned[:0]
	ended, ok := s.planViews(v, at, end, room)
	if !ok {
		return false
	}
	crossing := ended >= end
	latest := ended
	for i := range s.planned {
		latest = max(latest, s.planned[i].at)
	}
	if last && latest+5*second >= end || crossing && v.robot {
		return false
	}
	v.assets = v.assets || crossing // nobody is judged on two days at once
	s.evidence(d, v, end)
	s.take(d, v, end, latest >= end)
	v.end = ended
	return true
}

// planViews plans the pages of a visit, and what happens in them. ended is the last
// interaction.
func (s *site) planViews(v *visitor, at, midnight, room int64) (ended int64, ok bool) {
	r := s.r
	views := 1
	switch {
	case v.robot:
		views = 3 + int(logNormal(r, 4, 0.9))
	case r.Float64() >= bounces:
		views = 2 + int(logNormal(r, 1.9, 0.9))
	}
	views = min(views, 60)
	view, load, ordinal := uint64(0), uint64(0), uint16(0)
	if at >= midnight-quiet {
		return 0, false
	}
	for i, t := 0, at; i < views; i++ {
		if t >= midnight-quiet && t < midnight {
			t = midnight + second
		}
		if t-at > longestVisit || 2*int64(len(s.planned)) > room-24 {
			break
		}
		pause := duration(logNormal(r, 38, 1.15), 2*time.Second, longestPause)
		soft := v.script && i > 0 && r.Float64() < softShare
		one := row{at: t, kind: rowView, page: int32(s.m.pages.draw(r)), entry: i == 0}
		if soft {
			ordinal++
			one.kind, one.view, one.load, one.ordinal = rowSoft, view, load, ordinal
		} else {
			if s.beacons {
				one.view = r.Uint64() | 1
			}
			view, load, ordinal = one.view, r.Uint64()|1, 0
		}
		s.planned = append(s.planned, one)
		ended = max(ended, t)
		if v.script {
			ended = max(ended, s.scriptRows(&one, pause, load, &ordinal, soft))
		}
		s.otherRows(&one, pause)
		t += pause
	}
	return ended, ended > 0
}

// scriptRows plans what the beacon says of a view that lasts for a pause, and
// returns the last interaction among it.
func (s *site) scriptRows(view *row, pause int64, load uint64, ordinal *uint16, soft bool) (ended int64) {
	r := s.r
	say := func(kind rowKind, after int64, n int) *row {
		s.planned = append(s.planned, row{
			at: view.at + after, kind: kind, view: view.view, load: load, page: view.page, n: int32(n), ordinal: *ordinal, entry: view.entry,
		})
		*ordinal++
		return &s.planned[len(s.planned)-1]
	}
	if soft {
		*ordinal++ // the view itself has taken one
	} else {
		say(rowLoad, 350_000+r.Int64N(1_100_000), 0)
	}
	within := func() int64 { return 1_600_000 + r.Int64N(max(pause*4/5-1_600_000, 1)) }
	if pause > 3*second && r.Float64() < customShare {
		ended = say(rowCustom, within(), s.m.custom.draw(r)).at
	}
	if pause > 3*second && r.Float64() < outboundShare {
		say(rowOutbound, within(), 0)
	}
	if !soft && pause > 6*second && r.Float64() < cachedShare {
		c := row{at: view.at + within(), kind: rowCached, view: view.view, load: r.Uint64() | 1, page: view.page}
		s.planned, ended = append(s.planned, c), max(ended, c.at)
	}
	engaged := min(pause, 25*minute) * int64(30+r.IntN(70)) / 100 / 1000
	say(rowEngagement, pause-30_000, int(engaged))
	if !soft {
		say(rowVitals, pause-20_000, 0)
	}
	return ended
}

// otherRows plans what the proxy sees beside a view.
func (s *site) otherRows(view *row, pause int64) {
	r := s.r
	if u := r.Float64(); u < errorShare {
		s.planned = append(s.planned, row{at: view.at + pause/2, kind: rowError, page: int32(s.m.gone.draw(r)), n: view.page})
	} else if u < errorShare+downloadShare {
		s.planned = append(s.planned, row{at: view.at + pause/2, kind: rowDownload, page: int32(r.IntN(60))})
	}
}

// evidence plans the proof of a person: once a day, after the first page that
// the proxy showed under each identity.
func (s *site) evidence(d int, v *visitor, midnight int64) {
	if !v.assets {
		return
	}
	for today := int32(d); today <= int32(d)+1; today++ {
		if v.seenOn >= today {
			continue
		}
		for i := range s.planned {
			p := &s.planned[i]
			if p.kind == rowView && (p.at >= midnight) == (today > int32(d)) {
				s.planned = append(s.planned, row{at: p.at + 120_000 + s.r.Int64N(900_000), kind: rowEvidence})
				v.seenOn = today
				break
			}
		}
	}
}

// take puts the planned rows where they arrive, and counts them. crossing says
// that some are of the next day.
func (s *site) take(d int, v *visitor, midnight int64, crossing bool) {
	r := s.r
	one := visit{
		site: int32(s.index), robot: -1, client: v.client, place: v.place, origin: int32(s.m.origins.draw(r)), screen: v.screen,
		protocol: uint8(s.m.protocol.draw(r)), www: r.Float64() < wwwShare, id: v.id, salt: r.Uint64(),
	}
	today := s.buckets[0]
	if !crossing && s.Late > 0 && r.Float64() < s.Late {
		one.edge, today = edgeLate, s.buckets[s.delay(d)]
	}
	here, there := today.add(one), int32(-1)
	if crossing {
		next := one
		if s.rotates(d + 1) {
			next.id = mix(s.Seed, uint64(s.index), s.period(d+1), v.id, 6)
			next.prev, next.prevUntil = v.id, midnight+2*hour
		}
		there = s.buckets[1].add(next)
	}
	var did [2]deed
	for i := range s.planned {
		p := s.planned[i]
		s.used++
		if p.at < midnight {
			p.visit = here
			today.rows = append(today.rows, p)
			did[0].add(&p)
		} else {
			p.visit = there
			s.buckets[1].rows = append(s.buckets[1].rows, p)
			did[1].add(&p)
		}
		switch p.kind {
		case rowView:
			assets := uint32(0)
			if v.assets {
				assets = 4 + uint32(p.page%7)
			}
			s.mark(one.edge, p.at, sumPageview, assets)
		case rowError:
			s.mark(one.edge, p.at, sumError, 0)
		case rowDownload:
			s.mark(one.edge, p.at, sumDownload, 0)
		case rowLoad, rowEngagement:
			s.mark(one.edge, p.at, sumCollection, 0)
		}
	}
	did[0].visits = 1
	s.books.note(v.id, &did, crossing && s.rotates(d+1))
}
