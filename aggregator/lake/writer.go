package lake

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// What the writer does next.
type step uint8

const (
	stepWait step = iota
	stepHot       // write micro-segments
	stepCut       // write segments and commit
)

const (
	// directRows is how many rows, of a group and not queryable yet, make the
	// load heavy.
	directRows = 12_000
	// directDelay is how long rows gather then: queryable within a second, and
	// segments of tens of thousands of rows.
	directDelay = 600 * time.Millisecond
	// smallRows is the number of rows of an average segment below which a cut
	// waits longer: quiet sites would fill the lake with tiny files.
	smallRows = 256
	// stretch is how much longer it waits at most.
	stretch = 10
)

// write is the writer's goroutine.
func (l *Lake) write(ctx context.Context) {
	defer close(l.stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case j := <-l.jobs:
			j.done <- j.run()
		default:
		}
		step, wait := l.next(time.Now())
		switch step {
		case stepHot:
			l.settleHot(l.writeHot())
		case stepCut:
			l.settleCut(ctx, l.cut(ctx))
		case stepWait:
			timer.Reset(wait)
			select {
			case <-l.wake:
			case j := <-l.jobs:
				j.done <- j.run()
			case <-timer.C:
			case <-ctx.Done():
			}
		}
	}
}

// job is a change of the list of segments that somebody asks the writer for.
type job struct {
	run  func() error
	done chan error
}

// do has the writer run something, and returns what it returned. Where it did not
// begin before ctx ended, it never will.
func (l *Lake) do(ctx context.Context, run func() error) error {
	j := job{run, make(chan error, 1)}
	select {
	case l.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.stopped:
		return ErrClosed
	}
	select {
	case err := <-j.done:
		return err
	case <-l.stopped:
		select {
		case err := <-j.done:
			return err
		default:
			return ErrClosed // the next start finds out whether it was committed
		}
	}
}

// next decides what is due, or how long nothing is.
func (l *Lake) next(now time.Time) (step, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cutIn := l.cutIn(now)
	if cutIn <= 0 {
		return stepCut, 0
	}
	hotIn := l.hotIn(now)
	if hotIn <= 0 {
		return stepHot, 0
	}
	return stepWait, min(cutIn, hotIn)
}

// cutIn is when the next cut is due. The caller holds l.mu.
func (l *Lake) cutIn(now time.Time) time.Duration {
	g := l.gen
	switch {
	case l.cutFailed.err != nil:
		return l.cutFailed.retryAt.Sub(now)
	case g.empty():
		return time.Hour
	case l.flushTo > l.committed || g.bytes >= l.cfg.CutBytes || g.aside >= asideBytes:
		return 0
	}
	in := g.cutAge(l.cfg.CutAge) - now.Sub(g.began)
	if g.heavy() {
		in = min(in, directDelay-now.Sub(g.fresh[0].freshAt))
		if g.freshRows >= rowGroupRows {
			in = 0
		}
	}
	return in
}

// hotIn is when the next micro-segments are due. The caller holds l.mu.
func (l *Lake) hotIn(now time.Time) time.Duration {
	g, delay := l.gen, l.cfg.HotDelay
	if l.cutting != nil {
		if l.cutting.freshRows > 0 {
			g = l.cutting
		}
		if l.cutFailed.err == nil {
			delay = max(delay, directDelay) // the cut is likely to be faster
		}
	}
	if g.freshRows == 0 || (g.heavy() && l.cutFailed.err == nil) {
		return time.Hour
	}
	in := delay - now.Sub(g.fresh[0].freshAt)
	if l.hotFailed.err != nil {
		in = max(in, l.hotFailed.retryAt.Sub(now))
	}
	return in
}

func (l *Lake) hotDue(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hotIn(now) <= 0
}

// heavy reports whether rows come in so fast that they go into durable segments
// at once: micro-segments would be thrown away within a second or two.
func (g *generation) heavy() bool {
	return g.freshRows >= directRows && g.rows >= directRows*int64(len(g.order))
}

// cutAge is how old the generation may get.
func (g *generation) cutAge(base time.Duration) time.Duration {
	if n := int64(len(g.order)); n > 0 && g.rows < smallRows*n {
		return stretch * base
	}
	return base
}

// failure says since when writing fails, and when it is tried again.
type failure struct {
	err     error
	since   time.Time
	retryAt time.Time
	pause   time.Duration
}

// settleCut notes how a cut went; its being ended by Close is no failure.
func (l *Lake) settleCut(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(&l.cutFailed, err, "lake can't commit; events stay in the spool and it tries again")
	if err == nil {
		l.settle(&l.hotFailed, nil, "") // there is room again
	}
}

// settleHot notes how a pass of micro-segments went.
func (l *Lake) settleHot(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(&l.hotFailed, err, "lake can't show new events; it tries again")
}

// settle logs when writing begins or ends to fail, and plans the retry. The
// caller holds l.mu.
func (l *Lake) settle(f *failure, err error, message string) {
	now := time.Now()
	if err == nil {
		if f.err != nil {
			l.log.Info("lake writes again", zap.Duration("after", now.Sub(f.since)))
		}
		*f = failure{}
		return
	}
	if f.err == nil {
		f.since = now
		l.log.Error(message, zap.String("path", l.cfg.Dir), zap.Error(err))
	}
	f.pause = min(max(2*f.pause, l.cfg.RetryMin), l.cfg.RetryMax)
	f.err, f.retryAt = err, now.Add(f.pause)
}

// Stats describe the lake at one moment.
type Stats struct {
	HotRows       int64     // taken, not yet in a committed segment
	HotBytes      int64     // memory that they take
	HotFiles      int       // micro-segments that are queryable
	Segments      int       // that are listed
	Version       uint64    // of the newest snapshot
	Ingested      uint64    // last spool position taken
	SpoolThrough  uint64    // last spool position committed
	Committed     int64     // events in segments committed since the lake was opened
	Commits       int64     // since the lake was opened
	Bytes         int64     // of the segments written since the lake was opened
	LastCommit    time.Time // zero = none since the lake was opened
	OldestHot     time.Time // since when events wait for their commit; zero = none do
	DegradedSince time.Time // since when writing fails; zero = it does not
	Err           error     // why it fails
}

// Stats returns how the lake is.
func (l *Lake) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{
		HotRows: l.gen.rows, HotBytes: int64(l.buffered()), Ingested: l.ingested, SpoolThrough: l.committed,
		Committed: l.totals.committed, Commits: l.totals.commits, Bytes: l.totals.bytes, LastCommit: l.totals.lastCommit,
		DegradedSince: l.cutFailed.since, Err: l.cutFailed.err,
	}
	if l.cutFailed.err == nil {
		s.DegradedSince, s.Err = l.hotFailed.since, l.hotFailed.err
	}
	if !l.gen.empty() {
		s.OldestHot = l.gen.began
	}
	if l.cutting != nil {
		s.HotRows += l.cutting.rows
		s.OldestHot = l.cutting.began
	}
	s.Version, s.Segments, s.HotFiles = l.views.current()
	return s
}
