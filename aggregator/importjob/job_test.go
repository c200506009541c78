package importjob

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, path string, now time.Time) *Job {
	t.Helper()
	j, err := Open(path, now)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestSaltsStayWhileTheJobIsUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "import", "job")
	now := time.Now()
	first := open(t, path, now).Salt("a", "2015-05-17")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v: want a file with mode 0600", info.Mode(), err)
	}
	// Each use begins the 48 hours anew.
	for range 3 {
		now = now.Add(Idle - time.Minute)
		if open(t, path, now).Salt("a", "2015-05-17") != first {
			t.Fatal("another salt in the same job")
		}
	}
	j := open(t, path, now)
	if j.Salt("b", "2015-05-17") == first || j.Salt("a", "2015-05-18") == first {
		t.Error("sites or days share a salt")
	}
	if open(t, path, now.Add(Idle)).Salt("a", "2015-05-17") == first {
		t.Error("an idle job was used again")
	}
}

func TestARemovedJobIsOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "job")
	now := time.Now()
	open(t, path, now)
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A second name shows what became of the bytes.
	witness := filepath.Join(filepath.Dir(path), "witness")
	if err := os.Link(path, witness); err != nil {
		t.Fatal(err)
	}
	if removed, err := Sweep(path, now.Add(Idle-time.Second)); removed || err != nil {
		t.Fatalf("%v, %v: too early", removed, err)
	}
	if removed, err := Sweep(path, now.Add(Idle)); !removed || err != nil {
		t.Fatalf("%v, %v: not removed", removed, err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if left, err := os.ReadFile(witness); err != nil || bytes.Equal(left, key) || len(left) != len(key) {
		t.Errorf("the key was not overwritten (%v)", err)
	}
	if removed, err := Sweep(path, now); removed || err != nil {
		t.Errorf("%v, %v where there is none", removed, err)
	}
	if err := Remove(path); err != nil {
		t.Errorf("removing none: %v", err)
	}
}

func TestTwoThatBeginAtOnceShareAKey(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		var salts [4][32]byte
		var all sync.WaitGroup
		for i := range salts {
			all.Go(func() {
				if j, err := Open(filepath.Join(dir, "job"), time.Now()); err == nil {
					salts[i] = j.Salt("a", "d")
				} else {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, s := range salts {
			if s != salts[0] {
				t.Fatal("two keys")
			}
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%d files are left, %v", len(entries), err)
		}
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes")
	long := bytes.Repeat([]byte("not a job\n"), 200)
	if err := os.WriteFile(path, long, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, time.Now()); err == nil {
		t.Error("opened")
	}
	if err := Remove(path); err == nil {
		t.Error("removed")
	}
	if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, long) {
		t.Errorf("changed (%v)", err)
	}
}
