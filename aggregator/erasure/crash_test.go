//go:build failpoint

package erasure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
)

const crashDirEnv = "EIDER_ERASURE_CRASH_DIR"

// crashSteps are the steps at which the child is killed, and how often each
// comes at least.
var crashSteps = map[string]int{
	"erasure.ledger.writing": 3, "erasure.ledger.written": 2, "erasure.recorded": 1, "erasure.lake.done": 1, "erasure.letters.done": 1,
	"erasure.spool.done": 1, "erasure.done": 1, "lake.erase.writing": 1, "lake.renamed": 2, "lake.erase.before": 2, "lake.erase.after": 2,
	"lake.commit.before": 1, "lake.commit.after": 1, "lake.hot.removed": 3, "state.commit.before": 5, "state.commit.after": 5,
	"queue.seal.copied": 1, "queue.seal.renamed": 1, "queue.remove.before": 1, "queue.remove.after": 1,
}

const crashGone, crashStays = 1111111, 2222222

var crashAsk = Request{Site: "a.example", VisitorID: "1111111", By: "key-1"}

// TestCrashChild is the process that is killed.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		t.Skip("runs as a child of TestAKillWhileErasing")
	}
	g := newRig(t, dir)
	e := newEdge() // so that the file of the spool that is being written has some of it
	g.send(e, e.seal(event("a.example", crashGone, now()-day)))
	if _, err := g.eraser.Erase(t.Context(), crashAsk); err != nil {
		t.Fatal(err)
	}
}

// prepare fills a data directory: segments, rows that are not committed, a dead
// letter, all of them with what is to go and what stays.
func prepare(t *testing.T, dir string) (want map[string]int, e *edge) {
	t.Helper()
	g := newRig(t, dir)
	e = newEdge()
	want = map[string]int{}
	at := now() - 2*day
	for n := range int64(3) {
		for range 2 {
			g.send(e, e.seal(event("a.example", crashGone, at+n*day/2), event("a.example", crashStays, at), event("b.example", crashStays, at)))
			want["a-example"+pathOf(crashStays)]++
			want["b-example"+pathOf(crashStays)]++
		}
		if n < 2 {
			_, err := g.settle(t.Context())
			g.must(err)
		}
	}
	again := &edge{e.id, e.epoch, 1}
	g.send(e, again.seal(event("a.example", crashGone, at), event("a.example", crashStays, at), event("a.example", crashStays, at)))
	g.stop()
	if len(g.holds(pathOf(crashGone))) < 3 {
		t.Fatalf("only %q have the visitor", g.holds(pathOf(crashGone)))
	}
	return want, e
}

func TestAKillWhileErasing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for step, times := range crashSteps {
		t.Run(step, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			want, e := prepare(t, dir)
			killed(t, dir, fmt.Sprintf("%s=kill@%d", step, 1+r.IntN(times)))
			g := newRig(t, dir)
			recorded := len(g.ledger.List()) == 1
			t.Logf("recorded: %v", recorded)
			if !recorded { // nobody was told anything: whoever asked asks again
				if _, err := g.eraser.Erase(t.Context(), crashAsk); err != nil {
					t.Fatal(err)
				}
			}
			g.must(g.eraser.Resume(t.Context()), g.eraser.Sweep(t.Context()))
			list := g.ledger.List()
			if len(list) != 1 || list[0].State != state.ErasureDone || list[0].Counts.Events+list[0].Counts.Hot > 7 {
				t.Errorf("the ledger is %+v", list)
			}
			g.wantPaths(want)
			if files := g.holds(pathOf(crashGone)); len(files) != 0 {
				t.Errorf("%q still have the visitor", files)
			}
			if rows, erased := g.verify(); rows != 12 || erased < 6 || erased > 7 {
				t.Errorf("%d rows, %d erased", rows, erased)
			}
			g.wantNoIDs("1111111")
			// What comes late is left out by this process too.
			g.send(e, e.seal(event("a.example", crashGone, now()-day)))
			g.wantPaths(want)
		})
	}
}

// killed runs the child until it is killed at the failpoint.
func killed(t *testing.T, dir, failpoint string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
	child.Env = append(os.Environ(), crashDirEnv+"="+dir, "EIDER_FAILPOINT="+failpoint)
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || ctx.Err() != nil {
		t.Fatalf("%s: the child was not killed there: %v\n%s", failpoint, err, out)
	}
}
