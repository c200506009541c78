package lake

import (
	"cmp"
	"slices"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// How far around a day a row may change what was derived from it; the bounds are
// those within which package stats looks for rows that complete others.
const (
	// Any row, from windowBefore before the day's beginning (the day before it
	// proves visitors, and visits reach into it) to windowAfter after its end.
	windowBefore = int64(26 * time.Hour / time.Microsecond)
	windowAfter  = int64(2 * time.Hour / time.Microsecond)
	// A row with a dedupe key also up to completes before that: it may be the
	// first of two of the same key. A load or an activation also up to completes
	// after the day's end, if its view is still open.
	completes = int64(48 * time.Hour / time.Microsecond)
	// longestDay is longer than any local day.
	longestDay = int64(49 * time.Hour / time.Microsecond)
)

// maxOpen bounds the ids of open views that are held in memory (8 MB), and
// maxPending the loads that are noted while a day is being sealed. What is beyond
// counts as open.
const (
	maxOpen    = 1 << 20
	maxPending = 1 << 18
)

// lateRows are rows that may change what was derived from a day.
type lateRows struct {
	byTime, byView int64
	marked         bool // committed with the day already
}

func (n *lateRows) total() int64 {
	if n.marked {
		return 0
	}
	return n.byTime + n.byView
}

// siteDays are the days of one site that rows may make late, ordered by end.
type siteDays struct{ days []*watchedDay }

// watchedDay is a day that is sealed, or being sealed. The lake's lock guards it.
type watchedDay struct {
	key      state.DayKey
	from, to int64
	sealed   bool
	pending  *Sealing
	open     []uint64 // ids of views that may still be completed, ascending
	known    bool     // whether they are all of them
}

func (d *watchedDay) has(view uint64) bool {
	if !d.known {
		return true
	}
	_, found := slices.BinarySearch(d.open, view)
	return found
}

// within reports whether any row of this time matters to the day.
func (d *watchedDay) within(time int64) bool {
	return time >= d.from-windowBefore && time <= d.to+windowAfter
}

// mayMatter reports whether any row of a file may.
func (d *watchedDay) mayMatter(minTime, maxTime int64, f *state.Facts) bool {
	overlap := func(from, to int64) bool { return minTime <= to && maxTime >= from }
	return overlap(d.from-windowBefore, d.to+windowAfter) ||
		f.Keyed > 0 && overlap(d.from-windowBefore-completes, d.from-windowBefore) ||
		f.Loads+f.Ahead > 0 && overlap(d.to+windowAfter, d.to+completes)
}

// note counts an event for each day that it may change.
func (s *siteDays) note(g *generation, e *shared.Event, pos uint64) {
	at, _ := slices.BinarySearchFunc(s.days, e.Time-completes, func(d *watchedDay, t int64) int { return cmp.Compare(d.to, t) })
	for _, d := range s.days[at:] {
		switch {
		case e.Time < d.to-longestDay-windowBefore-completes:
			return // nor does it matter to any later day
		case d.within(e.Time), keyed(e) && e.Time < d.from && e.Time >= d.from-windowBefore-completes:
			g.lateFor(d.key).byTime++
		case e.Time > d.to && e.Time <= d.to+completes && completing(e):
			if d.pending != nil {
				d.pending.noteLoad(e.ViewID, pos)
			}
			if d.sealed && d.has(e.ViewID) {
				g.lateFor(d.key).byView++
			}
		}
	}
}

// keyed reports whether an event may make a later one a repetition.
func keyed(e *shared.Event) bool {
	return e.DedupeKey != "" && !(e.Kind == shared.KindCompletion && e.Name == shared.CompletionRequests)
}

// completing reports whether an event may complete a view by its id.
func completing(e *shared.Event) bool {
	if e.ViewID == 0 {
		return false
	}
	if e.Kind == shared.KindCompletion {
		return e.Name == shared.CompletionActivation
	}
	return e.Kind == shared.KindPageview &&
		(e.Origin == shared.OriginBeacon || e.Origin == shared.OriginUmami || e.Origin == shared.OriginPlausible)
}

func (g *generation) lateFor(k state.DayKey) *lateRows {
	n := g.late[k]
	if n == nil {
		n = &lateRows{}
		g.late[k] = n
	}
	return n
}

// watchDay returns the watched day of a key, and begins to watch it where nobody
// does. The caller holds l.mu.
func (l *Lake) watchDay(k state.DayKey, from, to int64) *watchedDay {
	s := l.watched[k.SiteID]
	if s == nil {
		s = &siteDays{}
		l.watched[k.SiteID] = s
	}
	if at := slices.IndexFunc(s.days, func(d *watchedDay) bool { return d.key == k }); at >= 0 {
		return s.days[at]
	}
	d := &watchedDay{key: k, from: from, to: to}
	at, _ := slices.BinarySearchFunc(s.days, to, func(d *watchedDay, t int64) int { return cmp.Compare(d.to, t) })
	s.days = slices.Insert(s.days, at, d)
	return d
}

// pending is the sealing of a day, if it is being sealed. The caller holds l.mu.
func (l *Lake) pending(k state.DayKey) *Sealing {
	s := l.watched[k.SiteID]
	if s == nil {
		return nil
	}
	for _, d := range s.days {
		if d.key == k {
			return d.pending
		}
	}
	return nil
}

// unwatch forgets a day that is neither sealed nor being sealed. The caller holds
// l.mu.
func (l *Lake) unwatch(d *watchedDay) {
	if d.sealed || d.pending != nil {
		return
	}
	s := l.watched[d.key.SiteID]
	s.days = slices.DeleteFunc(s.days, func(o *watchedDay) bool { return o == d })
	if len(s.days) == 0 {
		delete(l.watched, d.key.SiteID)
	}
}

// setOpen gives a day the ids of its open views, as long as there is room for
// them and rows of that time are to be expected: without them every load counts.
// The caller holds l.mu.
func (l *Lake) setOpen(d *watchedDay, open []uint64, now time.Time) {
	l.openIDs -= len(d.open)
	d.open, d.known = nil, false
	if open == nil || !expected(d.to, now) || l.openIDs+len(open) > maxOpen {
		return
	}
	d.open, d.known = open, true
	l.openIDs += len(open)
}

// expected reports whether rows that complete views of a day are to be expected
// at all: an hour longer than they could begin, for those on their way.
func expected(to int64, now time.Time) bool {
	return to+completes+int64(time.Hour/time.Microsecond) > now.UnixMicro()
}

// forgetOpen lets go of the ids of days that are too old for them. The caller
// holds l.mu.
func (l *Lake) forgetOpen(now time.Time) {
	for _, s := range l.watched {
		for at := len(s.days) - 1; at >= 0; at-- {
			if d := s.days[at]; len(d.open) > 0 && !expected(d.to, now) {
				l.setOpen(d, nil, now)
			}
		}
	}
}
