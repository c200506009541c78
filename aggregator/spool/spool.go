// Package spool is the aggregator's durable log of accepted batches that are
// not yet in committed segments.
//
// It owns the record of an acceptance: the frame as the edge sealed it, from
// which sequence on it counts, which of its events were refused, and the clock
// reading that their times are settled by. As the record says from where it
// counts, payload and mark become durable in one step.
//
// It promises that a record is on disk when [Spool.AppendSync] returns, that
// positions are never used twice even if the directory was replaced
// ([Spool.SkipTo]), and that a damaged place hides no record after it. Appends
// that run at the same time share one fsync.
//
// It refuses to go on when an fsync keeps failing, as nobody can say what the
// disk holds then: every further append fails until the spool is opened again.
//
// Steps at which a crash test can end the process: spool.appended (in the log,
// not yet synced), spool.synced, spool.trimmed.
package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared/failpoint"
	"github.com/eider-analytics/eider/shared/queue"
)

// Tail is how many committed records the spool keeps: a batch whose answer was
// lost in a crash is sent again, and gets the same answer again from them.
const Tail = 1024

// DefaultMaxSize is how far the spool grows while the lake can't commit;
// beyond it edges are asked to wait.
const DefaultMaxSize = 4 << 30

// DefaultReserveFree is what the spool leaves free on its volume.
const DefaultReserveFree = 256 << 20

// Errors that a caller answers with "later".
var (
	// ErrFull means that the spool has reached its size cap or the volume its
	// reserve. Nothing of the record is kept.
	ErrFull = errors.New("spool is full")
	// ErrBroken means that an fsync failed: the spool must be opened again.
	ErrBroken = errors.New("spool needs a restart after a failed sync")
)

// Config says where the spool lies and how large it may grow.
type Config struct {
	Dir         string
	MaxSize     int64 // 0 = DefaultMaxSize
	ReserveFree int64 // 0 = DefaultReserveFree
	Logger      *zap.Logger
}

// log is what the spool needs of its queue.Log.
type log interface {
	Next() uint64
	Append(count uint64, data []byte) (first uint64, err error)
	Sync() error
	Read(pos uint64) (queue.Record, error)
	Trim(before uint64) error
	Cut() (next uint64, err error)
	Gone(ctx context.Context, before uint64) error
	Oldest() uint64
	Size() int64
	Close() error
}

// Spool is the open log. Its methods are safe for concurrent use.
type Spool struct {
	log    log
	logger *zap.Logger

	appending sync.Mutex // keeps the records of one call next to each other
	buf       []byte     // guarded by appending

	syncing sync.Mutex // held during an fsync; who waits finds it done for him
	synced  uint64     // guarded by syncing: positions below are durable

	broken atomic.Pointer[error] // sticky; read by who does not wait for an fsync
}

func (s *Spool) brokenBy() error {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Open opens or creates the spool in cfg.Dir.
func Open(cfg Config) (*Spool, error) {
	if cfg.MaxSize == 0 {
		cfg.MaxSize = DefaultMaxSize
	}
	if cfg.ReserveFree == 0 {
		cfg.ReserveFree = DefaultReserveFree
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	l, err := queue.OpenLog(queue.LogConfig{
		Dir: cfg.Dir, Kind: "spool", MaxSize: cfg.MaxSize, ReserveFree: cfg.ReserveFree,
		// A file system that can't set space aside may end the process when it
		// is full. Unlike an edge's, this one has no visitors waiting: it is
		// started again and takes up where it was.
		UnsafeFS: true, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	return newSpool(l, cfg.Logger), nil
}

func newSpool(l log, logger *zap.Logger) *Spool {
	return &Spool{log: l, logger: logger, synced: l.Next()}
}

// AppendSync appends the records at consecutive positions from first on and
// returns when they are durable. n says how many are: fewer than all, together
// with an error, when the spool filled up between them.
func (s *Spool) AppendSync(ctx context.Context, records ...Record) (first uint64, n int, err error) {
	if err := errors.Join(ctx.Err(), s.brokenBy()); err != nil {
		return 0, 0, err
	}
	first, n, err = s.append(records)
	if n == 0 {
		return 0, 0, err
	}
	failpoint.Hit("spool.appended")
	if syncErr := s.syncThrough(first + uint64(n)); syncErr != nil {
		return 0, 0, syncErr
	}
	failpoint.Hit("spool.synced")
	return first, n, err
}

func (s *Spool) append(records []Record) (first uint64, n int, err error) {
	s.appending.Lock()
	defer s.appending.Unlock()
	for i := range records {
		s.buf = appendRecord(s.buf[:0], &records[i])
		pos, err := s.log.Append(1, s.buf)
		if errors.Is(err, queue.ErrFull) || errors.Is(err, queue.ErrNoSpace) {
			return first, i, fmt.Errorf("%w: %w", ErrFull, err)
		}
		if err != nil {
			return first, i, fmt.Errorf("append to spool: %w", err)
		}
		if i == 0 {
			first = pos
		}
	}
	if cap(s.buf) > maxKeptBuffer {
		s.buf = nil
	}
	return first, len(records), nil
}

// maxKeptBuffer is the largest encoding buffer that is kept between appends.
const maxKeptBuffer = 1 << 20

// syncThrough returns when every position below end is durable. Whoever gets
// the lock first syncs for all who have appended by then; the others find
// their records covered.
func (s *Spool) syncThrough(end uint64) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if s.synced >= end {
		return nil
	}
	if err := s.brokenBy(); err != nil {
		return err
	}
	var err error
	for range syncTries {
		covered := s.log.Next()
		if err = s.log.Sync(); err == nil {
			s.synced = covered
			return nil
		}
		if errors.Is(err, queue.ErrClosed) {
			return fmt.Errorf("sync spool: %w", err)
		}
		time.Sleep(syncPause)
	}
	broken := fmt.Errorf("%w: %w", ErrBroken, err)
	s.broken.Store(&broken)
	s.logger.Error("spool can't be synced, the aggregator must be restarted", zap.Error(err))
	return broken
}

// After a failed sync the log makes a copy of what may be lost and syncs that;
// it is given so many tries for it. Positions that were handed out can't be
// taken back, so the appends wait meanwhile.
const (
	syncTries = 50
	syncPause = 100 * time.Millisecond
)

// Next is the position that the next record gets.
func (s *Spool) Next() uint64 { return s.log.Next() }

// SkipTo makes next the lowest position that a further record can get. A spool
// whose directory was replaced would otherwise give out positions that the
// manifest already counts as committed.
func (s *Spool) SkipTo(next uint64) error {
	s.appending.Lock()
	defer s.appending.Unlock()
	at := s.log.Next()
	if at >= next {
		return nil
	}
	if _, err := s.log.Append(next-at, []byte{versionSkip}); err != nil {
		return fmt.Errorf("skip spool positions: %w", err)
	}
	return s.syncThrough(next)
}

// Replay calls fn for each record from position from on, in order, up to the
// records that were there when it was called. A damaged place is logged and
// passed over; damaged is how many positions were. An error of fn ends it.
func (s *Spool) Replay(from uint64, fn func(pos uint64, r Record) error) (damaged uint64, err error) {
	end := s.log.Next()
	for pos := max(from, s.log.Oldest()); pos < end; {
		rec, err := s.log.Read(pos)
		var hole *queue.HoleError
		if errors.As(err, &hole) {
			last := min(hole.Last, end-1)
			if pos < s.log.Oldest() { // it was there when this began: trimmed meanwhile
				pos = last + 1
				continue
			}
			damaged += last - pos + 1
			s.logger.Error("spool has a damaged place", zap.Uint64("first", pos), zap.Uint64("last", last), zap.Error(err))
			pos = last + 1
			continue
		}
		if err != nil {
			return damaged, fmt.Errorf("read spool at %d: %w", pos, err)
		}
		pos = rec.First + rec.Count
		if len(rec.Data) == 1 && rec.Data[0] == versionSkip {
			continue
		}
		r, err := parseRecord(rec.Data)
		if err != nil {
			damaged += rec.Count
			s.logger.Error("spool has an unreadable record", zap.Uint64("position", rec.First), zap.Error(err))
			continue
		}
		if err := fn(rec.First, r); err != nil {
			return damaged, err
		}
	}
	return damaged, nil
}

// Trim says that everything before the position is in committed segments. The
// last [Tail] records stay.
func (s *Spool) Trim(before uint64) error {
	tail := uint64(failpoint.Setting("spool.tail", Tail))
	if before <= tail {
		return nil
	}
	if err := s.log.Trim(before - tail); err != nil {
		return fmt.Errorf("trim spool: %w", err)
	}
	failpoint.Hit("spool.trimmed")
	return nil
}

// Cut ends the file that is being written: see Purge. It returns the position
// that the next record gets.
func (s *Spool) Cut() (next uint64, err error) {
	if next, err = s.log.Cut(); err != nil {
		return 0, fmt.Errorf("cut spool: %w", err)
	}
	return next, nil
}

// Purge is Trim without the tail, and removes the files of what is before a
// position of Cut. Batches whose answer was lost in a crash are told from new
// ones all the same; they are not told again what was refused of them.
func (s *Spool) Purge(ctx context.Context, before uint64) error {
	err := s.log.Trim(before)
	if err == nil {
		err = s.log.Gone(ctx, before)
	}
	if err != nil {
		return fmt.Errorf("purge spool: %w", err)
	}
	return nil
}

// Stats is the spool's state for health and metrics.
type Stats struct {
	Oldest uint64 // first position that is kept
	Next   uint64
	Bytes  int64
	Broken error // why nothing can be appended until a restart; nil = fine
}

// Stats returns a snapshot, also while the disk hangs.
func (s *Spool) Stats() Stats {
	return Stats{Oldest: s.log.Oldest(), Next: s.log.Next(), Bytes: s.log.Size(), Broken: s.brokenBy()}
}

// Close closes the log. Appends must have ended.
func (s *Spool) Close() error {
	if err := s.log.Close(); err != nil {
		return fmt.Errorf("close spool: %w", err)
	}
	return nil
}
