package state

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/eider-analytics/eider/internal/volume"
)

// copyDir copies a store as it lies on disk: what a kill at this moment leaves.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

func refuses(t *testing.T, dir string, want error) {
	t.Helper()
	s, err := Open(dir, nil)
	if err == nil {
		_ = s.Close()
		t.Fatalf("opened although it is %v", want)
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("error %q is not %q with the path", err, want)
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	refuses(t, dir, ErrLocked)
	commit(t, s, Commit{Add: segments(0, 1)})
}

func TestAKillLosesNoCommit(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 20 {
		commit(t, s, Commit{Add: segments(n, n+1), SpoolThrough: uint64(n + 1)})
		killed := open(t, copyDir(t, dir))
		if got, want := manifest(t, killed), manifest(t, s); !reflect.DeepEqual(got, want) {
			t.Fatalf("after a kill the manifest is %+v, want %+v", got, want)
		}
	}
}

// Badger cuts its log at a damaged record and opens: the witness tells.
func TestADamagedLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 10 {
		commit(t, s, Commit{Add: segments(n, n+1)})
	}
	killed := copyDir(t, dir)
	logs, err := filepath.Glob(filepath.Join(killed, "db", "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %v: %v", logs, err)
	}
	b, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(b), `"id":"seg-000004"`)
	copy(b[at:], "0123456789abcdef")
	if err := os.WriteFile(logs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, killed, ErrCorrupt)
	refuses(t, killed, ErrCorrupt) // and again, now that Badger has cut the log
}

func TestAStoreThatIsGoneIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, Commit{Add: segments(0, 1)})
	killed := copyDir(t, dir)
	if err := os.RemoveAll(filepath.Join(killed, "db")); err != nil {
		t.Fatal(err)
	}
	refuses(t, killed, ErrCorrupt)
}

func TestAForeignDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "db", badger.ManifestFilename), []byte("something else entirely"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(t, dir, ErrCorrupt)
}

func TestANewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	newer := s.head
	newer.Format, newer.Revision = Format+1, newer.Revision+1
	if err := s.change(newer, func(*badger.Txn) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	refuses(t, dir, ErrNewer)
}

func TestATornWitnessFallsBackToTheOtherCopy(t *testing.T) {
	for torn := range int64(2) {
		dir := t.TempDir()
		s := open(t, dir)
		commit(t, s, Commit{Add: segments(0, 1)})
		commit(t, s, Commit{Add: segments(1, 2)})
		want := manifest(t, s)
		killed := copyDir(t, dir)
		f, err := os.OpenFile(filepath.Join(killed, "HEAD"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0xff, 0xff, 0xff}, torn*witnessSlot+5); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, killed)
		if got := manifest(t, again); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v", got)
		}
		commit(t, again, Commit{Add: segments(2, 3)})
	}
}

// On a full volume a commit is refused, the process lives, and the next commit
// after there is room goes through.
func TestAFullVolumeIsAnErrorNotTheEnd(t *testing.T) {
	// Not one of package volume's: Close leaves the files of a store open that it
	// can't close, so that this one can only be detached.
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=200m"); err != nil {
		t.Skipf("NOT TESTED: a full volume needs the right to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	store := filepath.Join(dir, "state")
	s, err := Open(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, Commit{Add: segments(0, 1)})
	ballast := filepath.Join(dir, "ballast")
	volume.Fill(t, ballast)
	if err := s.Commit(Commit{Add: segments(1, 2)}); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("commit on a full volume: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "other"), nil); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("open on a full volume: %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	commit(t, s, Commit{Add: segments(1, 2)})
	volume.Fill(t, ballast)
	if err := s.Close(); err != nil { // leaves the store as it is
		t.Fatal(err)
	}
	again := open(t, copyDir(t, store))
	if m := manifest(t, again); len(m.Segments) != 2 {
		t.Fatalf("%d segments", len(m.Segments))
	}
}
