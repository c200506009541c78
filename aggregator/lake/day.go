package lake

import (
	"cmp"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/state"
)

// Kinds of files that are derived from a sealed day.
const (
	DerivedVisits = "visits" // one row for each visit that began on the day
	DerivedRollup = "rollup" // one row for each dimension and value
	// DerivedOpen has the ids of views that rows after the day may still
	// complete, in its column view_id.
	DerivedOpen = "open"
)

// derivedDirs is where they lie, below the lake's directory.
var derivedDirs = map[string]string{DerivedVisits: "visits", DerivedRollup: "rollups", DerivedOpen: "open"}

// Day is a sealed day of a snapshot. It and what it points to are shared: not to
// be changed.
type Day struct {
	state.DayKey
	From, To int64 // µs since 1970, To excluded
	SealedAt int64 // µs since 1970
	Rules    int   // version of the definitions that derived the files
	Rows     int64 // of its segments when it was sealed
	// Late is how many rows of this snapshot's came, or changed, after it was
	// sealed that may change what was derived. While it is not 0, neither derived
	// files nor the columns that sealing added say what is so.
	Late     int64
	Segments []string // paths of its sealed segments that are still there
	Derived  []DerivedFile
}

// DerivedFile is a file that was derived from a day.
type DerivedFile struct {
	Kind  string
	Path  string // absolute
	Rows  int64
	Bytes int64
}

// File returns the path of the day's file of a kind, "" if it has none.
func (d *Day) File(kind string) string {
	for i := range d.Derived {
		if d.Derived[i].Kind == kind {
			return d.Derived[i].Path
		}
	}
	return ""
}

// SiteDays returns a site's sealed days, ordered by date and zone.
func (s *Snapshot) SiteDays(site string) []*Day {
	from, _ := slices.BinarySearchFunc(s.Days, site, func(d *Day, site string) int {
		return state.DayKey{SiteID: d.SiteID}.Compare(state.DayKey{SiteID: site})
	})
	to := from
	for to < len(s.Days) && s.Days[to].SiteID == site {
		to++
	}
	return s.Days[from:to:to]
}

// shownDay is the day as snapshots show it.
func (l *Lake) shownDay(d *state.Day) *Day {
	shown := &Day{DayKey: d.Key(), From: d.From, To: d.To, SealedAt: d.SealedAt, Rules: d.Rules, Rows: d.Rows, Late: d.Late}
	for _, id := range d.Segments {
		shown.Segments = append(shown.Segments, l.path(segmentPath(d.SiteID, d.Date, id)))
	}
	for _, f := range d.Derived {
		shown.Derived = append(shown.Derived, DerivedFile{f.Kind, l.path(f.Path), f.Rows, f.Bytes})
	}
	return shown
}

// openDays begins to watch the days of the manifest, the newest first as long as
// there is room for the ids of their open views. A file of these that can't be
// read makes each load late: it can be derived again.
func (l *Lake) openDays(days []state.Day) {
	now := l.cfg.now()
	newest := make([]*state.Day, len(days))
	for i := range days {
		d := &days[i]
		l.days[d.Key()], newest[i] = d, d
		l.shown = append(l.shown, l.shownDay(d)) // the manifest has them in order
	}
	slices.SortFunc(newest, func(a, b *state.Day) int { return cmp.Compare(b.To, a.To) })
	for _, d := range newest {
		w := l.watchDay(d.Key(), d.From, d.To)
		w.sealed = true
		if path := l.shownDay(d).File(DerivedOpen); path != "" && expected(d.To, now) {
			open, err := openViews(path)
			if err != nil {
				l.log.Warn("open views of a sealed day can't be read: any load makes it late", zap.String("path", path), zap.Error(err))
				continue
			}
			l.setOpen(w, open, now)
		}
	}
}

// path is that of a file whose path the state has.
func (l *Lake) path(rel string) string { return filepath.Join(l.cfg.Dir, filepath.FromSlash(rel)) }

// setDays makes days the writer's, instead of those of the same keys.
func (l *Lake) setDays(days []state.Day) {
	if len(days) == 0 {
		return
	}
	list := slices.Clone(l.shown)
	for i := range days {
		d := days[i]
		l.days[d.Key()] = &d
		at, found := findDay(list, d.Key())
		if found {
			list[at] = l.shownDay(&d)
		} else {
			list = slices.Insert(list, at, l.shownDay(&d))
		}
	}
	l.shown = list
}

func findDay(list []*Day, k state.DayKey) (int, bool) {
	return slices.BinarySearchFunc(list, k, func(d *Day, k state.DayKey) int { return d.Compare(k) })
}

// daysNow lists the days as they are with the rows that are not committed: what
// is hot makes a day late in every snapshot that shows it.
func (l *Lake) daysNow() []*Day {
	l.mu.Lock()
	late := map[state.DayKey]int64{}
	for _, g := range []*generation{l.gen, l.cutting} {
		if g == nil {
			continue
		}
		for k, n := range g.late {
			late[k] += n.total()
		}
	}
	l.mu.Unlock()
	list := l.shown
	for k, n := range late {
		at, found := findDay(list, k)
		if !found || n == 0 { // it is being sealed for the first time
			continue
		}
		if &list[0] == &l.shown[0] {
			list = slices.Clone(list)
		}
		d := *list[at]
		d.Late += n
		list[at] = &d
	}
	return list
}

// lateDays returns the sealed days that a generation's rows make late, as they
// are once these are committed.
func (l *Lake) lateDays(g *generation) (days []state.Day) {
	for k, n := range g.late {
		if d := l.days[k]; d != nil && n.total() > 0 {
			next := *d
			next.Late += n.total()
			days = append(days, next)
		}
	}
	return days
}

// markLate commits the days that a generation makes late before its segments,
// where they are too many for the same transaction. A crash between the two
// leaves days late whose rows are replayed: they are sealed again for nothing
// new, and never believed for too long.
func (l *Lake) markLate(g *generation) ([]state.Day, error) {
	days := l.lateDays(g)
	if len(days) <= state.MaxDays {
		return days, nil
	}
	for part := range slices.Chunk(days, 5*state.MaxDays) {
		if err := l.cfg.State.Commit(state.Commit{Days: part}); err != nil {
			return nil, err
		}
		l.setDays(part)
		l.mu.Lock()
		for i := range part {
			n := g.late[part[i].Key()]
			n.marked = true
		}
		l.mu.Unlock()
	}
	return nil, nil
}

// touched counts rows that were changed, by the quarter of an hour of their
// time: fine enough for the ends of days.
type touched map[int64]int64

const quarter = 15 * int64(time.Minute/time.Microsecond)

func (t touched) add(time int64) { t[quarterOf(time)]++ }

func quarterOf(time int64) int64 {
	if time < 0 {
		return (time+1)/quarter - 1
	}
	return time / quarter
}

// within counts the rows from a time to another, both included.
func (t touched) within(from, to int64) (n int64) {
	for q, rows := range t {
		if q >= quarterOf(from) && q <= quarterOf(to) {
			n += rows
		}
	}
	return n
}

// touch returns the sealed days that changed rows of a segment make late, as they
// are once the segment is not listed any more, and how many rows count for days
// that are being sealed.
func (l *Lake) touch(old *state.Segment, changed touched) (days []state.Day, pending map[*Sealing]int64) {
	pending = map[*Sealing]int64{}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.watched[old.SiteID]
	if s == nil {
		return nil, nil
	}
	for _, w := range s.days {
		n := changed.within(w.from-windowBefore, w.to+windowAfter)
		if w.pending != nil {
			pending[w.pending] = n
		}
		d := l.days[w.key]
		if d == nil {
			continue
		}
		own := slices.Index(d.Segments, old.ID)
		if n == 0 && own < 0 {
			continue
		}
		next := *d
		next.Late += n
		if own >= 0 {
			next.Segments = slices.Delete(slices.Clone(d.Segments), own, own+1)
			next.Late = max(next.Late, 1)
		}
		days = append(days, next)
	}
	return days, pending
}

// spoil returns the days into whose files rows of a segment may have been
// derived, with these files, and counts them. What is being sealed at the moment
// begins anew.
func (l *Lake) spoil(old *state.Segment, gone touched, n *state.Erasing) (days []state.DayKey, files []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.watched[old.SiteID]
	if s == nil {
		return nil, nil
	}
	for _, w := range s.days {
		d := l.days[w.key]
		touches := gone.within(w.from-windowBefore, w.to+windowAfter) > 0
		if touches && w.pending != nil {
			w.pending.spoilt = true
		}
		if d == nil || !touches && !slices.Contains(d.Segments, old.ID) {
			continue
		}
		days = append(days, w.key)
		for _, f := range d.Derived {
			files = append(files, l.path(f.Path))
			switch f.Kind {
			case DerivedVisits:
				n.Visits++
			case DerivedRollup:
				n.Rollups++
			}
		}
	}
	return days, files
}

// dropDays makes days unsealed ones.
func (l *Lake) dropDays(days []state.DayKey) {
	if len(days) == 0 {
		return
	}
	list := slices.Clone(l.shown)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range days {
		delete(l.days, k)
		if at, found := findDay(list, k); found {
			list = slices.Delete(list, at, at+1)
		}
		w := l.watchDay(k, 0, 0)
		l.setOpen(w, nil, l.cfg.now())
		w.sealed = false
		l.unwatch(w)
	}
	l.shown = list
}
