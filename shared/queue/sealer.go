package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/failpoint"
)

const (
	// sealSize is the encoded size at which a batch is sealed before its time.
	sealSize = 128 << 10
	// waitGroup is the least time between two batches of POSTs that wait: one
	// that comes alone is written at once, many are gathered.
	waitGroup = time.Millisecond
	// maxPending bounds the batches that wait for the disk, and with them the
	// memory: Add blocks beyond it, which lets the ring overflow, counted.
	maxPending = 32
)

// openBatch is a batch that is being filled, or that waits to be written.
type openBatch struct {
	raw   []byte
	count uint64
	base  int64     // µs since 1970
	due   time.Time // when it is sealed
	done  chan struct{}
	err   error // of a batch that is waited for; set before done is closed
	// before is AddWhole's; nil = nobody wants to know.
	before func(first uint64, sum [batch.SumSize]byte) error
}

// sealer gathers events into batches and writes them, one at a time.
type sealer struct {
	mu      sync.Mutex
	room    sync.Cond  // on mu: pending has become shorter
	open    *openBatch // of Add
	waited  *openBatch // of AddWait
	last    time.Time  // when a batch of AddWait was taken
	pending []*openBatch
	busy    bool     // a batch is being written
	closed  bool     // nothing is taken any more
	stopped bool     // nothing is written any more
	free    [][]byte // buffers of batches that are written
	kick    chan struct{}

	writeMu sync.Mutex // held while a batch is numbered and written
	frame   []byte
}

func (s *sealer) init(*Queue) {
	s.room.L = &s.mu
	s.kick = make(chan struct{}, 1)
}

// close takes nothing more; what was taken is still to be flushed.
func (s *sealer) close() {
	s.mu.Lock()
	s.closed = true
	s.room.Broadcast()
	s.mu.Unlock()
}

// abandon gives up what has not been written and returns how many captured
// events that were.
func (s *sealer) abandon() (events uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for _, b := range append(s.pending, s.open, s.waited) {
		switch {
		case b == nil:
		case b.done != nil:
			b.err = ErrClosed
			close(b.done)
		default:
			events += b.count
		}
	}
	s.pending, s.open, s.waited = nil, nil, nil
	s.room.Broadcast()
	return events
}

func (s *sealer) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// refusal says why nobody who waits is taken for now, nil where they are. s.mu
// is held.
func (s *sealer) refusal() error {
	switch {
	case s.closed:
		return ErrClosed
	case len(s.pending) >= maxPending:
		return ErrBusy
	}
	return nil
}

// fresh returns an empty batch that is due at that time. s.mu is held.
func (s *sealer) fresh(due time.Time) *openBatch {
	b := &openBatch{base: time.Now().UnixMicro(), due: due}
	if n := len(s.free); n > 0 {
		b.raw, s.free = s.free[n-1][:0], s.free[:n-1]
	} else {
		b.raw = make([]byte, 0, sealSize+sealSize/8)
	}
	return b
}

// Add encodes e, which was captured before, into the open batch; e may be used
// again at once. It waits only when the disk is far behind. An event that
// can't be kept is counted as dropped.
func (q *Queue) Add(e *shared.Event) {
	s := &q.batches
	s.mu.Lock()
	for len(s.pending) >= maxPending && !s.closed {
		s.room.Wait()
	}
	if s.closed {
		s.mu.Unlock()
		q.Discard(1, shared.DropError)
		return
	}
	if s.open == nil {
		s.open = s.fresh(time.Now().Add(q.cfg.SealAge))
		s.wake()
	}
	b := s.open
	b.raw = shared.AppendEvent(b.raw, e, b.base)
	b.count++
	if len(b.raw) >= sealSize {
		s.pending = append(s.pending, b)
		s.open = nil
		s.wake()
	}
	s.mu.Unlock()
}

// AddWait captures events and returns once they are written (and durable with
// SyncAlways). Events of calls within 1 ms share a batch. What could not be
// written is not counted: the caller has been told. Where ctx ends first they
// may be written all the same, and where it returns [ErrUnsynced] they are, those
// of several batches at least in part; they are counted then.
func (q *Queue) AddWait(ctx context.Context, events []shared.Event) error {
	s := &q.batches
	var parts []*openBatch
	s.mu.Lock()
	if err := s.refusal(); err != nil {
		s.mu.Unlock()
		return err
	}
	for i := range events {
		if s.waited == nil {
			s.waited = s.fresh(s.last.Add(waitGroup))
			s.waited.done = make(chan struct{})
		}
		b := s.waited
		if len(parts) == 0 || parts[len(parts)-1] != b {
			parts = append(parts, b)
		}
		b.raw = shared.AppendEvent(b.raw, &events[i], b.base)
		b.count++
		if len(b.raw) >= sealSize {
			s.pending = append(s.pending, b)
			s.waited = nil
		}
	}
	s.wake()
	s.mu.Unlock()
	var err error
	for _, b := range parts {
		select {
		case <-b.done:
			err = errors.Join(err, b.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// AddWhole is AddWait for events that are written together or not at all, in a
// batch of their own. before is called with the sequence that the first of them
// is about to get and the batch's checksum, while nothing else can be written;
// where it fails nothing is written, and AddWhole returns its error. Whoever
// has kept both can ask [Queue.Holds] later, in another process too, whether the
// batch is there. AddWhole does not end early.
func (q *Queue) AddWhole(events []shared.Event, before func(first uint64, sum [batch.SumSize]byte) error) error {
	s := &q.batches
	s.mu.Lock()
	if err := s.refusal(); err != nil {
		s.mu.Unlock()
		return err
	}
	b := s.fresh(time.Now())
	b.done, b.before = make(chan struct{}), before
	for i := range events {
		b.raw = shared.AppendEvent(b.raw, &events[i], b.base)
		b.count++
	}
	s.pending = append(s.pending, b)
	s.wake()
	s.mu.Unlock()
	<-b.done
	return b.err
}

// Flush writes what is open and returns when that is done.
func (q *Queue) Flush(ctx context.Context) error {
	s := &q.batches
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, b := range []*openBatch{s.open, s.waited} {
			if b != nil {
				s.pending = append(s.pending, b)
			}
		}
		s.open, s.waited = nil, nil
		s.wake()
		for (len(s.pending) > 0 || s.busy) && !s.stopped {
			s.room.Wait()
		}
	}()
	select {
	case <-flushed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take returns the next batch that is due; where none is, it returns how long
// until one is.
func (s *sealer) take() (*openBatch, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	wait := time.Hour
	for _, at := range []**openBatch{&s.waited, &s.open} {
		b := *at
		if b == nil {
			continue
		}
		if left := b.due.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		if b == s.waited {
			s.last = now
		}
		s.pending = append(s.pending, b)
		*at = nil
	}
	if len(s.pending) == 0 {
		return nil, wait
	}
	b := s.pending[0]
	s.pending = append(s.pending[:0], s.pending[1:]...)
	s.busy = true
	s.room.Broadcast()
	return b, 0
}

func (s *sealer) wrote(b *openBatch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	if len(s.free) < 3 && cap(b.raw) <= 2*sealSize {
		s.free = append(s.free, b.raw)
	}
	b.raw = nil
	if b.done != nil {
		close(b.done)
	}
	s.room.Broadcast()
}

// seal is the goroutine that writes batches as they fall due.
func (q *Queue) seal() {
	defer q.finished.Done()
	s := &q.batches
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b, wait := s.take()
		if b != nil {
			q.write(b)
			s.wrote(b)
			continue
		}
		timer.Reset(wait)
		select {
		case <-s.kick:
		case <-timer.C:
		case <-q.stop:
			return
		}
	}
}

// write numbers, seals and appends one batch, and accounts for it.
func (q *Queue) write(b *openBatch) {
	err := q.append(b)
	if err == nil && q.cfg.Sync < 0 {
		q.sync()
		if q.l.Synced() < q.l.Next() {
			err = ErrUnsynced
		}
	}
	if b.done != nil {
		b.err = err
		return
	}
	if err == nil || errors.Is(err, ErrUnsynced) {
		return
	}
	reason := shared.DropError
	switch {
	case errors.Is(err, ErrFull):
		reason = shared.DropCap
	case errors.Is(err, ErrNoSpace):
		reason = shared.DropDisk
	case !errors.Is(err, ErrClosed):
		q.log.Error("a batch can't be written and is dropped", zap.Uint64("events", b.count), zap.Error(err))
	}
	q.Discard(b.count, reason)
}

func (q *Queue) append(b *openBatch) error {
	s := &q.batches
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if b.done != nil {
		q.Capture(b.count)
	}
	e := q.current()
	h := shared.Header{
		Edge: e.edge, Epoch: e.epoch, EpochFirst: e.first, FirstSeq: q.l.Next(), Count: b.count,
		BaseTime: b.base, Counters: q.Counters(),
	}
	s.frame = batch.Seal(s.frame[:0], &h, b.raw)
	var err error
	if b.before != nil {
		err = b.before(h.FirstSeq, [batch.SumSize]byte(s.frame[len(s.frame)-batch.SumSize:]))
	}
	if err == nil {
		err = q.appendFrame(b.count, s.frame)
	}
	if err != nil && b.done != nil {
		q.books.captured.Add(^(b.count - 1)) // never happened
	}
	if err == nil && failpoint.Enabled {
		failpoint.Witness(func() string { return witness(&h, b.raw) })
	}
	if cap(s.frame) > 4*sealSize {
		s.frame = nil
	}
	return err
}

// appendFrame appends one frame, making room by the policy.
func (q *Queue) appendFrame(count uint64, frame []byte) error {
	for {
		_, err := q.l.Append(count, frame)
		if !errors.Is(err, ErrFull) || q.cfg.Drop != DropOldest {
			return err
		}
		if n, dropErr := q.l.DropOldest(); dropErr != nil || n == 0 {
			return errors.Join(err, dropErr)
		}
	}
}
