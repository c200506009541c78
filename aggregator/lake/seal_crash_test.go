//go:build failpoint

package lake

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

const sealDirEnv = "EIDER_LAKE_SEAL_DIR"

// TestSealChild is the process that is killed: it seals a day twice.
func TestSealChild(t *testing.T) {
	dir := os.Getenv(sealDirEnv)
	if dir == "" {
		t.Skip("runs as a child of TestAKillWhileSealingLeavesTheDayOpenOrSealed")
	}
	l := reviseOpen(t, dir)
	seal(t, l, sealedDay)
	seal(t, l, sealedDay)
}

func TestAKillWhileSealingLeavesTheDayOpenOrSealed(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for step, times := range map[string]int{
		"lake.seal.written": 2, "lake.seal.renamed": 6, "lake.seal.before": 2, "lake.seal.after": 2, "lake.hot.removed": 6,
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
			for range 2 {
				killed(t, "TestSealChild", sealDirEnv, dir, fmt.Sprintf("%s=kill@%d", step, 1+r.IntN(times)))
				checkSealed(t, dir, before)
			}
		})
	}
}

// checkSealed finds each row once, what the manifest lists and nothing else, and
// a day that is sealed as a whole or not at all.
func checkSealed(t *testing.T, dir string, before map[rowKey]record) {
	t.Helper()
	l := reviseOpen(t, dir)
	s := l.Snapshot()
	after := rowsOf(t, s)
	for key, was := range before {
		if !sameRecord(was, after[key]) {
			t.Fatalf("%v was %v, is %v", key, was, after[key])
		}
	}
	if len(after) != len(before) {
		t.Fatalf("%d rows, there were %d", len(after), len(before))
	}
	want := len(s.Files)
	sealed := 0
	for _, f := range s.Files {
		if f.Sealed {
			sealed++
		}
	}
	for _, d := range s.Days {
		want += len(d.Derived)
		for _, f := range d.Derived {
			if info, err := os.Stat(f.Path); err != nil || info.Size() != f.Bytes {
				t.Errorf("%s: %v", f.Path, err)
			}
		}
		if len(d.Segments) != 1 || d.Late != 0 {
			t.Errorf("%+v", d)
		}
	}
	if sealed != len(s.Days) {
		t.Errorf("%d sealed segments of %d days", sealed, len(s.Days))
	}
	for _, below := range []string{"*/*/*/*", sealingDir + "/*"} {
		found, _ := filepath.Glob(filepath.Join(dir, "lake", below))
		if below == "*/*/*/*" && len(found) != want || below != "*/*/*/*" && len(found) != 0 {
			t.Errorf("%d files, want %d: %q", len(found), want, found)
		}
	}
	s.Release()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.cfg.State.(interface{ Close() error }).Close(); err != nil {
		t.Fatal(err)
	}
}
