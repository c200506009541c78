//go:build failpoint

package lake

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
)

const eraseDirEnv = "EIDER_LAKE_ERASE_DIR"

// eraseBatch is what lies at a position of the spool: rows of three visitors,
// and at the odd positions one more, of the first alone.
func eraseBatch(pos uint64) Batch {
	b := crashBatch(pos)
	for i := range b.Events {
		b.Events[i].SiteID, b.Events[i].VisitorID = "a", 1+uint64(i)%3
		if pos%2 == 1 {
			b.Events[i].VisitorID = 1
		}
	}
	return b
}

const erasePositions = 6

// eraseOpen opens a lake of some segments, which it makes at first, and whose
// last rows are not committed yet.
func eraseOpen(t *testing.T, dir string) (*state.State, *Lake) {
	t.Helper()
	st := openState(t, filepath.Join(dir, "state"))
	var ledger rules
	if _, err := os.Stat(filepath.Join(dir, "asked")); err == nil {
		ledger.add(rule{Span{"a", 0, always}, 1})
	}
	l := openLake(t, Config{Dir: filepath.Join(dir, "lake"), State: st, CutAge: time.Hour, Erasures: &ledger})
	for pos := l.Stats().SpoolThrough + 1; pos <= erasePositions; pos++ {
		ingest(t, l, eraseBatch(pos))
		if pos < erasePositions-1 {
			flush(t, l)
		}
	}
	return st, l
}

// eraseAll carries an erasure out that was asked for.
func eraseAll(t *testing.T, l *Lake) state.Erasing {
	t.Helper()
	flush(t, l)
	span := Span{"a", 0, always}
	n, err := l.Erase(t.Context(), Erasing{Span: span, ID: "x", AskedAt: always, Gone: (&rule{span, 1}).gone})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestEraseChild is the process that is killed.
func TestEraseChild(t *testing.T) {
	dir := os.Getenv(eraseDirEnv)
	if dir == "" {
		t.Skip("runs as a child of TestAKillWhileErasingIsMadeUpFor")
	}
	_, l := eraseOpen(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "asked"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eraseAll(t, l)
}

func TestAKillWhileErasingIsMadeUpFor(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for _, step := range []string{
		"lake.erase.writing", "lake.renamed", "lake.erase.before", "lake.erase.after", "lake.hot.removed", "state.commit.before", "state.commit.after",
	} {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			killed(t, "TestEraseChild", eraseDirEnv, dir, fmt.Sprintf("%s=kill@%d", step, 1+r.IntN(3)))
			st, l := eraseOpen(t, dir)
			_, askErr := os.Stat(filepath.Join(dir, "asked"))
			if askErr != nil { // it did not come so far
				t.Logf("killed before it was asked for")
			}
			if err := os.WriteFile(filepath.Join(dir, "asked"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			eraseAll(t, l)
			s := l.Snapshot()
			defer s.Release()
			checkErased(t, dir, st, s)
		})
	}
}

func checkErased(t *testing.T, dir string, st *state.State, s *Snapshot) {
	t.Helper()
	seen := contents(t, s)
	var gone int64
	for pos := uint64(1); pos <= erasePositions; pos++ {
		b := eraseBatch(pos)
		for i := range b.Events {
			want := 1
			if b.Events[i].VisitorID == 1 {
				want = 0
				gone++
			}
			if k := keyOf(&b.Events[i]); seen[k] != want {
				t.Fatalf("event %v of position %d is there %d times, want %d", k, pos, seen[k], want)
			}
		}
	}
	erased, err := st.Erased()
	if err != nil {
		t.Fatal(err)
	}
	var counted int64
	for _, e := range erased {
		counted += e.Rows
	}
	if counted != gone {
		t.Errorf("%d rows are counted as erased, %d were", counted, gone)
	}
	onDisk, _ := filepath.Glob(filepath.Join(dir, "lake/events/*/*/*"))
	if len(onDisk) != len(s.Files) {
		t.Errorf("%d files below events, %d are listed", len(onDisk), len(s.Files))
	}
	for _, f := range s.Files {
		for _, r := range readFile(t, f.Path) {
			if r.text("visitor_id") == "1" {
				t.Fatalf("%s has an erased row", f.Path)
			}
		}
	}
}
