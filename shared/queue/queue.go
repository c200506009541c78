package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// DropPolicy says which events go when max_size is reached.
type DropPolicy uint8

// The policies.
const (
	DropNewest DropPolicy = iota // what comes is counted as dropped
	DropOldest                   // what is oldest is counted as lost
)

// SyncAlways makes every batch durable before it counts as written.
const SyncAlways time.Duration = -1

// Config configures a Queue; 0 is the default.
type Config struct {
	Dir string
	// MaxSize bounds what the directory takes; default 1 GiB.
	MaxSize int64
	// ReserveFree is how much of the volume stays free for others; default the
	// larger of 1 GiB and 5 %, at least 16 MiB.
	ReserveFree int64
	// SealAge is how long events gather into a batch; default 50 ms.
	SealAge time.Duration
	// Sync is how often what was written is made durable; default 250 ms.
	Sync     time.Duration
	Drop     DropPolicy
	UnsafeFS bool
	Logger   *zap.Logger

	segmentSize int64                // 0 = by MaxSize; tests rotate more often
	fsync       func(*os.File) error // as LogConfig's
}

const (
	defaultMaxSize = 1 << 30
	defaultReserve = 1 << 30
	// MinReserve is the least that a volume keeps free.
	MinReserve     = 16 << 20
	defaultSealAge = 50 * time.Millisecond
	defaultSync    = 250 * time.Millisecond
	// grace and a tenth of the cap is for how long acknowledged batches are
	// kept, for an aggregator that was restored from a backup.
	grace     = 24 * time.Hour
	queueKind = "queue"
	// queueSegment keeps the memory of two open segments well below 64 MiB.
	queueSegment = 4 << 20
)

// LeastMaxSize is the least MaxSize that a queue can work with: two segments of
// the smallest size.
func LeastMaxSize() int64 { return 2 * footprint(minSegment) }

func (c *Config) setDefaults() {
	if c.MaxSize == 0 {
		c.MaxSize = defaultMaxSize
	}
	if c.segmentSize == 0 { // a small cap holds several segments, too
		c.segmentSize = failpoint.Setting("queue.segment_size", max(min(queueSegment, c.MaxSize/8), minSegment))
	}
	if c.SealAge <= 0 {
		c.SealAge = defaultSealAge
	}
	if c.Sync == 0 {
		c.Sync = defaultSync
	}
	if c.Logger == nil {
		c.Logger = discardLogger
	}
}

// epoch is one life of the sequence: it names the positions from first up to
// the next epoch's.
type epoch struct {
	edge  shared.EdgeID
	epoch shared.Epoch
	first uint64
}

// A Queue is an edge's write-ahead log: it seals events into batches, numbers
// them, keeps them until they are acknowledged and balances the books. All
// methods are safe for concurrent use.
type Queue struct {
	cfg   Config
	log   *zap.Logger
	l     *Log
	boot  shared.Epoch
	books books

	epochMu sync.RWMutex
	epochs  []epoch // by first; the last one is current

	batches sealer

	changedMu sync.Mutex
	changed   chan struct{} // closed when more has become durable

	ackMu sync.Mutex

	stop     chan struct{}
	finished sync.WaitGroup
	closing  sync.Once
	closeErr error
}

// Open opens the queue in cfg.Dir, or begins one where there is nothing. A
// directory that can't be used is an error that names it and says what to do;
// events are then to be counted by the caller.
func Open(cfg Config) (*Queue, error) {
	cfg.setDefaults()
	reserve := cfg.ReserveFree
	if reserve == 0 {
		reserve = defaultReserve
		if _, total, err := volumeSpace(existingParent(cfg.Dir)); err == nil {
			reserve = max(reserve, total/20)
		}
	}
	if reserve < MinReserve {
		return nil, fmt.Errorf("reserve_free of %d bytes: at least %d keep other programs on the volume alive", reserve, MinReserve)
	}
	if cfg.SealAge > time.Minute {
		return nil, fmt.Errorf("seal_age of %s: at most a minute", cfg.SealAge)
	}
	l, err := OpenLog(LogConfig{
		Dir: cfg.Dir, Kind: queueKind, MaxSize: cfg.MaxSize, ReserveFree: reserve, SegmentSize: cfg.segmentSize,
		Grace: grace, GraceSize: failpoint.Setting("queue.grace_size", cfg.MaxSize/10), UnsafeFS: cfg.UnsafeFS, Logger: cfg.Logger,
		fsync: cfg.fsync,
	})
	if err != nil {
		return nil, err
	}
	q := &Queue{
		cfg: cfg, log: cfg.Logger, l: l, boot: shared.NewEpoch(),
		changed: make(chan struct{}), stop: make(chan struct{}),
	}
	q.batches.init(q)
	if err := errors.Join(q.openBooks(), q.openEpochs()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	q.finished.Add(2)
	go q.seal()
	go q.syncRegularly()
	return q, nil
}

// Edge is the edge id of what is sealed from now on.
func (q *Queue) Edge() shared.EdgeID { return q.current().edge }

// Epoch is the epoch of what is sealed from now on.
func (q *Queue) Epoch() shared.Epoch { return q.current().epoch }

// Boot is the boot nonce: drawn at every opening.
func (q *Queue) Boot() shared.Epoch { return q.boot }

// NextSeq is the sequence that the next sealed event gets.
func (q *Queue) NextSeq() uint64 { return q.l.Next() }

func (q *Queue) current() epoch {
	q.epochMu.RLock()
	defer q.epochMu.RUnlock()
	return q.epochs[len(q.epochs)-1]
}

// epochAt returns the epoch of a position and the first position of the next
// one, 0 where there is none.
func (q *Queue) epochAt(pos uint64) (e epoch, next uint64) {
	q.epochMu.RLock()
	defer q.epochMu.RUnlock()
	i, ok := slices.BinarySearchFunc(q.epochs, pos, func(e epoch, pos uint64) int {
		switch {
		case e.first < pos:
			return -1
		case e.first > pos:
			return 1
		}
		return 0
	})
	if !ok {
		i = max(i-1, 0)
	}
	if i+1 < len(q.epochs) {
		next = q.epochs[i+1].first
	}
	return q.epochs[i], next
}

// maxEpochs is how many epochs the identity remembers: a few beyond those of
// which events are kept.
const (
	maxEpochs = 200
	epochSize = 16 + 8 + 8
)

// openEpochs draws the epoch of this opening.
func (q *Queue) openEpochs() error {
	q.epochs = decodeEpochs(q.l.id.meta)
	edge := shared.EdgeID(q.l.ID())
	if n := len(q.epochs); n > 0 {
		edge = q.epochs[n-1].edge
	}
	return q.beginEpoch(edge)
}

func decodeEpochs(b []byte) []epoch {
	var epochs []epoch
	for ; len(b) >= epochSize; b = b[epochSize:] {
		epochs = append(epochs, epoch{
			edge: shared.EdgeID(b[:16]), epoch: shared.Epoch(binary.LittleEndian.Uint64(b[16:])), first: binary.LittleEndian.Uint64(b[24:]),
		})
	}
	return epochs
}

// beginEpoch makes what is sealed from now on a new epoch of edge, durably.
func (q *Queue) beginEpoch(edge shared.EdgeID) error {
	q.epochMu.Lock()
	defer q.epochMu.Unlock()
	next, oldest := q.l.Next(), q.l.Oldest()
	kept := slices.Clone(q.epochs)
	if n := len(kept); n > 0 && kept[n-1].first == next {
		kept = kept[:n-1] // nothing was sealed in it
	}
	for len(kept) > 1 && (kept[1].first <= min(oldest, q.l.Trimmed()) || len(kept) >= maxEpochs) {
		kept = kept[1:]
	}
	kept = append(kept, epoch{edge: edge, epoch: shared.NewEpoch(), first: next})
	var b []byte
	for _, e := range kept {
		b = append(b, e.edge[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(e.epoch))
		b = binary.LittleEndian.AppendUint64(b, e.first)
	}
	if err := q.l.saveIdentity(b); err != nil {
		return err
	}
	q.epochs = kept
	return nil
}

// NewIdentity gives the queue a new edge id, and an epoch of it, for what is
// sealed from now on: another edge has been found with the one that it had.
func (q *Queue) NewIdentity() error {
	if err := q.Flush(context.Background()); err != nil {
		return err
	}
	q.batches.writeMu.Lock() // no frame is numbered meanwhile
	defer q.batches.writeMu.Unlock()
	if err := q.beginEpoch(shared.NewEdgeID()); err != nil {
		return err
	}
	q.log.Info("queue has taken a new edge id", zap.Stringer("edge", q.Edge()), zap.Stringer("epoch", q.Epoch()))
	return nil
}

// Kept lists what the queue still has and has made durable, epoch by epoch.
func (q *Queue) Kept() []shared.EpochSpan {
	first, end := min(q.l.Oldest(), q.l.Trimmed()), q.l.Synced()
	var spans []shared.EpochSpan
	for pos := first; pos < end; {
		e, next := q.epochAt(pos)
		if next == 0 || next > end {
			next = end
		}
		spans = append(spans, shared.EpochSpan{Epoch: e.epoch, Range: shared.Range{First: pos, Last: next - 1}})
		pos = next
	}
	return spans
}

// syncRegularly makes what was written durable, and the counters with it.
func (q *Queue) syncRegularly() {
	defer q.finished.Done()
	every := q.cfg.Sync
	if every <= 0 {
		every = defaultSync // the counters; batches are synced as they come
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-q.stop:
			return
		case <-tick.C:
			q.sync()
		}
	}
}

// sync makes everything written durable and wakes readers.
func (q *Queue) sync() {
	q.saveCounters()
	before := q.l.Synced()
	if err := q.l.Sync(); err != nil {
		return // the log has noted it, and tries again
	}
	if q.l.Synced() != before {
		q.changedMu.Lock()
		close(q.changed)
		q.changed = make(chan struct{})
		q.changedMu.Unlock()
	}
}

// Close writes what is open, makes it durable and lets the directory go. It
// returns when ctx ends at the latest: what was written by then is kept.
func (q *Queue) Close(ctx context.Context) error {
	q.closing.Do(func() {
		q.batches.close()
		err := q.Flush(ctx)
		close(q.stop)
		stopped := make(chan struct{})
		go func() { q.finished.Wait(); close(stopped) }()
		select {
		case <-stopped:
			if n := q.batches.abandon(); n > 0 {
				q.Discard(n, shared.DropError)
			}
			q.sync()
			q.closeBooks()
			err = errors.Join(err, q.l.close(ctx))
		case <-ctx.Done():
			err = errors.Join(err, ctx.Err())
		}
		q.closeErr = err
	})
	return q.closeErr
}
