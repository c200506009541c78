package erasure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Lake is what of the lake an erasure needs; see package lake.
type Lake interface {
	EachWho(ctx context.Context, s lake.Span, carried bool, fn func(*lake.Who)) error
	Erase(ctx context.Context, e lake.Erasing) (state.Erasing, error)
}

// Spool is likewise; see package spool.
type Spool interface {
	Replay(from uint64, fn func(pos uint64, r spool.Record) error) (damaged uint64, err error)
	Cut() (next uint64, err error)
	Purge(ctx context.Context, before uint64) error
}

// Config is what an Eraser works with.
type Config struct {
	Ledger *Ledger
	Lake   Lake
	Spool  Spool
	Sites  receive.Registry
	// Letters removes dead letters with an erased event.
	Letters func(erased receive.Erased, dry bool) (int64, error)
	// Settle returns once everything that is in the spool is in segments, and
	// the last position of which that is so. Where nothing brings it there, it
	// returns the position that was reached.
	Settle func(ctx context.Context) (through uint64, err error)
	Now    func() time.Time
	Logger *zap.Logger
}

// Eraser carries erasures out, one at a time.
type Eraser struct {
	cfg   Config
	one   sync.Mutex
	nudge chan struct{} // wakes Run
	sweep chan struct{} // tells Run that the spool has erased rows
}

// New makes an eraser. Run finishes what was begun.
func New(cfg Config) *Eraser {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Eraser{cfg: cfg, nudge: make(chan struct{}, 1), sweep: make(chan struct{}, 1)}
}

// Report says what an erasure took, or would take.
type Report struct {
	state.Erasing
	LedgerID string `json:"ledger_id"` // "" for a dry run
	DryRun   bool   `json:"dry_run"`
	State    string `json:"state"` // open: what is left is finished by itself
	// Accounting says what becomes of the books.
	Accounting string `json:"accounting"`
}

const accounting = "captured, stored and the sums of requests stay as they were counted; " +
	"erased rows are counted by site and day, as erased in /api/stats/accounting, and stored = rows in segments + erased"

// errLeft means that the spool has events that are in no segment.
var errLeft = errors.New("the spool has events that are not in the lake yet")

// ErrUnknownSite means that a request names no site.
var ErrUnknownSite = errors.New("there is no site of this name: `eider site list` shows the sites")

// Erase carries a request out, and returns when it is done. An error after the
// ledger has it leaves it open: Run, or the next start, finishes it. What can't
// be meant is an [InvalidError].
func (e *Eraser) Erase(ctx context.Context, r Request) (Report, error) {
	site, ok := e.cfg.Sites.Resolve(r.Site)
	if !ok {
		return Report{}, ErrUnknownSite
	}
	s, err := r.parse(&site)
	if err != nil {
		return Report{}, err
	}
	e.one.Lock()
	defer e.one.Unlock()
	asked := e.cfg.Now().UnixMicro()
	if _, err := e.cfg.Settle(ctx); err != nil { // so that who is linked to whom is there to be found
		return Report{}, fmt.Errorf("erase: %w", err)
	}
	entry, err := e.entry(ctx, &s, asked)
	if err != nil {
		return Report{}, err
	}
	entry.By = r.By
	if r.DryRun {
		n, err := e.dry(ctx, &entry)
		return Report{Erasing: n, DryRun: true, Accounting: accounting}, err
	}
	if entry.ID, err = newID(asked); err != nil {
		return Report{}, err
	}
	if err := e.cfg.Ledger.put(entry); err != nil {
		e.wake()
		return Report{}, err
	}
	failpoint.Hit("erasure.recorded")
	e.cfg.Logger.Info("erasure recorded", zap.String("erasure", entry.ID), zap.String("site", entry.SiteID), zap.String("by", entry.By))
	entry, err = e.finish(ctx, entry, &s)
	if err != nil {
		e.wake()
		return Report{}, fmt.Errorf("erasure %s is recorded and goes on by itself: %w", entry.ID, err)
	}
	if entry.State == state.ErasureOpen {
		e.wake()
	}
	return Report{Erasing: entry.Counts, LedgerID: entry.ID, State: entry.State, Accounting: accounting}, nil
}

// dry counts what an entry would take.
func (e *Eraser) dry(ctx context.Context, entry *state.Erasure) (n state.Erasing, err error) {
	r, err := e.rulesOf(entry)
	if err != nil {
		return n, err
	}
	if n, err = e.lake(ctx, entry, r, true); err != nil {
		return n, err
	}
	if n.DeadLetters, err = e.cfg.Letters(r.event(), true); err != nil {
		return n, fmt.Errorf("look through dead letters: %w", err)
	}
	n.Spool, err = e.spooled(r)
	return n, err
}

// rulesOf readies one entry.
func (e *Eraser) rulesOf(entry *state.Erasure) (*rules, error) {
	e.cfg.Ledger.mu.Lock()
	k := e.cfg.Ledger.key
	e.cfg.Ledger.mu.Unlock()
	r, foreign := compile(k, []state.Erasure{*entry})
	if foreign > 0 {
		return nil, fmt.Errorf("erasure %s was recorded under a key that is not there: restore DATA/erasures/key from a backup", entry.ID)
	}
	return r, nil
}

// finish carries an entry of the ledger out. Each step can be repeated. s is
// nil when the ids are not known any more.
func (e *Eraser) finish(ctx context.Context, entry state.Erasure, s *subject) (state.Erasure, error) {
	if _, err := e.cfg.Settle(ctx); err != nil { // what came in before the ledger had it
		return entry, err
	}
	if s != nil {
		again, err := e.entry(ctx, s, entry.AskedAt)
		if err != nil {
			return entry, err
		}
		if len(again.Visitors) > len(entry.Visitors) { // somebody was linked meanwhile
			entry.Visitors = again.Visitors
			if err := e.cfg.Ledger.put(entry); err != nil {
				return entry, err
			}
		}
	}
	r, err := e.rulesOf(&entry)
	if err != nil {
		return entry, err
	}
	counts, err := e.lake(ctx, &entry, r, false)
	if err != nil {
		return entry, err
	}
	failpoint.Hit("erasure.lake.done")
	if counts.DeadLetters, err = e.cfg.Letters(r.event(), false); err != nil {
		return entry, fmt.Errorf("erase dead letters: %w", err)
	}
	failpoint.Hit("erasure.letters.done")
	if counts.Spool, err = e.spooled(r); err != nil {
		return entry, err
	}
	clean, err := e.purge(ctx)
	if err != nil {
		return entry, err
	}
	failpoint.Hit("erasure.spool.done")
	return e.done(entry, counts, clean)
}

// done closes an entry, unless the spool still has some of it.
func (e *Eraser) done(entry state.Erasure, counts state.Erasing, clean bool) (state.Erasure, error) {
	committed, err := e.cfg.Ledger.store.Erasing(entry.ID)
	if err != nil {
		return entry, err
	}
	// What earlier attempts took from segments is counted with their commits.
	counts.Hot, counts.Events, counts.Visits, counts.Rollups = committed.Hot, committed.Events, committed.Visits, committed.Rollups
	entry.Counts = counts
	if !clean {
		return entry, nil
	}
	entry.State, entry.DoneAt = state.ErasureDone, e.cfg.Now().UnixMicro()
	if err := e.cfg.Ledger.put(entry); err != nil {
		return entry, err
	}
	failpoint.Hit("erasure.done")
	e.cfg.Logger.Info("erasure done", zap.String("erasure", entry.ID), zap.String("site", entry.SiteID), zap.Int64("hot", counts.Hot),
		zap.Int64("events", counts.Events), zap.Int64("dead_letters", counts.DeadLetters))
	return entry, nil
}

// lake takes an entry's rows out of the lake.
func (e *Eraser) lake(ctx context.Context, entry *state.Erasure, r *rules, dry bool) (n state.Erasing, err error) {
	gone := r.of(entry.SiteID)
	if gone == nil {
		return n, nil
	}
	return e.cfg.Lake.Erase(ctx, lake.Erasing{
		Span: lake.Span{SiteID: entry.SiteID, From: entry.From, To: entry.To}, ID: entry.ID, AskedAt: entry.AskedAt, Gone: gone, Dry: dry,
	})
}

// spooled counts an entry's events in the spool.
func (e *Eraser) spooled(r *rules) (n int64, err error) {
	erased := r.event()
	_, err = e.cfg.Spool.Replay(0, func(_ uint64, rec spool.Record) error {
		f, _, err := batch.Next(rec.Frame)
		if err != nil || f.Header.Kind != shared.BatchData {
			return nil // it is read by nobody
		}
		_ = f.Events(func(_ uint64, ev *shared.Event, err error) {
			if err != nil {
				return
			}
			ev.ReceivedAt = rec.ReceivedAt
			if site, ok := e.cfg.Sites.Resolve(ev.Site); ok && erased(site.ID, ev) {
				n++
			}
		})
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("look through spool: %w", err)
	}
	return n, nil
}

// purge removes from the spool what is in segments, and reports whether that is
// all that was there.
func (e *Eraser) purge(ctx context.Context) (clean bool, err error) {
	next, err := e.cfg.Spool.Cut()
	if err != nil {
		return false, err
	}
	through, err := e.cfg.Settle(ctx)
	if err != nil {
		return false, err
	}
	return through+1 >= next, e.cfg.Spool.Purge(ctx, min(next, through+1))
}

// Forget lets what an erasure concerns come in again, such as an import of the
// same days. What came before stays out: it leaves the spool first. The entry
// stays.
func (e *Eraser) Forget(ctx context.Context, id string) (state.Erasure, error) {
	e.one.Lock()
	defer e.one.Unlock()
	for _, entry := range e.cfg.Ledger.List() {
		switch {
		case entry.ID != id:
			continue
		case entry.State != state.ErasureDone:
			return entry, fmt.Errorf("erasure %s is not finished yet: what is stored may still have some of it", id)
		case entry.ForgottenAt != 0:
			return entry, nil
		}
		if clean, err := e.purge(ctx); err != nil || !clean {
			return entry, fmt.Errorf("forget erasure %s while the server runs: %w", id, cmp.Or(err, errLeft))
		}
		entry.ForgottenAt = e.cfg.Now().UnixMicro()
		return entry, e.cfg.Ledger.put(entry)
	}
	return state.Erasure{}, &InvalidError{"ledger_id", "there is no such erasure: `eider erase --list` shows them"}
}

// List returns every erasure, oldest first.
func (e *Eraser) List(context.Context) ([]state.Erasure, error) { return e.cfg.Ledger.List(), nil }
