//go:build linux

package queue

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/eider-analytics/eider/internal/volume"
	"github.com/eider-analytics/eider/shared"
)

func init() {
	roles["traffic"] = traffic
	roles["filler"] = filler
	roles["brim"] = brim
}

// filler fills its directory's volume to the last byte, as fast as it can,
// until its standard input ends; then it gives all back. At first it does so
// again and again, to meet as many steps as it can; then it takes whatever
// becomes free, so that even a slow process must find the volume full.
func filler(dir string) error {
	const fillRounds = 30
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	defer f.Close()
	stopped := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stopped)
	}()
	block := make([]byte, 1<<20)
	for round := 0; ; round++ {
		for size := len(block); size > 0; {
			if _, err := f.Write(block[:size]); err != nil {
				size /= 2
			}
		}
		select {
		case <-stopped:
			return nil
		case <-time.After(time.Duration(round%4) * 20 * time.Millisecond):
		}
		if round%2 == 1 && round < 2*fillRounds {
			if err := f.Truncate(0); err != nil {
				return err
			}
			_, _ = f.Seek(0, io.SeekStart)
		}
	}
}

// traffic is a proxy's process: it adds page views as fast as the queue takes
// them, acknowledges some, and on "freed" expects the queue to take events
// again. On "close" it closes the queue where the volume is; on "verify" it
// checks everything first. What it finds goes to standard output.
func traffic(dir string) error {
	q, err := Open(Config{Dir: filepath.Join(dir, "queue"), MaxSize: 24 << 20, ReserveFree: MinReserve, SealAge: time.Millisecond, Sync: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	fmt.Println("open")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var workers sync.WaitGroup
	var written sync.Map           // pathnames that AddWait said are written, and their least sequence
	var refused, full atomic.Int64 // waiting calls that were refused; for want of space
	workers.Add(3)
	go func() { // what comes through the ring
		defer workers.Done()
		for id := 0; ctx.Err() == nil; id++ {
			q.Capture(1)
			e := pageview(1_000_000 + id)
			e.Title = strings.Repeat(fmt.Sprint(id*7919), 40) // several MB/s
			q.Add(&e)
		}
	}()
	go func() { // POSTs that wait
		defer workers.Done()
		for id := 0; ctx.Err() == nil; id++ {
			e := pageview(id)
			e.Pathname = fmt.Sprintf("/waited/%d/%d", os.Getpid(), id) // the processes of a test share a queue
			least := q.NextSeq()
			if err := q.AddWait(context.Background(), []shared.Event{e}); err == nil {
				written.Store(e.Pathname, least)
			} else {
				refused.Add(1)
				if errors.Is(err, ErrNoSpace) {
					full.Add(1)
				}
			}
		}
	}()
	go func() { // a shipper that lags, so that segments come and go
		defer workers.Done()
		for ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
			if synced := q.l.Synced(); synced > q.Acked()+60_000 {
				written.Range(func(k, v any) bool {
					if v.(uint64) <= synced-40_000 {
						written.Delete(k)
					}
					return true
				})
				if err := q.Ack(synced-40_000, 0, 0); err != nil {
					fmt.Println("ack:", err)
				}
			}
		}
	}()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "dropping":
			for deadline := time.Now().Add(time.Minute); q.Counters().Dropped[shared.DropDisk].Count == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					return fmt.Errorf("nothing was dropped on a full volume: %+v", q.Stats())
				}
			}
			fmt.Println("dropping")
		case "freed":
			if err := resumes(q); err != nil {
				return err
			}
			fmt.Println("resumed")
		case "close":
			cancel()
			workers.Wait()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			err := q.Close(ctx)
			fmt.Println("closed", err == nil)
			return nil
		case "verify":
			cancel()
			workers.Wait()
			return verify(q, &written, refused.Load(), full.Load())
		}
	}
	return errors.New("told nothing more")
}

func resumes(q *Queue) error {
	e := pageview(5)
	e.Pathname = "/resumed"
	var err error
	for range 500 {
		if err = q.AddWait(context.Background(), []shared.Event{e}); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the queue did not resume: %w", err)
}

func verify(q *Queue, written *sync.Map, refused, full int64) error {
	if err := q.Flush(context.Background()); err != nil {
		return err
	}
	if err := q.l.Sync(); err != nil {
		return err
	}
	c := q.Counters()
	got := map[string]int{}
	for pos := q.Acked() + 1; pos < q.l.Synced(); {
		f, err := q.Read(context.Background(), pos)
		if err != nil {
			return err
		}
		if f.Header.Kind == shared.BatchLost {
			return fmt.Errorf("positions %d to %d are lost: %s", f.Header.FirstSeq, f.Header.LastSeq(), f.Header.LossReason)
		}
		err = f.Events(func(_ uint64, e *shared.Event, err error) {
			if err == nil && e.Seq >= pos {
				got[e.Pathname]++
			}
		})
		if err != nil {
			return err
		}
		pos = f.Header.LastSeq() + 1
	}
	n := 0
	var missing error
	acked := q.Acked()
	written.Range(func(k, v any) bool {
		if v.(uint64) <= acked {
			return true
		}
		n++
		if got[k.(string)] != 1 {
			missing = fmt.Errorf("%s was written and is there %d times", k, got[k.(string)])
		}
		return true
	})
	if missing != nil {
		return missing
	}
	fmt.Printf("verified waited=%d refused=%d full=%d captured=%d stored=%d queued=%d dropped_disk=%d dropped_cap=%d dropped_error=%d lost=%d unbalanced=%d\n",
		n, refused, full, c.Captured, c.Stored, c.Queued, c.Dropped[shared.DropDisk].Count, c.Dropped[shared.DropCap].Count,
		c.Dropped[shared.DropError].Count, c.Lost, c.Unbalanced())
	if c.Unbalanced() != 0 || c.Lost != 0 || c.Queued != c.Captured-c.Stored-c.DroppedTotal() {
		return fmt.Errorf("books: %+v", c)
	}
	if c.Dropped[shared.DropDisk].Count == 0 || c.Dropped[shared.DropError].Count != 0 {
		return fmt.Errorf("drops: %+v", c.Dropped)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return q.Close(ctx)
}

// TestFullVolume fills the volume at full speed from another process while a
// proxy's process appends and rotates: that process lives, counts what it
// drops, resumes when there is room, and everything it had said was written is
// there. Stopping and starting while it is full work as well.
func TestFullVolume(t *testing.T) {
	if testing.Short() && raceEnabled {
		t.Skip("filling a volume takes a minute under the race detector; without it, or without -short, this runs")
	}
	for name, mount := range map[string]func(t *testing.T) string{
		"tmpfs": func(t *testing.T) string { return volume.Tmpfs(t, 96<<20) },
		"ext4":  func(t *testing.T) string { return volume.New(t, "ext4", 128<<20).Dir },
	} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t)
			p := start(t, as(t, "traffic", dir))
			p.expect(t, "open")
			time.Sleep(300 * time.Millisecond)
			for range 2 {
				fill := start(t, as(t, "filler", dir))
				p.say(t, "dropping")
				p.expect(t, "dropping")
				time.Sleep(time.Second)
				_ = fill.in.Close()
				if err := fill.Wait(); err != nil {
					t.Fatalf("filler: %v", err)
				}
				p.say(t, "freed")
				p.expect(t, "resumed")
			}
			p.say(t, "verify")
			p.expect(t, "verified")
			if err := p.Wait(); err != nil {
				t.Fatal(err)
			}

			// Stopped and started while full.
			p = start(t, as(t, "traffic", dir))
			p.expect(t, "open")
			time.Sleep(200 * time.Millisecond)
			held := filepath.Join(dir, "held")
			volume.Fill(t, held)
			p.say(t, "dropping")
			p.expect(t, "dropping")
			p.say(t, "close")
			p.expect(t, "closed")
			if err := p.Wait(); err != nil {
				t.Fatal(err)
			}
			p = start(t, as(t, "traffic", dir))
			p.expect(t, "open")
			time.Sleep(200 * time.Millisecond)
			if err := os.Remove(held); err != nil {
				t.Fatal(err)
			}
			p.say(t, "freed")
			p.expect(t, "resumed")
			p.say(t, "verify")
			p.expect(t, "verified")
			if err := p.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// brim appends to a log that reserves nothing, so that every segment is opened
// and sealed in a race with the filler for the last bytes, and checks that
// whatever Append accepted can be read.
func brim(dir string) error {
	retryPause = time.Millisecond
	l, err := OpenLog(LogConfig{Dir: filepath.Join(dir, "log"), SegmentSize: minSegment})
	if err != nil {
		return err
	}
	fmt.Println("open")
	var stop atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop.Store(true)
	}()
	const keep = 200
	var refused, rotations int
	serial := uint64(0)
	data := make([]byte, 20_000)
	for n := uint64(1); ; n++ {
		binary.LittleEndian.PutUint64(data, l.Next())
		first, err := l.Append(1, data)
		switch {
		case errors.Is(err, ErrNoSpace):
			refused++
			time.Sleep(100 * time.Microsecond)
		case err != nil:
			return err
		case first%16 == 0:
			if err := l.Sync(); err != nil && !errors.Is(err, errSuspect) {
				return err
			}
		}
		if next := l.Next(); next > keep && n%50 == 0 {
			for pos := next - keep; pos < next; pos++ {
				rec, err := l.Read(pos)
				if err != nil || rec.First != pos || binary.LittleEndian.Uint64(rec.Data) != pos {
					return fmt.Errorf("position %d of %d: %w", pos, next, err)
				}
			}
			if err := l.Trim(next - keep); err != nil {
				return err
			}
			if stop.Load() && err == nil {
				break
			}
		}
		l.mu.Lock()
		if l.serial != serial {
			serial = l.serial
			rotations++
		}
		l.mu.Unlock()
	}
	fmt.Printf("wrote %d refused %d segments %d\n", l.Next()-1, refused, rotations)
	if refused == 0 || rotations < 10 {
		return errors.New("the volume was never full, or no segment was opened meanwhile: this shows nothing")
	}
	return l.Close()
}

// TestTheLastBytes: the same without any reserve, which is harder than what a
// queue can be configured to.
func TestTheLastBytes(t *testing.T) {
	for name, mount := range map[string]func(t *testing.T) string{
		"tmpfs": func(t *testing.T) string { return volume.Tmpfs(t, 24<<20) },
		"ext4":  func(t *testing.T) string { return volume.New(t, "ext4", 40<<20).Dir },
	} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t)
			p := start(t, as(t, "brim", dir))
			p.expect(t, "open")
			fill := start(t, as(t, "filler", dir))
			time.Sleep(4 * time.Second)
			_ = fill.in.Close()
			if err := fill.Wait(); err != nil {
				t.Fatalf("filler: %v", err)
			}
			_ = p.in.Close()
			p.expect(t, "wrote")
			if err := p.Wait(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestFaultsAreErrors: what the guard is for, at its smallest.
func TestFaultsAreErrors(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(4096); err != nil {
		t.Fatal(err)
	}
	page, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(page)
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	err = guard("touch", func() error {
		copy(page, "a page that is not there")
		return nil
	})
	if !errors.Is(err, errFault) || !errors.Is(spaceError(err), ErrNoSpace) {
		t.Fatalf("got %v", err)
	}
}
