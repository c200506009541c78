package erasure

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Pauses of Run.
const (
	retry = 30 * time.Second // between attempts at what was not finished
	// sweepPause is how long erased rows that came late may lie in the spool:
	// each sweep commits what there is.
	sweepPause = time.Minute
)

// Swept tells that erased rows came in, which the spool has: it is swept soon.
func (e *Eraser) Swept() { signal(e.sweep) }

func (e *Eraser) wake() { signal(e.nudge) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run finishes what an earlier process, or a call that was given up, left open,
// and sweeps the spool where erased rows came late, until ctx ends.
func (e *Eraser) Run(ctx context.Context) {
	pause := time.Duration(failpoint.Setting("erasure.sweep_pause", int64(sweepPause)))
	if !e.cfg.Ledger.Empty() { // a process may have ended between a row that came late and its sweep
		e.Swept()
	}
	failing := false
	for {
		left := e.Resume(ctx)
		if left != nil && !failing && ctx.Err() == nil {
			e.cfg.Logger.Error("erasure is not finished; it is tried again", zap.Error(left))
		}
		failing = left != nil
		timer := time.NewTimer(retry)
		if !failing {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-e.nudge:
			if !sleep(ctx, time.Second) { // whoever failed was told; not at once again
				return
			}
		case <-e.sweep:
			if err := e.Sweep(ctx); err != nil && ctx.Err() == nil {
				e.cfg.Logger.Error("spool could not be swept of erased rows; it is tried again", zap.Error(err))
				e.Swept()
			}
			if !sleep(ctx, pause) {
				return
			}
		case <-timer.C:
		}
		timer.Stop()
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Resume carries out every erasure that is open, and returns why one still is.
func (e *Eraser) Resume(ctx context.Context) error {
	e.one.Lock()
	defer e.one.Unlock()
	var first error
	for _, entry := range e.cfg.Ledger.List() {
		if entry.State != state.ErasureOpen {
			continue
		}
		after, err := e.finish(ctx, entry, nil)
		if err == nil && after.State == state.ErasureOpen {
			err = errLeft
		}
		if err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Sweep removes what is in segments from the spool, wholly.
func (e *Eraser) Sweep(ctx context.Context) error {
	e.one.Lock()
	defer e.one.Unlock()
	_, err := e.purge(ctx)
	return err
}
