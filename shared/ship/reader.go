package ship

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared/batch"
)

// aheadBytes bounds what is read from the queue before it is sent: one window
// on its way and the beginning of the next.
const aheadBytes = 6 << 20

// readAgain is how long the reader waits after the queue could not be read.
const readAgain = time.Second

// reader reads ahead of the requests, so that the disk works while the network
// does. What it has read stays until it is dropped: a window that failed is
// sent again from memory.
type reader struct {
	src Source

	mu     sync.Mutex
	frames []batch.Frame
	bytes  int
	err    error // why nothing more can be read just now

	ready chan struct{} // holds a token when peek may have something
	room  chan struct{} // holds a token when something was dropped

	cancel context.CancelFunc
	done   chan struct{}
}

func newReader(src Source) *reader {
	return &reader{src: src, ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// start begins to read at pos. The goroutine ends with stop.
func (r *reader) start(ctx context.Context, pos uint64) {
	ctx, r.cancel = context.WithCancel(ctx)
	r.done = make(chan struct{})
	r.mu.Lock()
	r.frames, r.bytes, r.err = nil, 0, nil
	r.mu.Unlock()
	go r.run(ctx, pos)
}

func (r *reader) stop() {
	r.cancel()
	<-r.done
}

// seek forgets what was read and goes on at pos.
func (r *reader) seek(ctx context.Context, pos uint64) {
	r.stop()
	r.start(ctx, pos)
}

func (r *reader) run(ctx context.Context, pos uint64) {
	defer close(r.done)
	for ctx.Err() == nil {
		if r.full() {
			select {
			case <-ctx.Done():
			case <-r.room:
			}
			continue
		}
		f, err := r.read(ctx, pos)
		if ctx.Err() != nil {
			return
		}
		r.note(f, err)
		if err == nil {
			pos = f.Header.LastSeq() + 1
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(readAgain):
		}
	}
}

// read is the queue's Read; a panic in it must not end the process that every
// site of the machine runs in.
func (r *reader) read(ctx context.Context, pos uint64) (f batch.Frame, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("read queue at %d: panic: %v", pos, v)
		}
	}()
	return r.src.Read(ctx, pos)
}

func (r *reader) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes >= aheadBytes
}

func (r *reader) note(f batch.Frame, err error) {
	r.mu.Lock()
	r.err = err
	if err == nil {
		r.frames = append(r.frames, f)
		r.bytes += len(f.Bytes)
	}
	r.mu.Unlock()
	r.nudge()
}

func (r *reader) nudge() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// peek returns the next window: frames of one edge and epoch, at least one if
// there is any. They stay until they are dropped.
func (r *reader) peek(w window) ([]batch.Frame, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.frames) == 0 {
		return nil, r.err
	}
	head := &r.frames[0].Header
	var bytes, n int
	var events uint64
	for n < len(r.frames) {
		f := &r.frames[n]
		bytes += len(f.Bytes)
		events += eventsIn(r.frames[n : n+1])
		if f.Header.Edge != head.Edge || f.Header.Epoch != head.Epoch ||
			(n > 0 && (bytes > w.bytes || n >= w.frames || events > windowEvents)) {
			break
		}
		n++
	}
	return r.frames[:n:n], nil
}

// drop forgets the frames that end at or before through.
func (r *reader) drop(through uint64) {
	r.mu.Lock()
	n := 0
	for n < len(r.frames) && r.frames[n].Header.LastSeq() <= through {
		r.bytes -= len(r.frames[n].Bytes)
		n++
	}
	// A new array now and then, so that what was sent can be collected.
	r.frames = append([]batch.Frame(nil), r.frames[n:]...)
	left := len(r.frames)
	r.mu.Unlock()
	select {
	case r.room <- struct{}{}:
	default:
	}
	if left > 0 {
		r.nudge()
	}
}

// replace puts f in the place of the first frame.
func (r *reader) replace(f batch.Frame) {
	r.mu.Lock()
	if len(r.frames) > 0 {
		r.bytes += len(f.Bytes) - len(r.frames[0].Bytes)
		r.frames = append([]batch.Frame{f}, r.frames[1:]...)
	}
	r.mu.Unlock()
	r.nudge()
}
