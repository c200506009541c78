package queue

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared/batch"
)

// whole adds a batch of n events and returns how it can be asked for.
func whole(q *Queue, n int) (first uint64, sum [batch.SumSize]byte, err error) {
	err = q.AddWhole(realistic(n), func(at uint64, s [batch.SumSize]byte) error {
		first, sum = at, s
		return nil
	})
	return first, sum, err
}

// TestWrittenAndNotDurable is not the same as not written: it is counted, it is
// there, and Holds says when it has become durable.
func TestWrittenAndNotDurable(t *testing.T) {
	var broken atomic.Bool
	q := openQueue(t, t.TempDir(), func(c *Config) {
		c.Sync = SyncAlways
		c.fsync = func(f *os.File) error {
			if broken.Load() {
				return syscall.EIO
			}
			return f.Sync()
		}
	})
	if _, _, err := whole(q, 3); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	first, sum, err := whole(q, 2)
	if !errors.Is(err, ErrUnsynced) || first != 4 {
		t.Fatalf("at %d: %v", first, err)
	}
	if held, err := q.Holds(first, sum); held || !errors.Is(err, ErrUnsynced) {
		t.Errorf("not durable: %v, %v", held, err)
	}
	if c := balanced(t, q); c.Captured != 5 {
		t.Errorf("books %+v", c)
	}
	// The next one may find no segment: it is told which it is.
	before := q.NextSeq()
	err = q.AddWait(t.Context(), realistic(1))
	if written := q.NextSeq() > before; err == nil || errors.Is(err, ErrUnsynced) != written {
		t.Errorf("written %v: %v", written, err)
	}
	broken.Store(false)
	waitFor(t, func() bool {
		held, err := q.Holds(first, sum)
		if err != nil && !errors.Is(err, ErrUnsynced) {
			t.Fatal(err)
		}
		return held
	})
	if _, _, err := whole(q, 1); err != nil {
		t.Error(err)
	}
	balanced(t, q)
}

// TestHolds asks for batches after the queue was opened again.
func TestHolds(t *testing.T) {
	dir := t.TempDir()
	q := openQueue(t, dir, small)
	refused := errors.New("no")
	var lied [batch.SumSize]byte
	if err := q.AddWhole(realistic(2), func(first uint64, sum [batch.SumSize]byte) error {
		lied = sum
		return refused
	}); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if c := balanced(t, q); c.Captured != 0 || q.NextSeq() != 1 {
		t.Errorf("a batch that was called off: books %+v, the next is %d", c, q.NextSeq())
	}
	first, sum, err := whole(q, 2)
	if err != nil || first != 1 {
		t.Fatal(first, err)
	}
	closeQueue(t, q)
	q = openQueue(t, dir, small, func(c *Config) { c.Sync = time.Hour })
	second, secondSum, err := whole(q, 2)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := q.Holds(second, secondSum); held || !errors.Is(err, ErrUnsynced) {
		t.Errorf("written and not yet synced: %v, %v", held, err)
	}
	if err := q.l.Sync(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		first uint64
		sum   [batch.SumSize]byte
		want  bool
	}{
		"there":             {first, sum, true},
		"there, too":        {second, secondSum, true},
		"in the middle":     {second + 1, secondSum, false},
		"called off":        {first, lied, false},
		"another's place":   {second, sum, false},
		"not yet given out": {q.NextSeq(), sum, false},
	} {
		if held, err := q.Holds(c.first, c.sum); held != c.want || err != nil {
			t.Errorf("%s: %v, %v", name, held, err)
		}
	}
	// Shipped and no longer kept.
	for q.l.Oldest() <= first {
		stuff(t, q, 500)
		if err := errors.Join(q.l.Sync(), q.Ack(q.NextSeq()-1, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if held, err := q.Holds(first, sum); !held || err != nil {
		t.Errorf("what was shipped: %v, %v", held, err)
	}
	closeQueue(t, q)
	if held, err := q.Holds(first, sum); held || !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v, %v", held, err)
	}
}
