//go:build failpoint

package lake

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const reviseDirEnv = "EIDER_LAKE_REVISE_DIR"

// reviseOpen opens a lake of some segments, which it makes at first.
func reviseOpen(t *testing.T, dir string) *Lake {
	t.Helper()
	st := openState(t, filepath.Join(dir, "state"))
	l := openLake(t, Config{Dir: filepath.Join(dir, "lake"), State: st, CutAge: time.Hour})
	if l.Stats().SpoolThrough == 0 {
		for pos := uint64(1); pos <= 5; pos++ {
			ingest(t, l, crashBatch(pos))
			flush(t, l)
		}
	}
	return l
}

// TestReviseChild is the process that is killed.
func TestReviseChild(t *testing.T) {
	dir := os.Getenv(reviseDirEnv)
	if dir == "" {
		t.Skip("runs as a child of TestAKillWhileRevisingLeavesOldOrNew")
	}
	l := reviseOpen(t, dir)
	if _, err := l.Revise(t.Context(), Selection{}, false, renameGPTBot); err != nil {
		t.Fatal(err)
	}
}

func TestAKillWhileRevisingLeavesOldOrNew(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, step := range []string{
		"lake.revise.writing", "lake.renamed", "lake.exchange.before", "state.commit.before", "state.commit.after", "lake.exchange.after", "lake.hot.removed",
	} {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			l := reviseOpen(t, dir)
			s := l.Snapshot()
			before := rowsOf(t, s)
			s.Release()
			if err := l.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := l.cfg.State.(interface{ Close() error }).Close(); err != nil {
				t.Fatal(err)
			}
			killed(t, "TestReviseChild", reviseDirEnv, dir, fmt.Sprintf("%s=kill@%d", step, 1+r.IntN(3)))
			checkRevised(t, dir, before)
		})
	}
}

// checkRevised finds each row once, in a file that is wholly old or wholly new,
// and finishes the work.
func checkRevised(t *testing.T, dir string, before map[rowKey]record) {
	t.Helper()
	l := reviseOpen(t, dir)
	s := l.Snapshot()
	seen := 0
	for _, f := range s.Files {
		olds, news := 0, 0
		for _, r := range readFile(t, f.Path) {
			seen++
			was, ok := before[r.key()]
			if !ok || !sameRecord(was.rest(), r.rest()) {
				t.Fatalf("%v was %v, is %v", r.key(), was, r)
			}
			switch {
			case r.text("bot_name") != "GPTBot":
			case r.text("verdict_reason") == "known_agent":
				news++
			default:
				olds++
			}
		}
		if olds > 0 && news > 0 {
			t.Errorf("%s: %d rows are old and %d new", f.Path, olds, news)
		}
	}
	if seen != len(before) {
		t.Fatalf("%d rows, there were %d", seen, len(before))
	}
	onDisk, _ := filepath.Glob(filepath.Join(dir, "lake/events/*/*/*"))
	if len(onDisk) != len(s.Files) {
		t.Errorf("%d files below events, %d are listed", len(onDisk), len(s.Files))
	}
	s.Release()
	if _, err := l.Revise(t.Context(), Selection{}, false, renameGPTBot); err != nil {
		t.Fatal(err)
	}
	if again, err := l.Revise(t.Context(), Selection{}, true, renameGPTBot); err != nil || again.Changed != 0 || again.Rows != int64(len(before)) {
		t.Errorf("after it was finished: %+v %v", again, err)
	}
}
