package queue

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// holds tells whether any file below a directory has these bytes.
func holdsBytes(t *testing.T, dir string, want []byte) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // removed meanwhile
		}
		b, _ := os.ReadFile(path)
		found = found || bytes.Contains(b, want)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhatIsCutAndTrimmedIsGoneFromTheDisk(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(LogConfig{Dir: dir, SegmentSize: minSegment, UnsafeFS: true})
	if err != nil {
		t.Fatal(err)
	}
	old, young := []byte("told-in-confidence"), []byte("said-later")
	for range 3 {
		if _, err := l.Append(1, old); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	next, err := l.Cut()
	if err != nil || next != 4 {
		t.Fatalf("cut at %d: %v", next, err)
	}
	if again, err := l.Cut(); err != nil || again != 4 { // nothing to cut
		t.Fatalf("cut again at %d: %v", again, err)
	}
	if _, err := l.Append(1, young); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(3); err != nil {
		t.Fatal(err)
	}
	if !holdsBytes(t, dir, old) {
		t.Fatal("a record that is not trimmed is gone")
	}
	if err := l.Trim(next); err != nil {
		t.Fatal(err)
	}
	if err := l.Gone(ctx, next); err != nil {
		t.Fatal(err)
	}
	if holdsBytes(t, dir, old) || !holdsBytes(t, dir, young) || l.Oldest() != 4 {
		t.Errorf("old on the disk: %v, young: %v, oldest %d", holdsBytes(t, dir, old), holdsBytes(t, dir, young), l.Oldest())
	}
	// With everything gone, positions go on after a restart.
	next, err = l.Cut()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(next); err != nil {
		t.Fatal(err)
	}
	if err := l.Gone(ctx, next); err != nil || l.Oldest() != 5 || holdsBytes(t, dir, young) {
		t.Fatalf("oldest %d: %v", l.Oldest(), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Cut(); err == nil {
		t.Error("a closed log was cut")
	}
	if l, err = OpenLog(LogConfig{Dir: dir, SegmentSize: minSegment, UnsafeFS: true}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Next() != 5 || l.Oldest() != 5 {
		t.Errorf("next %d, oldest %d after a restart", l.Next(), l.Oldest())
	}
}
