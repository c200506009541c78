package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/handover"
	"github.com/eider-analytics/eider/shared/queue"
)

// These tests are of a collector whose disk fails: a real queue that makes every
// batch durable, and proxies that hand over to it and send again what was not
// acknowledged.

func init() {
	queue.Roles["collector on a failing disk"] = dieUnsynced
}

// collector is a queue with a hand-over server before it.
type collector struct {
	queue  *queue.Queue
	server *handover.Server
	broken atomic.Bool // no fsync of records succeeds
}

func openCollector(dir string) (*collector, error) {
	c := &collector{}
	cfg := queue.Config{Dir: filepath.Join(dir, "queue"), ReserveFree: queue.MinReserve, UnsafeFS: true, Sync: queue.SyncAlways}
	cfg = queue.WithFsync(cfg, func(f *os.File) error {
		if c.broken.Load() {
			return &os.PathError{Op: "sync", Path: f.Name(), Err: syscall.EIO}
		}
		return f.Sync()
	})
	var err error
	// A process that another test is just starting has all files open, the closed
	// queue's lock too, until it executes its program.
	for tries := 0; tries == 0 || errors.Is(err, queue.ErrLocked) && tries < 1000; tries++ {
		if tries > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		c.queue, err = queue.Open(cfg)
	}
	if err != nil {
		return nil, err
	}
	c.server, err = handover.NewServer(handover.Config{Log: c.queue, Marks: filepath.Join(dir, "marks")})
	return c, err
}

func (c *collector) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errors.Join(c.queue.Close(ctx), c.server.Close()); err != nil {
		t.Error(err)
	}
}

// handed is a batch of one proxy's: the path of an event says which one it is.
func handed(proxy shared.Epoch, first, last uint64) []byte {
	now := time.Now().UnixMicro()
	var raw []byte
	for seq := first; seq <= last; seq++ {
		raw = shared.AppendEvent(raw, &shared.Event{
			Site: "example.com", Kind: shared.KindPageview, Origin: shared.OriginEdge, Time: now, Pathname: fmt.Sprintf("/%d/%d", proxy, seq),
		}, now)
	}
	h := shared.Header{Edge: shared.EdgeID{1}, Epoch: proxy, EpochFirst: 1, FirstSeq: first, Count: last - first + 1, BaseTime: now}
	return batch.Seal(nil, &h, raw)
}

func (c *collector) send(body []byte) int {
	w := httptest.NewRecorder()
	c.server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, shared.PathBatches, bytes.NewReader(body)))
	return w.Code
}

// insist sends body until it is acknowledged.
func (c *collector) insist(t *testing.T, body []byte) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for status := c.send(body); status != http.StatusOK; status = c.send(body) {
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			t.Fatalf("answered %d", status)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// counts reads the queue, and compares its books with what is there.
func (c *collector) counts(t *testing.T) map[string]int {
	t.Helper()
	found := map[string]int{}
	rows := uint64(0)
	for pos := uint64(1); pos < c.queue.NextSeq(); {
		f, err := c.queue.Read(t.Context(), pos)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Events(func(_ uint64, e *shared.Event, err error) {
			if err != nil {
				t.Error(err)
			}
			rows++
			found[e.Pathname]++
		}); err != nil {
			t.Fatal(err)
		}
		pos = f.Header.LastSeq() + 1
	}
	if books := c.queue.Counters(); books.Unbalanced() != 0 || books.Captured-books.Lost != rows {
		t.Errorf("%d events, books %+v", rows, books)
	}
	return found
}

// once fails where an event of these runs is not there exactly once, or another
// one is there.
func (c *collector) once(t *testing.T, proxies map[shared.Epoch]uint64) {
	t.Helper()
	found := c.counts(t)
	for proxy, last := range proxies {
		for seq := uint64(1); seq <= last; seq++ {
			key := fmt.Sprintf("/%d/%d", proxy, seq)
			if found[key] != 1 {
				t.Errorf("event %s is in the queue %d times", key, found[key])
			}
			delete(found, key)
		}
	}
	if len(found) != 0 {
		t.Errorf("events that nobody sent: %v", found)
	}
}

// againAs are the ways in which a proxy sends 3 to 5 again, which were written
// without a sync: as they were, and in other pieces.
var againAs = map[string][][]byte{
	"as it was":        {handed(1, 3, 5)},
	"in pieces":        {handed(1, 3, 3), handed(1, 4, 5)},
	"with more":        {handed(1, 3, 8)},
	"with less, first": {handed(1, 2, 4), handed(1, 5, 6)},
}

var lastAs = map[string]uint64{"as it was": 5, "in pieces": 5, "with more": 8, "with less, first": 6}

// TestAHandedOverBatchWhoseSyncFailsCountsOnce while the process goes on, and is
// not acknowledged before it is durable.
func TestAHandedOverBatchWhoseSyncFailsCountsOnce(t *testing.T) {
	for name, again := range againAs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := openCollector(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer c.close(t)
			c.insist(t, handed(1, 1, 2))
			c.insist(t, handed(2, 1, 3))
			c.broken.Store(true)
			if status := c.send(handed(1, 3, 5)); status != http.StatusServiceUnavailable {
				t.Fatalf("what is not durable is answered with %d", status)
			}
			written := c.queue.NextSeq()
			for _, body := range again {
				if status := c.send(body); status != http.StatusServiceUnavailable {
					t.Errorf("sent again at once it is answered with %d", status)
				}
			}
			if next := c.queue.NextSeq(); next != written {
				t.Errorf("sent again at once it is written again: %d events more", next-written)
			}
			// Another proxy's goes into another segment, and fails as well.
			if status := c.send(handed(2, 4, 4)); status != http.StatusServiceUnavailable {
				t.Errorf("the other proxy's is answered with %d", status)
			}
			c.broken.Store(false)
			c.insist(t, slices.Concat(again...))
			c.insist(t, handed(2, 4, 4))
			c.insist(t, handed(1, lastAs[name]+1, 10))
			c.once(t, map[shared.Epoch]uint64{1: 10, 2: 4})
		})
	}
}

// TestABatchThatADiskHasLostIsTakenAgain: it was not acknowledged, and the proxy
// still has it.
func TestABatchThatADiskHasLostIsTakenAgain(t *testing.T) {
	dir := t.TempDir()
	c, err := openCollector(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close(t)
	c.insist(t, handed(1, 1, 2))
	c.broken.Store(true)
	if status := c.send(handed(1, 3, 5)); status != http.StatusServiceUnavailable {
		t.Fatalf("what is not durable is answered with %d", status)
	}
	zero(t, filepath.Join(dir, "queue", "segments", "0000000001", "00001.mem"), 2)
	c.broken.Store(false)
	c.insist(t, handed(1, 3, 5))
	c.insist(t, handed(1, 6, 10))
	c.once(t, map[shared.Epoch]uint64{1: 10})
	if lost := c.queue.Counters().Lost; lost != 3 {
		t.Errorf("%d events count as lost", lost)
	}
}

// dieUnsynced is a collector that is killed after syncs have failed: that of a
// batch in the first segment, and that of another one in the second.
func dieUnsynced(dir string) error {
	*queue.RetryPause = time.Millisecond // a segment is not opened while the one before can't be sealed
	c, err := openCollector(dir)
	if err != nil {
		return err
	}
	for _, b := range [][]byte{handed(1, 1, 2), handed(2, 1, 3)} {
		if status := c.send(b); status != http.StatusOK {
			return fmt.Errorf("answered %d", status)
		}
	}
	c.broken.Store(true)
	for _, b := range [][]byte{handed(1, 3, 5), handed(2, 4, 4)} {
		for before := c.queue.NextSeq(); c.queue.NextSeq() == before; {
			if status := c.send(b); status != http.StatusServiceUnavailable {
				return fmt.Errorf("answered %d", status)
			}
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	fmt.Println("dying")
	return errors.Join(self.Kill(), errors.New("not killed"))
}

// TestKilledAfterAFailedSync: the next process finds out what has become of the
// batch, whether its disk kept it or not.
func TestKilledAfterAFailedSync(t *testing.T) {
	for name, again := range againAs {
		for disk, forget := range map[string]func(logs []string){
			"kept it":                     func([]string) {},
			"lost it":                     func(logs []string) { zero(t, logs[0], 3) },
			"lost it and what came after": func(logs []string) { zero(t, logs[0], 3); zero(t, logs[1], 1) },
		} {
			t.Run(name+", the disk "+disk, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				out, _ := queue.As(t, "collector on a failing disk", dir).Output()
				if string(out) != "dying\n" {
					t.Fatalf("the process said %q", out)
				}
				logs, err := filepath.Glob(filepath.Join(dir, "queue", "segments", "*", "00001.mem"))
				if err != nil || len(logs) != 2 {
					t.Fatalf("segments %v, %v", logs, err)
				}
				forget(logs)
				c, err := openCollector(dir)
				if err != nil {
					t.Fatal(err)
				}
				c.insist(t, handed(3, 1, 4)) // others come first, and take sequences
				c.close(t)
				if c, err = openCollector(dir); err != nil {
					t.Fatal(err)
				}
				defer c.close(t)
				c.insist(t, slices.Concat(again...))
				c.insist(t, handed(2, 4, 4))
				c.insist(t, handed(1, lastAs[name]+1, 10))
				c.once(t, map[shared.Epoch]uint64{1: 10, 2: 4, 3: 4})
			})
		}
	}
}

// zero makes a segment's log what it is on a disk that has not taken the n-th
// record and what is behind it.
func zero(t *testing.T, log string, n int) {
	t.Helper()
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for range n {
		i := bytes.Index(b[at:], []byte("EWR\x01"))
		if i < 0 {
			t.Fatalf("fewer than %d records in %s", n, log)
		}
		at += i + 4
	}
	clear(b[at-4:])
	f, err := os.OpenFile(log, os.O_WRONLY, 0) // not made anew: it may be mapped
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b[at-4:], int64(at-4))
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
