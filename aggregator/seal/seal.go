// Package seal closes days: it decides which are due, and has them sealed one
// after the other.
//
// It owns the order and the pace: a day is due three hours after its end, again
// when rows came late, and again when the definitions changed; the newest first.
// It promises to use a part of the time only, to go on with the next day where
// one fails, and that stopping it leaves no day half sealed (package lake).
//
// It refuses to know what is derived from a day: that is the [Deriver]'s.
package seal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/turns"
)

// Deriver makes of a day's events what it is sealed with. It writes to the
// sealing's directory and nowhere else.
type Deriver interface {
	Derive(context.Context, *lake.Sealing) (lake.Sealed, error)
	// Rules is the version of what it derives: days of others are sealed again.
	Rules() int
}

const (
	// grace is how long after its end a day waits for what is on its way.
	grace = 3 * time.Hour
	// A late day is sealed again after lateAfter; or after soonAfter, when one row
	// in lateShare is late.
	lateAfter = time.Hour
	soonAfter = time.Minute
	lateShare = 100
	// A day that can't be sealed is tried again after retryMin, and then after
	// twice as long each time, up to retryMax.
	retryMin, retryMax = time.Minute, time.Hour
	// DefaultDuty is the part of the time that is spent on sealing, in percent.
	DefaultDuty = 25
)

// Config says what is sealed and how.
type Config struct {
	Lake    *lake.Lake
	Deriver Deriver
	Duty    int              // percent; 0 = DefaultDuty
	Every   time.Duration    // how often it looks what is due; 0 = a minute
	Now     func() time.Time // nil = time.Now
	Logger  *zap.Logger      // nil = none
}

// Sealer seals days. It is safe for concurrent use.
type Sealer struct {
	cfg Config

	sealing sync.Mutex // held while a day is sealed

	mu     sync.Mutex             // guards what follows
	tries  map[state.DayKey]try   // of days that could not be sealed
	ends   map[state.DayKey]int64 // of days that are not sealed
	done   int64                  // days sealed
	last   time.Time
	failed map[state.DayKey]error // of these, why, where something is wrong

	// Run's own: what was due when it last looked.
	queue  []state.DayKey
	looked time.Time
}

// try is when a day that could not be sealed is tried again.
type try struct {
	at    time.Time
	pause time.Duration
}

// New makes a sealer.
func New(cfg Config) *Sealer {
	if cfg.Duty <= 0 || cfg.Duty > 100 {
		cfg.Duty = DefaultDuty
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Minute
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	return &Sealer{cfg: cfg, tries: map[state.DayKey]try{}, ends: map[state.DayKey]int64{}, failed: map[state.DayKey]error{}}
}

// Run seals what is due until ctx ends, and returns when no day is being sealed
// any more.
func (s *Sealer) Run(ctx context.Context) {
	for ctx.Err() == nil {
		pause := s.cfg.Every
		if k, ok := s.next(); ok {
			began := time.Now()
			_, _ = s.seal(ctx, k) // it is noted
			took := time.Since(began)
			pause = took * time.Duration(100-s.cfg.Duty) / time.Duration(s.cfg.Duty)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// next is the day that is due first, if any. It looks anew when it has gone
// through what was due, and every minute.
func (s *Sealer) next() (k state.DayKey, ok bool) {
	if now := time.Now(); len(s.queue) == 0 || now.Sub(s.looked) >= s.cfg.Every {
		s.queue, s.looked = s.due(s.cfg.Now()), now
	}
	if len(s.queue) == 0 {
		return k, false
	}
	k, s.queue = s.queue[0], s.queue[1:]
	return k, true
}

// due are the days that are to be sealed now, without those that failed a moment
// ago.
func (s *Sealer) due(now time.Time) (keys []state.DayKey) {
	list := s.list(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		if t, failed := s.tries[list[i].key]; list[i].due && (!failed || !now.Before(t.at)) {
			keys = append(keys, list[i].key)
		}
	}
	return keys
}

// candidate is a day that has ended.
type candidate struct {
	key    state.DayKey
	to     int64
	rows   int64
	sealed *lake.Day // nil = it never was
	due    bool
	old    bool // only the definitions have changed
}

// wants reports whether sealing it would change anything.
func (c *candidate) wants() bool { return c.sealed == nil || c.sealed.Late > 0 || c.old }

// list is every day that ended long enough ago, in the order in which they are
// to be sealed: the newest first, and those for which only the definitions have
// changed after all others.
func (s *Sealer) list(now time.Time) []candidate {
	snap := s.cfg.Lake.Snapshot()
	defer snap.Release()
	rows := map[state.DayKey]int64{}
	for i := range snap.Files {
		f := &snap.Files[i]
		rows[state.DayKey{SiteID: f.SiteID, Date: f.Date, Zone: f.Zone}] += f.Rows
	}
	days := map[state.DayKey]*lake.Day{}
	for _, d := range snap.Days {
		days[d.DayKey] = d
	}
	list := make([]candidate, 0, len(rows))
	for k, n := range rows {
		c := candidate{key: k, rows: n, sealed: days[k]}
		var err error
		if c.to, err = s.end(k, c.sealed); err != nil || now.UnixMicro() < c.to+grace.Microseconds() {
			continue
		}
		c.judge(now, s.cfg.Deriver.Rules())
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b candidate) int {
		if a.old != b.old {
			if a.old {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.to, a.to), a.key.Compare(b.key))
	})
	return list
}

// maxEnds bounds the ends of days that are remembered.
const maxEnds = 100_000

// end is when a day ends.
func (s *Sealer) end(k state.DayKey, sealed *lake.Day) (int64, error) {
	if sealed != nil {
		return sealed.To, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if to, ok := s.ends[k]; ok {
		return to, nil
	}
	_, to, err := lake.DayBounds(k)
	if err == nil {
		if len(s.ends) >= maxEnds {
			clear(s.ends)
		}
		s.ends[k] = to
	}
	return to, err
}

// judge decides whether it is due.
func (c *candidate) judge(now time.Time, rules int) {
	d := c.sealed
	switch {
	case d == nil:
		c.due = true
	case d.Late > 0:
		age := now.Sub(time.UnixMicro(d.SealedAt))
		c.due = age >= lateAfter || age >= soonAfter && d.Late*lateShare > d.Rows
	default:
		c.old = d.Rules != rules
		c.due = c.old
	}
}

// seal seals one day, and notes how it went.
func (s *Sealer) seal(ctx context.Context, k state.DayKey) (*lake.Day, error) {
	s.sealing.Lock()
	defer s.sealing.Unlock()
	began := time.Now()
	day, err := s.derive(ctx, k)
	if err != nil && ctx.Err() != nil {
		return nil, err // it was stopped
	}
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		delete(s.tries, k)
		s.done++
		s.last = now
		s.mended(k)
		s.cfg.Logger.Debug("day was sealed", zap.String("site", k.SiteID), zap.String("date", k.Date), zap.Int64("rows", day.Rows),
			zap.Duration("took", time.Since(began)))
		return day, nil
	}
	pause := min(max(2*s.tries[k].pause, retryMin), retryMax)
	s.tries[k] = try{at: now.Add(pause), pause: pause}
	var full *turns.FullError
	if errors.Is(err, lake.ErrNothing) {
		s.mended(k)
	}
	if errors.Is(err, lake.ErrReplaced) || errors.Is(err, lake.ErrNothing) || errors.Is(err, lake.ErrSealing) || errors.As(err, &full) {
		return nil, err // nothing is wrong
	}
	if len(s.failed) == 0 {
		s.cfg.Logger.Error("day can't be sealed; it is answered from its events and tried again", zap.String("site", k.SiteID),
			zap.String("date", k.Date), zap.Error(err))
	}
	s.failed[k] = err
	return nil, err
}

// mended notes that nothing is wrong with a day any more. The caller holds s.mu.
func (s *Sealer) mended(k state.DayKey) {
	if s.failed[k] == nil {
		return
	}
	delete(s.failed, k)
	if len(s.failed) == 0 {
		s.cfg.Logger.Info("every day can be sealed again")
	}
}

// derive seals a day in its turn among heavy statements.
func (s *Sealer) derive(ctx context.Context, k state.DayKey) (*lake.Day, error) {
	ctx = turns.With(ctx, turns.Ask{Class: turns.Heavy, Site: k.SiteID, Client: "seal"})
	sealing, err := s.cfg.Lake.BeginSeal(ctx, k)
	if err != nil {
		return nil, err
	}
	made, err := s.cfg.Deriver.Derive(ctx, sealing)
	if err != nil {
		sealing.Abandon()
		return nil, fmt.Errorf("seal %s of site %s: %w", k.Date, k.SiteID, err)
	}
	return sealing.Commit(ctx, made)
}

// Selection names days. Empty parts leave out nothing.
type Selection struct {
	Site string `json:"site"` // its id
	From string `json:"from"` // local days, yyyy-mm-dd, both included
	To   string `json:"to"`
	// Force seals again what is sealed already.
	Force bool `json:"force"`
}

// Report says what [Sealer.Seal] did.
type Report struct {
	Days   int      `json:"days"`   // that have ended
	Sealed int      `json:"sealed"` // of them, now
	Rows   int64    `json:"rows"`   // of the days that were sealed
	Late   int      `json:"late"`   // days that got more rows meanwhile
	Failed []string `json:"failed"` // what went wrong, by day
}

// Seal seals the days of a selection that have ended, now, whenever they are due.
func (s *Sealer) Seal(ctx context.Context, sel Selection) (Report, error) {
	r := Report{Failed: []string{}}
	for _, c := range s.list(s.cfg.Now()) {
		k := c.key
		if sel.Site != "" && k.SiteID != sel.Site || sel.From != "" && k.Date < sel.From || sel.To != "" && k.Date > sel.To {
			continue
		}
		r.Days++
		if !c.wants() && !sel.Force {
			continue
		}
		day, err := s.seal(ctx, k)
		switch {
		case ctx.Err() != nil:
			return r, ctx.Err()
		case errors.Is(err, lake.ErrNothing):
			r.Days--
		case err != nil:
			r.Failed = append(r.Failed, err.Error())
		default:
			r.Sealed++
			r.Rows += day.Rows
			if day.Late > 0 {
				r.Late++
			}
		}
	}
	return r, nil
}

// Stats describe the days at one moment.
type Stats struct {
	Sealed int       // days that are
	Late   int       // of them, with rows that came later
	Due    int       // days that are to be sealed now, late ones included
	Done   int64     // days sealed since the start
	Last   time.Time // when one was; zero = not since the start
	Failed int       // days that could not be when they were tried last
	Err    error     // why one of them could not
}

// Stats returns how far sealing is.
func (s *Sealer) Stats() Stats {
	s.mu.Lock()
	st := Stats{Done: s.done, Last: s.last, Failed: len(s.failed)}
	for _, err := range s.failed {
		st.Err = err
		break
	}
	s.mu.Unlock()
	snap := s.cfg.Lake.Snapshot()
	st.Sealed = len(snap.Days)
	for _, d := range snap.Days {
		if d.Late > 0 {
			st.Late++
		}
	}
	snap.Release()
	for _, c := range s.list(s.cfg.Now()) {
		if c.due {
			st.Due++
		}
	}
	return st
}
