package volume

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// write writes a file, and makes it and its name durable if told to.
func write(t *testing.T, dir, name string, durable bool) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(name); err != nil {
		t.Fatal(err)
	}
	if !durable {
		return
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := errors.Join(f.Sync(), d.Sync()); err != nil {
		t.Fatal(err)
	}
}

func TestALossOfPower(t *testing.T) {
	d := New(t, "ext4", 32<<20)
	write(t, d.Dir, "durable", true)
	write(t, d.Dir, "not yet", false)
	if err := d.CutPower(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(d.Dir, "durable")); err != nil || !bytes.Equal(got, []byte("durable")) {
		t.Errorf("%q, %v: what was durable is gone", got, err)
	}
	if got, err := os.ReadFile(filepath.Join(d.Dir, "not yet")); err == nil && len(got) > 0 {
		t.Errorf("%q: what was not durable is there", got)
	}
	write(t, d.Dir, "after", false)
	if err := d.Remount(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(d.Dir, "after")); err != nil {
		t.Errorf("gone without a loss of power: %v", err)
	}
}

func TestAFullVolume(t *testing.T) {
	for name, dir := range map[string]func(t *testing.T) string{
		"tmpfs": func(t *testing.T) string { return Tmpfs(t, 4<<20) },
		"ext4":  func(t *testing.T) string { return New(t, "ext4", 8<<20).Dir },
		"ext2":  func(t *testing.T) string { return New(t, "ext2", 8<<20).Dir },
	} {
		t.Run(name, func(t *testing.T) {
			dir := dir(t)
			held := filepath.Join(dir, "held")
			Fill(t, held)
			if err := os.WriteFile(filepath.Join(dir, "more"), []byte("x"), 0o600); !full(err) {
				t.Fatalf("a full volume took one byte more: %v", err)
			}
			if err := os.Remove(held); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "more"), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Nothing of a volume is left behind its test.
func TestNothingIsLeft(t *testing.T) {
	var dirs []string
	t.Run("volumes", func(t *testing.T) {
		dirs = append(dirs, Tmpfs(t, 1<<20), New(t, "ext4", 8<<20).Dir)
	})
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
