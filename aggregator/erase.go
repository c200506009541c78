package aggregator

import (
	"context"
	"fmt"

	"github.com/eider-analytics/eider/aggregator/erasure"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/state"
)

// openEraser makes the eraser of the running server. The receiver is opened
// after it, and asked when there is something to do.
func (a *Aggregator) openEraser() *erasure.Eraser {
	return erasure.New(erasure.Config{
		Ledger: a.store.ledger, Lake: a.lake, Spool: a.store.spool, Sites: a.store.sites, Now: a.cfg.now, Logger: a.log.Named("erasure"),
		Letters: func(erased receive.Erased, dry bool) (int64, error) { return a.receiver.EraseDeadLetters(erased, dry) },
		Settle:  a.settle,
	})
}

// settle brings everything that is in the spool into segments.
func (a *Aggregator) settle(ctx context.Context) (through uint64, err error) {
	if !a.receiver.WaitThrough(ctx.Done(), a.store.spool.Next()-1) {
		return 0, fmt.Errorf("wait for the lake to take what is in the spool: %w", ctx.Err())
	}
	if err := a.lake.Flush(ctx); err != nil {
		return 0, err
	}
	return a.lake.Stats().SpoolThrough, nil
}

// Erase takes away what a request names, by the running server or, where none
// runs, as far as that goes: what is in the spool alone is left to the next
// start.
func (s *Store) Erase(ctx context.Context, r erasure.Request) (report erasure.Report, err error) {
	r.By = "operator"
	err = s.withEraser(ctx, func(e *erasure.Eraser) error {
		report, err = e.Erase(ctx, r)
		return err
	})
	return report, err
}

// Erasures lists the ledger.
func (s *Store) Erasures(context.Context) ([]state.Erasure, error) { return s.ledger.List(), nil }

// ForgetErasure lets in again what an erasure concerns.
func (s *Store) ForgetErasure(ctx context.Context, id string) (entry state.Erasure, err error) {
	err = s.withEraser(ctx, func(e *erasure.Eraser) error {
		entry, err = e.Forget(ctx, id)
		return err
	})
	return entry, err
}

func (s *Store) withEraser(ctx context.Context, with func(*erasure.Eraser) error) error {
	if s.eraser != nil {
		return with(s.eraser)
	}
	return s.withLake(ctx, func(l *lake.Lake) error {
		return with(erasure.New(erasure.Config{
			Ledger: s.ledger, Lake: l, Spool: s.spool, Sites: s.sites, Now: s.cfg.now, Logger: s.log.Named("erasure"),
			Letters: func(erased receive.Erased, dry bool) (int64, error) {
				return receive.EraseDeadLetters(s.cfg.deadLettersDir(), s.sites, erased, dry)
			},
			Settle: func(context.Context) (uint64, error) { return l.Stats().SpoolThrough, nil },
		}))
	})
}
