//go:build linux

package queue

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/volume"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/failpoint"
)

func init() {
	roles["victim"] = victim
}

// victim adds events whose ids go on from EIDER_QUEUE_TEST_ROLE_ID, says which
// ones are written and up to which one they are durable, acknowledges and
// reads, and goes on until it is killed.
func victim(dir string) error {
	maxSize, _ := strconv.ParseInt(os.Getenv(roleEnv+"_MAX"), 10, 64)
	q, err := Open(Config{Dir: dir, MaxSize: maxSize, ReserveFree: MinReserve, Sync: 3 * time.Millisecond, segmentSize: minSegment})
	if err != nil {
		return err
	}
	id, err := strconv.Atoi(os.Getenv(roleEnv + "_ID"))
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(uint64(id), 1))
	for {
		events := make([]shared.Event, 1+r.IntN(5))
		for i := range events {
			events[i] = pageview(id + i)
			filler := make([]byte, 4000)
			for j := range filler {
				filler[j] = 'a' + byte(r.IntN(26))
			}
			events[i].Title = string(filler) // so that segments fill up
		}
		if err := q.AddWait(context.Background(), events); err != nil {
			return err
		}
		id += len(events)
		fmt.Println("written", id-1)
		switch r.IntN(10) {
		case 0:
			if err := q.l.Sync(); err != nil {
				return err
			}
			fmt.Println("synced", id-1)
		case 1:
			if err := q.Ack(q.Acked()+(q.l.Synced()-1-q.Acked())/2, 0, 0); err != nil {
				return err
			}
		}
	}
}

// runVictim starts the victim, lets kill end it once something is durable or
// after a while, and returns the highest ids that it had said were written and
// durable. kill is told how to ask for the latter.
func runVictim(t *testing.T, cmd *exec.Cmd, kill func(p *os.Process, synced func() int)) (written, synced int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	durable := make(chan struct{})
	var confirmed atomic.Int64
	go func() {
		select {
		case <-durable:
		case <-time.After(20 * time.Second):
		}
		kill(cmd.Process, func() int { return int(confirmed.Load()) })
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, n, _ := strings.Cut(lines.Text(), " ")
		id, err := strconv.Atoi(n)
		switch {
		case err != nil:
			t.Errorf("the victim says %q", lines.Text())
		case word == "written":
			written = id
		case word == "synced":
			if synced == 0 {
				close(durable)
			}
			synced = id
			confirmed.Store(int64(id))
		}
	}
	_ = cmd.Wait()
	return written, synced
}

// holds checks that the queue has ids 1 to need once each, nothing twice, and
// balanced books. It returns the highest id that it has.
func holds(t *testing.T, q *Queue, need int) (last int) {
	t.Helper()
	have := map[string]uint64{}
	for pos, path := range drain(t, q, 1) {
		if !strings.HasPrefix(path, "/") {
			continue // a marker, for what was never confirmed
		}
		if other, twice := have[path]; twice {
			t.Fatalf("%s is at %d and at %d", path, other, pos)
		}
		have[path] = pos
		id, err := strconv.Atoi(path[1:])
		if err != nil {
			t.Fatal(err)
		}
		last = max(last, id)
	}
	for id := 1; id <= need; id++ {
		if _, ok := have[fmt.Sprintf("/%d", id)]; !ok {
			t.Fatalf("/%d was confirmed and is not there (%d of %d are)", id, len(have), need)
		}
	}
	balanced(t, q)
	return last
}

func TestKilledAtRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	dir := t.TempDir()
	last := 0
	for round := range 8 {
		cmd := as(t, "victim", dir, fmt.Sprintf("%s_ID=%d", roleEnv, last+1))
		written, _ := runVictim(t, cmd, func(p *os.Process, _ func() int) {
			time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
			_ = p.Kill()
		})
		q := openQueue(t, dir, func(c *Config) { c.segmentSize = minSegment })
		if c := balanced(t, q); c.Lost != 0 || c.DroppedTotal() != 0 {
			t.Fatalf("round %d: %+v", round, c)
		}
		last = holds(t, q, max(written, last))
		closeQueue(t, q)
	}
	if last < 100 {
		t.Fatalf("only %d events were written", last)
	}
}

// TestKilledAtEachStep needs the failpoints: go test -tags failpoint.
func TestKilledAtEachStep(t *testing.T) {
	if !failpoint.Enabled {
		t.Skip("built without -tags failpoint")
	}
	for point, hits := range map[string][]int{
		"queue.append.begin": {1, 40}, "queue.append.written": {1, 40}, "queue.sync.before": {1, 5}, "queue.sync.after": {1, 5},
		"queue.rotate.before_open": {1, 2, 3}, "queue.rotate.opened": {1, 2, 3}, "queue.rotate.switched": {1, 2, 3},
		"queue.seal.copied": {1, 2}, "queue.seal.renamed": {1, 2}, "queue.seal.disposed": {1, 2},
		"queue.checkpoint.before": {1, 2, 9}, "queue.checkpoint.after": {1, 2, 9},
	} {
		for _, n := range hits {
			t.Run(fmt.Sprintf("%s@%d", point, n), func(t *testing.T) {
				dir := t.TempDir()
				last := 0
				for range 2 { // the second time on what the first has left
					witness := filepath.Join(t.TempDir(), "witness")
					cmd := as(t, "victim", dir, fmt.Sprintf("%s_ID=%d", roleEnv, last+1),
						fmt.Sprintf("EIDER_FAILPOINT=%s=kill@%d", point, n), "EIDER_WITNESS="+witness)
					written, _ := runVictim(t, cmd, func(p *os.Process, _ func() int) {
						time.Sleep(10 * time.Second) // it kills itself long before
						_ = p.Kill()
					})
					if sig := cmd.ProcessState.Sys().(syscall.WaitStatus); !sig.Signaled() {
						t.Fatalf("the step was not reached: %v", cmd.ProcessState)
					}
					q := openQueue(t, dir, func(c *Config) { c.segmentSize = minSegment })
					if c := balanced(t, q); c.Lost != 0 {
						t.Fatalf("%+v", c)
					}
					last = holds(t, q, max(written, last, witnessed(t, witness)))
					closeQueue(t, q)
				}
			})
		}
	}
}

// TestKilledWhileRemoving: with a small cap, acknowledged segments go early.
// Sequences equal ids here, so that what is kept can still be checked.
func TestKilledWhileRemoving(t *testing.T) {
	if !failpoint.Enabled {
		t.Skip("built without -tags failpoint")
	}
	for _, point := range []string{"queue.remove.before", "queue.remove.after"} {
		for n := 1; n <= 3; n++ {
			t.Run(fmt.Sprintf("%s@%d", point, n), func(t *testing.T) {
				const maxSize = 12 << 20
				dir := t.TempDir()
				cmd := as(t, "victim", dir, roleEnv+"_ID=1", fmt.Sprintf("%s_MAX=%d", roleEnv, maxSize),
					fmt.Sprintf("EIDER_FAILPOINT=%s=kill@%d", point, n))
				written, _ := runVictim(t, cmd, func(p *os.Process, _ func() int) {
					time.Sleep(20 * time.Second)
					_ = p.Kill()
				})
				if sig := cmd.ProcessState.Sys().(syscall.WaitStatus); !sig.Signaled() {
					t.Fatalf("the step was not reached: %v", cmd.ProcessState)
				}
				q := openQueue(t, dir, func(c *Config) { c.MaxSize, c.segmentSize = maxSize, minSegment })
				if c := balanced(t, q); c.Lost != 0 || int(q.NextSeq()) <= written {
					t.Fatalf("next %d, written %d, %+v", q.NextSeq(), written, c)
				}
				if q.l.Oldest() > q.Acked()+1 {
					t.Fatalf("oldest %d, acknowledged %d", q.l.Oldest(), q.Acked())
				}
				for pos, path := range drain(t, q, 1) {
					trimmed := pos <= q.Acked() && path == shared.LossTrimmed.String()
					if path != fmt.Sprintf("/%d", pos) && !trimmed {
						t.Fatalf("position %d is %s", pos, path)
					}
				}
			})
		}
	}
}

// witnessed is the highest id that the witness file says was written.
func witnessed(t *testing.T, path string) (last int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(b)) {
		if _, path, ok := strings.Cut(word, "=%2F"); ok {
			id, err := strconv.Atoi(path)
			if err != nil {
				t.Fatal(err)
			}
			last = max(last, id)
		}
	}
	return last
}

// TestPowerLoss shuts an ext4 volume down under a running queue, without
// letting it write its journal, and mounts it again: what was durable is
// there, and what comes afterwards counts under an epoch of its own.
func TestPowerLoss(t *testing.T) {
	disk := volume.New(t, "ext4", 256<<20)
	dir := filepath.Join(disk.Dir, "queue")
	last, epochs := 0, map[shared.Epoch]bool{}
	for round := range 4 {
		cmd := as(t, "victim", dir, fmt.Sprintf("%s_ID=%d", roleEnv, last+1))
		cmd.Stderr = nil // it complains about its disk
		// Only what was confirmed before counts: an fsync that is under way when
		// ext4 is shut down can report success for data that it has not kept.
		var confirmed atomic.Int64
		written, _ := runVictim(t, cmd, func(p *os.Process, synced func() int) {
			time.Sleep(time.Duration(150+150*round) * time.Millisecond)
			confirmed.Store(int64(synced()))
			if err := volume.Shutdown(disk.Dir); err != nil {
				t.Errorf("shut down: %v", err)
			}
			time.Sleep(20 * time.Millisecond)
			_ = p.Kill()
		})
		durable := int(confirmed.Load())
		if sig := cmd.ProcessState.Sys().(syscall.WaitStatus); sig.Signaled() && sig.Signal() == syscall.SIGBUS {
			t.Error("a failing volume ended the process")
		}
		if err := disk.Remount(); err != nil {
			t.Fatal(err)
		}
		q := openQueue(t, dir, func(c *Config) { c.segmentSize = minSegment })
		if epochs[q.Epoch()] {
			t.Fatal("an epoch came back")
		}
		epochs[q.Epoch()] = true
		if durable == 0 {
			t.Fatal("nothing was durable: this shows nothing")
		}
		next := q.NextSeq()
		had := holds(t, q, max(durable, last))
		t.Logf("written %d, durable %d, there %d", written, durable, had)
		last = had + 1
		add(t, q, last, last)
		f, err := q.Read(t.Context(), next)
		if err != nil || f.Header.Epoch != q.Epoch() || f.Header.EpochFirst != next {
			t.Fatalf("%+v, %v", f.Header, err)
		}
		holds(t, q, max(durable, last))
		closeQueue(t, q)
	}
}
