package lake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/calendar"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared/durable"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Errors of sealing after which it may be tried again.
var (
	// ErrNothing means that the day has no committed rows.
	ErrNothing = errors.New("the day has no events")
	// ErrReplaced means that segments that it was made from were replaced meanwhile.
	ErrReplaced = errors.New("segments that it was made from were replaced meanwhile")
	// ErrSealing means that the day is being sealed by somebody else.
	ErrSealing = errors.New("the day is being sealed already")
)

// sealingDir has the files of days that are being sealed, in a directory each.
const sealingDir = "sealing"

// Sealing is a day that is being sealed: see [Lake.BeginSeal].
type Sealing struct {
	Key      state.DayKey
	From, To int64 // µs since 1970, To excluded
	// Snapshot has the committed files of the site, as of one moment. Each row
	// that comes after it makes the day late.
	Snapshot *Snapshot
	// Own are the snapshot's files of the day itself, which the sealed segments
	// are to replace.
	Own []File
	// Dir is an empty directory within the lake's. Commit takes files out of it,
	// and Commit and Abandon remove it.
	Dir string

	l     *Lake
	watch *watchedDay
	// The writer's own.
	late   int64 // rows that were committed, or changed, since the snapshot
	spoilt bool  // rows that the snapshot has were erased
	// Guarded by l.mu.
	loads []pendingLoad // that may complete a view of the day
	// counted are those of loads, and of more, that the day's record has.
	counted, countedMore int64
	more                 int64 // loads that did not fit
}

type pendingLoad struct{ view, pos uint64 }

func (s *Sealing) noteLoad(view, pos uint64) {
	if len(s.loads) >= maxPending {
		s.more++
		return
	}
	s.loads = append(s.loads, pendingLoad{view, pos})
}

// BeginSeal begins to seal a day. What is not committed and may matter to it is
// committed first, so that the snapshot has everything that was taken before the
// call. Commit or Abandon ends it.
//
// From its beginning on, each row that the lake takes is looked at: whether it
// may change what is derived from the day. Such rows make the day late, however
// long deriving takes, unless the snapshot has them.
func (l *Lake) BeginSeal(ctx context.Context, k state.DayKey) (*Sealing, error) {
	s, err := l.beginSeal(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("seal %s of site %s: %w", k.Date, k.SiteID, err)
	}
	return s, nil
}

func (l *Lake) beginSeal(ctx context.Context, k state.DayKey) (*Sealing, error) {
	from, to, err := DayBounds(k)
	if err != nil {
		return nil, err
	}
	s := &Sealing{Key: k, From: from, To: to, l: l}
	l.mu.Lock()
	s.watch = l.watchDay(k, from, to)
	if s.watch.pending != nil {
		l.mu.Unlock()
		return nil, ErrSealing
	}
	s.watch.pending = s
	waits := l.gen.mayMatter(s.watch) || l.cutting != nil && l.cutting.mayMatter(s.watch)
	l.mu.Unlock()
	if waits {
		err = l.flush(ctx)
	}
	if err == nil {
		err = l.do(ctx, func() error { return s.look() })
	}
	if err == nil {
		s.Dir = filepath.Join(l.cfg.Dir, sealingDir, newID(time.Now()))
		err = os.MkdirAll(s.Dir, 0o700)
	}
	if err != nil {
		s.Abandon()
		return nil, err
	}
	return s, nil
}

// DayBounds are the beginning and the end of a day, µs since 1970, the end excluded.
func DayBounds(k state.DayKey) (from, to int64, err error) {
	date, err := time.Parse(time.DateOnly, k.Date)
	if err != nil {
		return 0, 0, fmt.Errorf("date: %w", err)
	}
	zone, err := time.LoadLocation(k.Zone)
	if err != nil {
		return 0, 0, fmt.Errorf("zone: %w", err)
	}
	y, m, d := date.Date()
	return calendar.DayStart(y, m, d, zone), calendar.DayStart(y, m, d+1, zone), nil
}

// mayMatter reports whether any row of the generation may. The caller holds the
// lake's lock.
func (g *generation) mayMatter(d *watchedDay) bool {
	for _, gr := range g.order {
		if gr.site != d.key.SiteID {
			continue
		}
		if gr.open != nil && d.mayMatter(gr.open.minTime, gr.open.maxTime, &gr.open.facts) {
			return true
		}
		if slices.ContainsFunc(gr.sealed, func(c *chunk) bool { return d.mayMatter(c.minTime, c.maxTime, &c.facts) }) {
			return true
		}
	}
	return false
}

// look takes the snapshot, in the writer's goroutine: what is committed by now is
// in it, and what is not will be counted when it is.
func (s *Sealing) look() error {
	s.Snapshot = s.l.views.acquire()
	var site []File
	for _, f := range s.Snapshot.Files {
		if f.Hot || f.SiteID != s.Key.SiteID {
			continue
		}
		site = append(site, f)
		if f.Date == s.Key.Date && f.Zone == s.Key.Zone {
			s.Own = append(s.Own, f)
		}
	}
	s.Snapshot.Files = site
	if len(s.Own) == 0 {
		return ErrNothing
	}
	s.late = 0
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.loads = slices.DeleteFunc(s.loads, func(p pendingLoad) bool { return p.pos <= s.l.committed })
	return nil
}

// Abandon ends it and leaves the day as it was. After Commit it does nothing.
func (s *Sealing) Abandon() {
	s.l.mu.Lock()
	if s.watch.pending == s {
		s.watch.pending = nil
		s.l.unwatch(s.watch)
	}
	s.l.mu.Unlock()
	if s.Snapshot != nil {
		s.Snapshot.Release()
	}
	if s.Dir != "" {
		if err := os.RemoveAll(s.Dir); err != nil {
			s.l.log.Warn("files of a day that was being sealed could not be removed")
		}
	}
}

// Sealed is what a day became.
type Sealed struct {
	// Segments are paths below Sealing.Dir of Parquet files that have the rows of
	// Sealing.Own, each once, with all columns that these have, and perhaps more.
	Segments []string
	// Derived are files below Sealing.Dir by their kind: any of the kinds above.
	// DerivedOpen has a column view_id.
	Derived map[string]string
	Rules   int
}

// Commit makes the day what it became, in one step: its sealed segments take the
// place of the files that they were made from, and what was derived is listed.
// The rows are counted and compared by their keys first: a day that would gain
// or lose one is refused. It returns the day as it is now, late if rows came meanwhile.
//
// ErrReplaced means that the day's files changed otherwise, and nothing was done.
// The Sealing is at its end in any case.
func (s *Sealing) Commit(ctx context.Context, made Sealed) (day *Day, err error) {
	defer s.Abandon()
	defer func() {
		if err != nil {
			err = fmt.Errorf("seal %s of site %s: %w", s.Key.Date, s.Key.SiteID, err)
		}
	}()
	next, err := s.examine(ctx, &made)
	if err != nil {
		return nil, err
	}
	failpoint.Hit("lake.seal.written")
	var moved []string
	listed := false
	defer func() {
		if err != nil && !listed {
			for _, path := range moved {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	if moved, err = s.place(next); err != nil {
		return nil, err
	}
	if err = ctx.Err(); err != nil {
		return nil, err
	}
	// From here on it is not given up: whether it was listed must be known.
	listed = true
	err = s.l.do(context.WithoutCancel(ctx), func() error {
		if err := s.current(); err != nil {
			listed = false
			return err
		}
		day, err = s.list(next)
		return err
	})
	return day, err
}

// placed is what a day became, by the names that it is to have.
type placed struct {
	segments []state.Segment
	derived  []state.Derived
	from     []string // the files as they are, segments first
	open     []uint64
	rules    int
	rows     int64
}

// place makes the files durable, and moves them to where they are to be.
func (s *Sealing) place(p *placed) (moved []string, err error) {
	var to []string
	for i := range p.segments {
		to = append(to, p.segments[i].Path)
	}
	for i := range p.derived {
		to = append(to, p.derived[i].Path)
	}
	dirs := map[string]bool{}
	for i, from := range p.from {
		path := s.l.path(to[i])
		dir := filepath.Dir(path)
		if err := makeDir(s.l.cfg.Dir, dir); err != nil {
			return moved, err
		}
		if err := syncFile(from); err != nil {
			return moved, err
		}
		if err := os.Rename(from, path); err != nil {
			return moved, err
		}
		moved, dirs[dir] = append(moved, path), true
		failpoint.Hit("lake.seal.renamed")
	}
	for dir := range dirs {
		if err := durable.SyncDir(dir); err != nil {
			return moved, err
		}
	}
	return moved, nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// current tells whether the day still consists of the files that were read. New
// ones are fine: they made the day late.
func (s *Sealing) current() error {
	if s.spoilt {
		return ErrReplaced
	}
	for _, own := range s.Own {
		if !slices.ContainsFunc(s.l.durable, func(f File) bool { return f.Path == own.Path }) {
			return ErrReplaced
		}
	}
	return nil
}

// list is the writer's part of Commit.
func (s *Sealing) list(p *placed) (*Day, error) {
	l, now := s.l, s.l.cfg.now()
	d := state.Day{
		SiteID: s.Key.SiteID, Date: s.Key.Date, Zone: s.Key.Zone, From: s.From, To: s.To, SealedAt: now.UnixMicro(),
		Rules: p.rules, Rows: p.rows, Derived: p.derived, Late: s.late + s.lateLoads(p.open),
	}
	c := state.Commit{Add: p.segments}
	var dropped []string
	gone := map[string]bool{}
	for i := range p.segments {
		d.Segments = append(d.Segments, p.segments[i].ID)
	}
	for _, f := range s.Own {
		c.Remove = append(c.Remove, f.id())
		dropped, gone[f.Path] = append(dropped, f.Path), true
	}
	if before := l.days[s.Key]; before != nil {
		for _, f := range before.Derived {
			dropped = append(dropped, l.path(f.Path))
		}
	}
	c.Days = []state.Day{d}
	failpoint.Hit("lake.seal.before")
	if err := l.cfg.State.Commit(c); err != nil {
		return nil, err // the files are removed by the next start, if the state does not list them
	}
	failpoint.Hit("lake.seal.after")
	durable := make([]File, 0, len(l.durable))
	for _, f := range l.durable {
		if !gone[f.Path] {
			durable = append(durable, f)
		}
	}
	for i := range p.segments {
		durable = append(durable, l.fileOf(&p.segments[i]))
	}
	l.durable = durable
	s.settle(p.open, now)
	l.setDays(c.Days)
	days := l.daysNow()
	l.views.publish(durable, l.hotFiles(), days, dropped)
	at, _ := findDay(days, s.Key)
	return days[at], nil
}

// lateLoads counts the loads since the snapshot that may complete a view that is
// open, whether they are committed by now or not.
func (s *Sealing) lateLoads(open []uint64) int64 {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	n := s.more + s.opened(s.loads, open)
	s.counted, s.countedMore = int64(len(s.loads)), s.more
	return n
}

// opened counts the loads of views that are open: all of them, where nobody
// knows which are. The caller holds l.mu.
func (s *Sealing) opened(loads []pendingLoad, open []uint64) (n int64) {
	if open == nil {
		return int64(len(loads))
	}
	for _, p := range loads {
		if _, found := slices.BinarySearch(open, p.view); found {
			n++
		}
	}
	return n
}

// settle watches the day as a sealed one. The loads that are not committed are
// counted by now: what they were counted for before does not matter any more.
func (s *Sealing) settle(open []uint64, now time.Time) {
	l := s.l
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range []*generation{l.gen, l.cutting} {
		if g != nil && g.late[s.Key] != nil {
			g.late[s.Key].byView = 0
			g.late[s.Key].marked = false // the record that had them was replaced
		}
	}
	// What came while the record was written is counted with what comes next.
	if n := s.more - s.countedMore + s.opened(s.loads[s.counted:], open); n > 0 {
		l.gen.lateFor(s.Key).byView += n
	}
	s.watch.pending, s.watch.sealed = nil, true
	l.forgetOpen(now)
	l.setOpen(s.watch, open, now)
}

// id is the name of a listed segment.
func (f *File) id() string { return strings.TrimSuffix(filepath.Base(f.Path), ".parquet") }
