//go:build failpoint

package lake

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
)

// crashSteps are the steps at which the child is killed.
var crashSteps = []string{
	"lake.parquet.writing", "lake.renamed", "lake.commit.before", "lake.commit.after", "lake.trim.before", "lake.hot.removed",
	"state.commit.before", "state.commit.after",
}

const crashDirEnv = "EIDER_LAKE_CRASH_DIR"

// crashBatch is what lies at a position of the spool: always the same.
func crashBatch(pos uint64) Batch {
	tr := newTraffic(pos, "a")
	events := tr.take(40)
	for i := range events {
		events[i].SiteID = pick(tr.r, "a", "a", "b")
	}
	mark := state.Mark{Edge: tr.edge, Epoch: tr.epoch, EpochFirst: 1, Expected: 41, Accepted: 40}
	return Batch{SpoolPos: pos, Mark: mark, Events: events}
}

// crashPositions is where the spool ends.
const crashPositions = 400

// crashOpen opens state and lake below dir and replays the spool into them as
// far as it goes.
func crashOpen(t *testing.T, dir string) (*state.State, *Lake) {
	t.Helper()
	st := openState(t, filepath.Join(dir, "state"))
	trimmed := filepath.Join(dir, "trimmed")
	m, err := st.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(trimmed); err == nil {
		if n, _ := strconv.ParseUint(string(b), 10, 64); n > m.SpoolThrough {
			t.Fatalf("the spool was trimmed to %d, committed is %d", n, m.SpoolThrough)
		}
	}
	l := openLake(t, Config{
		Dir: filepath.Join(dir, "lake"), State: st, HotDelay: 2 * time.Millisecond, CutAge: 2 * time.Millisecond,
		OnCommitted: func(through uint64) {
			if err := os.WriteFile(trimmed, fmt.Append(nil, through), 0o600); err != nil {
				t.Error(err)
			}
		},
	})
	for pos := m.SpoolThrough + 1; pos <= crashPositions; pos++ {
		ingest(t, l, crashBatch(pos))
		if os.Getenv(crashDirEnv) != "" {
			time.Sleep(time.Millisecond)
		}
	}
	return st, l
}

// TestCrashChild is the process that is killed.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		t.Skip("runs as a child of TestAKillAtAnyStepLosesAndDoublesNothing")
	}
	_, l := crashOpen(t, dir)
	flush(t, l)
}

func TestAKillAtAnyStepLosesAndDoublesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, step := range crashSteps {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			for range 3 {
				killed(t, "TestCrashChild", crashDirEnv, dir, fmt.Sprintf("%s=kill@%d", step, 1+r.IntN(3)))
			}
			checkCrashed(t, dir)
		})
	}
}

// killed runs a test of this binary as a child, in a directory, until it is
// killed at the failpoint.
func killed(t *testing.T, test, dirEnv, dir, failpoint string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+test+"$", "-test.v")
	child.Env = append(os.Environ(), dirEnv+"="+dir, "EIDER_FAILPOINT="+failpoint)
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || ctx.Err() != nil {
		t.Fatalf("%s: the child was not killed there: %v\n%s", failpoint, err, out)
	}
}

func checkCrashed(t *testing.T, dir string) {
	t.Helper()
	st, l := crashOpen(t, dir)
	flush(t, l)
	s := l.Snapshot()
	defer s.Release()
	seen := contents(t, s)
	for pos := uint64(1); pos <= crashPositions; pos++ {
		b := crashBatch(pos)
		for i := range b.Events {
			k := keyOf(&b.Events[i])
			if seen[k] != 1 {
				t.Fatalf("event %v of position %d is there %d times", k, pos, seen[k])
			}
			delete(seen, k)
		}
	}
	if len(seen) != 0 {
		t.Fatalf("%d events were never sent", len(seen))
	}
	marks, err := st.Marks()
	if err != nil || len(marks) == 0 {
		t.Fatalf("marks %v: %v", marks, err)
	}
	var listed []string
	for _, f := range s.Files {
		listed = append(listed, f.Path)
	}
	onDisk, _ := filepath.Glob(filepath.Join(dir, "lake/events/*/*/*"))
	if len(onDisk) != len(listed) {
		t.Fatalf("%d files lie below events, %d are listed: %s", len(onDisk), len(listed), strings.Join(onDisk, " "))
	}
}
