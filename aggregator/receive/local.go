package receive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// LocalEdge is the edge id of what the aggregator collects itself. It is the
// same everywhere: an event's name is unique by its epoch.
var LocalEdge = shared.EdgeID([]byte("eider-aggregator"))

// localName is how people see that edge.
const localName = "aggregator's own endpoints"

// Bounds of what is gathered into one batch, and of what waits in all.
const (
	localGroup    = 2 * time.Millisecond
	localEvents   = 4 << 10
	localEnough   = 256 // events that are worth an fsync of their own
	localRaw      = 4 << 20
	localWaiting  = 32 << 10
	localPatience = 4 * time.Second
)

// Local is the aggregator as an edge of its own: events that its endpoints
// collect go by the ordinary way, with epoch, sequence, mark and books, into
// the spool, which is their write-ahead log.
type Local struct {
	r       *Receiver
	version string

	mu      sync.Mutex
	open    *localBatch
	waiting int // events that are not recorded yet

	recording sync.Mutex // held while a batch is numbered and recorded
	epoch     shared.Epoch
	first     uint64 // sequence of the epoch
	next      uint64
	frame     []byte
}

// localBatch is a batch that is being filled, or that waits to be recorded.
type localBatch struct {
	raw   []byte
	count int
	base  int64 // µs since 1970
	done  chan struct{}
	err   error // set before done is closed
}

// Local makes the way in for what this process collects. version is the
// software's.
func (r *Receiver) Local(version string) *Local { return &Local{r: r, version: version} }

// AddWait returns once the events are in the spool and durable. Events of calls
// within 2 ms share a batch, and an fsync. What could not be recorded is not
// counted: the caller has been told.
func (l *Local) AddWait(ctx context.Context, events []shared.Event) error {
	if len(events) == 0 {
		return nil
	}
	l.mu.Lock()
	if l.waiting+len(events) > localWaiting {
		l.mu.Unlock()
		return busy("too many events wait for the spool", nil)
	}
	l.waiting += len(events)
	b := l.open
	leads := b == nil || b.count+len(events) > localEvents || len(b.raw) > localRaw
	if leads {
		b = &localBatch{base: time.Now().UnixMicro(), done: make(chan struct{})}
		l.open = b
	}
	for i := range events {
		b.raw = shared.AppendEvent(b.raw, &events[i], b.base)
	}
	b.count += len(events)
	l.mu.Unlock()
	if leads { // the first of a batch records it for the others
		if len(events) < localEnough {
			time.Sleep(localGroup)
		}
		l.record(ctx, b)
		return b.err
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errNotRecorded = errors.New("the events were not recorded")

// record closes a batch, numbers it, and takes it in like one of any edge. The
// patience of the caller that leads does not decide for the others.
func (l *Local) record(ctx context.Context, b *localBatch) {
	l.recording.Lock()
	defer l.recording.Unlock()
	l.mu.Lock()
	if l.open == b {
		l.open = nil
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.waiting -= b.count
		l.mu.Unlock()
		close(b.done)
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), localPatience)
	defer cancel()
	b.err = errNotRecorded // what the others are told should this one panic
	b.err = l.take(ctx, b)
}

func (l *Local) take(ctx context.Context, b *localBatch) error {
	e, err := l.r.lockEdge(ctx, LocalEdge, &Permission{})
	if err != nil {
		return err
	}
	defer e.releaseLock()
	if l.epoch == 0 {
		l.begin()
	}
	e.info.Name, e.info.Version = localName, shared.Cut(l.version, shared.MaxShort)
	h := shared.Header{
		Edge: LocalEdge, Epoch: l.epoch, EpochFirst: l.first, FirstSeq: l.next, Count: uint64(b.count), BaseTime: b.base,
		Counters: l.counters(uint64(b.count)),
	}
	l.frame = batch.Seal(l.frame[:0], &h, b.raw)
	f, _, err := batch.Next(l.frame)
	if err != nil {
		return fmt.Errorf("seal events: %w", err)
	}
	t := l.r.newTaking(e, &f.Header, sender{clock: clock{receivedAt: time.Now().UnixMicro()}}, nil)
	defer t.abandon()
	if err = t.frames(ctx, []batch.Frame{f}); err == nil {
		err = t.flush(ctx)
	}
	l.next += h.Count
	if err != nil {
		// The record may be on the disk all the same, and come back with the
		// next start. Its sequences are not used again, nor are those behind
		// them in its epoch, where the mark would miss it.
		l.begin()
		return err
	}
	if cap(l.frame) > localRaw {
		l.frame = nil
	}
	return nil
}

// begin draws a new epoch, which goes on behind everything that is known.
func (l *Local) begin() {
	l.epoch = shared.NewEpoch()
	l.next = max(l.next, l.r.marks.highest(LocalEdge), 1)
	l.first = l.next
}

// counters are the books with n events more. Nothing is ever under way between
// two batches, so they follow from the marks.
func (l *Local) counters(n uint64) shared.Counters {
	var h EdgeHealth
	h.ID = LocalEdge
	l.r.marks.sum(&h)
	return shared.Counters{
		Captured: h.Accepted + h.Rejected + h.Lost + n, Queued: n, Stored: h.Accepted, Rejected: h.Rejected, Lost: h.Lost,
	}
}
