package handover

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// ErrFull means that the collector has been away for longer than the buffer
// lasts. ErrClosed, that the buffer takes nothing more.
var (
	ErrFull   = errors.New("hand-over buffer is full")
	ErrClosed = errors.New("hand-over buffer is closed")
)

// The bounds of a buffer.
const (
	// DefaultSize is how many bytes of sealed batches wait at most, some
	// hundred thousand events: what a collector's restart takes.
	DefaultSize = 16 << 20
	sealSize    = 128 << 10
	// waitGroup is how long messages whose sender waits are gathered.
	waitGroup = 2 * time.Millisecond
)

// Buffer is a queue in memory: what a proxy has instead of one on disk when a
// collector beside it owns that. It implements ship.Source. All methods are
// safe for concurrent use.
type Buffer struct {
	edge    shared.EdgeID
	epoch   shared.Epoch
	sealAge time.Duration
	limit   int

	mu      sync.Mutex
	open    []byte // encoded events
	count   uint64 // in open
	base    int64  // of open
	timer   *time.Timer
	due     time.Time
	frames  []batch.Frame
	size    int // bytes of frames
	next    uint64
	acked   uint64
	books   shared.Counters // Queued is derived
	closed  bool
	changed chan struct{} // closed and made anew when frames or acked move
}

// NewBuffer makes a buffer that holds at most limit bytes of sealed batches
// (0 = DefaultSize) and lets events gather for sealAge.
func NewBuffer(limit int, sealAge time.Duration) *Buffer {
	if limit <= 0 {
		limit = DefaultSize
	}
	b := &Buffer{
		edge: shared.NewEdgeID(), epoch: shared.NewEpoch(), sealAge: sealAge, limit: limit,
		next: 1, changed: make(chan struct{}),
	}
	b.timer = time.AfterFunc(time.Hour, b.sealDue)
	return b
}

// Capture counts n events that the proxy sets out to record.
func (b *Buffer) Capture(n uint64) {
	b.mu.Lock()
	b.books.Captured += n
	b.mu.Unlock()
}

// Discard counts n captured events as dropped.
func (b *Buffer) Discard(n uint64, r shared.DropReason) {
	b.mu.Lock()
	b.discard(n, r)
	b.mu.Unlock()
}

func (b *Buffer) discard(n uint64, r shared.DropReason) {
	if n == 0 {
		return
	}
	if r >= shared.NumDropReasons {
		r = shared.DropError
	}
	d, now := &b.books.Dropped[r], time.Now().UnixMicro()
	if d.From == 0 {
		d.From = now
	}
	d.Count, d.To = d.Count+n, now
}

// Counters returns the books as of one moment: they balance.
func (b *Buffer) Counters() shared.Counters {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.snapshot()
}

func (b *Buffer) snapshot() shared.Counters {
	c := b.books
	gone := c.Stored + c.Rejected + c.Lost + c.DroppedTotal()
	c.Captured = max(c.Captured, gone)
	c.Queued = c.Captured - gone
	return c
}

// Add encodes e, which was captured before; e may be used again at once. It
// never waits: what has no room is counted as dropped.
func (b *Buffer) Add(e *shared.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		b.discard(1, shared.DropError)
	case b.full():
		b.discard(1, shared.DropCap)
	default:
		b.add(e, b.sealAge)
	}
}

// AddWait captures events and returns once the collector has written them.
// Events that were not taken are not counted. Where ctx ends first they may be
// written all the same, and are counted then.
func (b *Buffer) AddWait(ctx context.Context, events []shared.Event) error {
	b.mu.Lock()
	if b.closed || b.full() {
		err := ErrFull
		if b.closed {
			err = ErrClosed
		}
		b.mu.Unlock()
		return err
	}
	b.books.Captured += uint64(len(events))
	for i := range events {
		b.add(&events[i], waitGroup)
	}
	through := b.next + b.count - 1
	b.mu.Unlock()
	for {
		b.mu.Lock()
		done, changed, closed := b.acked >= through, b.changed, b.closed
		b.mu.Unlock()
		switch {
		case done:
			return nil
		case closed:
			return ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *Buffer) full() bool { return b.size+len(b.open) >= b.limit }

// add appends e to the open batch, which is sealed within after. b.mu is held.
func (b *Buffer) add(e *shared.Event, after time.Duration) {
	now := time.Now()
	if b.count == 0 {
		b.base, b.due = now.UnixMicro(), now.Add(time.Hour)
	}
	b.open = shared.AppendEvent(b.open, e, b.base)
	b.count++
	if len(b.open) >= sealSize || b.count >= shared.MaxBatchEvents {
		b.seal()
		return
	}
	if due := now.Add(after); due.Before(b.due) {
		b.due = due
		b.timer.Reset(after)
	}
}

func (b *Buffer) sealDue() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seal()
}

// seal makes a frame of the open batch. b.mu is held.
func (b *Buffer) seal() {
	if b.count == 0 {
		return
	}
	h := shared.Header{
		Edge: b.edge, Epoch: b.epoch, EpochFirst: 1, FirstSeq: b.next, Count: b.count, BaseTime: b.base, Counters: b.snapshot(),
	}
	f, _, err := batch.Next(batch.Seal(nil, &h, b.open))
	b.next += b.count
	if err != nil { // events beyond the limits of a batch, which add prevents
		panic(err)
	}
	b.open, b.count = b.open[:0], 0
	b.frames = append(b.frames, f)
	b.size += len(f.Bytes)
	b.signal()
}

// signal wakes whoever waits for a frame or an acknowledgement. b.mu is held.
func (b *Buffer) signal() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Flush seals what is open.
func (b *Buffer) Flush(context.Context) error {
	b.sealDue()
	return nil
}

// Close takes nothing more. What is not acknowledged is lost with the process,
// and counted as dropped.
func (b *Buffer) Close(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	b.timer.Stop()
	c := b.snapshot()
	b.discard(c.Queued, shared.DropError)
	b.frames, b.size, b.open, b.count = nil, 0, nil, 0
	b.signal()
	return nil
}

// The rest is ship.Source.

// Edge is drawn with the buffer.
func (b *Buffer) Edge() shared.EdgeID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.edge
}

// Epoch is drawn with the buffer.
func (b *Buffer) Epoch() shared.Epoch { return b.epoch }

// Boot is the epoch: a buffer lives as long as its process.
func (b *Buffer) Boot() shared.Epoch { return b.epoch }

// NextSeq is the sequence that the next sealed event gets.
func (b *Buffer) NextSeq() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

// Acked is the highest acknowledged sequence.
func (b *Buffer) Acked() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.acked
}

// Kept is what is not acknowledged yet.
func (b *Buffer) Kept() []shared.EpochSpan {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.acked+1 >= b.next {
		return nil
	}
	return []shared.EpochSpan{{Epoch: b.epoch, Range: shared.Range{First: b.acked + 1, Last: b.next - 1}}}
}

// Read waits for the frame that covers pos.
func (b *Buffer) Read(ctx context.Context, pos uint64) (batch.Frame, error) {
	for {
		b.mu.Lock()
		i, ok := slices.BinarySearchFunc(b.frames, pos, func(f batch.Frame, pos uint64) int {
			switch {
			case f.Header.LastSeq() < pos:
				return -1
			case f.Header.FirstSeq > pos:
				return 1
			}
			return 0
		})
		if ok {
			f := b.frames[i]
			b.mu.Unlock()
			return f, nil
		}
		changed, closed, gone := b.changed, b.closed, len(b.frames) > 0 && pos < b.frames[0].Header.FirstSeq
		b.mu.Unlock()
		if closed || gone {
			return batch.Frame{}, ErrClosed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return batch.Frame{}, ctx.Err()
		}
	}
}

// Ack says that everything up to through is the collector's.
func (b *Buffer) Ack(through, rejected, lost uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	through = min(through, b.next-1)
	if through <= b.acked {
		return nil
	}
	n := through - b.acked
	rejected = min(rejected, n)
	lost = min(lost, n-rejected)
	b.books.Rejected += rejected
	b.books.Lost += lost
	b.books.Stored += n - rejected - lost
	b.acked = through
	kept := 0
	for kept < len(b.frames) && b.frames[kept].Header.LastSeq() <= through {
		b.size -= len(b.frames[kept].Bytes)
		kept++
	}
	b.frames = slices.Clone(b.frames[kept:]) // let go of what was sent
	b.signal()
	return nil
}

// NewIdentity can't help: the id was drawn by this very process.
func (b *Buffer) NewIdentity() error {
	return errors.New("another process hands over under this process's own random id")
}
