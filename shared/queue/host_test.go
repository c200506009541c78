//go:build linux

package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eider-analytics/eider/internal/volume"
)

func init() { roles["failing"] = failing }

// TestAFileSystemWithoutReservation uses ext2, which has no fallocate.
func TestAFileSystemWithoutReservation(t *testing.T) {
	dir := filepath.Join(volume.New(t, "ext2", 64<<20).Dir, "queue")
	_, err := Open(Config{Dir: dir, ReserveFree: MinReserve})
	if !errors.Is(err, ErrUnsafeFS) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "unsafe_fs") {
		t.Fatalf("got %v", err)
	}
	q := openQueue(t, dir, func(c *Config) { c.UnsafeFS = true })
	add(t, q, 1, 100)
	if got := drain(t, q, 1); len(got) != 100 {
		t.Fatalf("%d events", len(got))
	}
}

func TestUnsafeFileSystemsAreKnown(t *testing.T) {
	for magic, name := range map[int64]string{0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0x6969: "nfs"} {
		if unsafeFS[magic] != name {
			t.Errorf("%#x is %q, not %s", magic, unsafeFS[magic], name)
		}
	}
}

// TestAnUnreadableDirectory looks at it as another user does, in a thread of
// its own.
func TestAnUnreadableDirectory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir := filepath.Join(t.TempDir(), "queue")
	closeQueue(t, openQueue(t, dir))
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setfsuid(65534); err != nil {
			got <- err
			return
		}
		_, err := OpenLog(LogConfig{Dir: dir, Kind: queueKind})
		got <- err
	}()
	if err := <-got; !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "must own") {
		t.Fatalf("got %v", err)
	}
}

// TestNothingLeaks opens, fills over several segments, and closes.
func TestNothingLeaks(t *testing.T) {
	descriptors := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	mapped := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(maps), ".mem") + strings.Count(string(maps), ".vlog")
	}
	goroutines, fds, maps := runtime.NumGoroutine(), descriptors(), mapped() // other tests abandon queues
	dir := t.TempDir()
	for range 5 {
		q := openQueue(t, dir, func(c *Config) { c.segmentSize = minSegment })
		stuff(t, q, 1500)
		drain(t, q, q.l.Oldest())
		if err := q.Ack(q.NextSeq()-1, 0, 0); err != nil {
			t.Fatal(err)
		}
		closeQueue(t, q)
		closeQueue(t, openQueue(t, dir)) // at once, while the first segment is being opened
	}
	defer func() {
		t.Logf("goroutines %d -> %d, descriptors %d -> %d, mapped %d", goroutines, runtime.NumGoroutine(), fds, descriptors(), mapped())
	}()
	waitFor(t, func() bool { return runtime.NumGoroutine() <= goroutines && descriptors() <= fds && mapped() <= maps })
}

// TestAFailingVolume: a volume that fails under a running queue makes it count,
// not die; see also TestPowerLoss.
func TestAFailingVolume(t *testing.T) {
	if err := as(t, "failing", volume.New(t, "ext4", 64<<20).Dir).Run(); err != nil {
		t.Fatal(err)
	}
}

// failing adds a thousand events, shuts the volume down, and adds a thousand.
func failing(mnt string) error {
	q, err := Open(Config{Dir: filepath.Join(mnt, "queue"), ReserveFree: MinReserve, SealAge: time.Millisecond, Sync: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	for id := 1; id <= 2000; id++ {
		q.Capture(1)
		e := pageview(id)
		q.Add(&e)
		if id%100 == 0 {
			if err := q.Flush(context.Background()); err != nil {
				return err
			}
		}
		if id == 1000 {
			if err := errors.Join(q.l.Sync(), volume.Shutdown(mnt)); err != nil {
				return err
			}
		}
	}
	c := q.Counters()
	if c.Unbalanced() != 0 || c.DroppedTotal() != 1000 || c.Queued != 1000 || q.Stats().Degraded == "" {
		return fmt.Errorf("%+v, degraded %q", c, q.Stats().Degraded)
	}
	_ = q.Close(context.Background()) // it can't be closed in order, but it returns
	return nil
}
