package queue

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestWhatIsNotOursIsRefused(t *testing.T) {
	slot := func(version uint16, magic string) []byte {
		s := &slotFile{magic: magic, slotSize: identitySlot}
		b := make([]byte, 2*identitySlot)
		d := identity{kind: "queue"}
		if err := s.encode(b[:identitySlot], version, d.encode()); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		make func(dir string) error
		want error
		says string
	}{
		"another program's files": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "photo.jpg"), []byte("x"), 0o600)
		}, ErrForeign, "photo.jpg"},
		"a Badger directory": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte("Bdgr"), 0o600)
		}, ErrForeign, "MANIFEST"},
		"an identity that is something else": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, identityFile), []byte("ssh-ed25519 AAAA"), 0o600)
		}, ErrForeign, identityFile},
		"an identity cut to nothing": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, identityFile), nil, 0o600)
		}, ErrCorrupt, identityFile},
		"a damaged identity": {func(dir string) error {
			b := slot(1, identityMagic)
			b[30] ^= 1
			return os.WriteFile(filepath.Join(dir, identityFile), b, 0o600)
		}, ErrCorrupt, identityFile},
		"a newer version": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, identityFile), slot(formatVersion+1, identityMagic), 0o600)
		}, ErrNewer, "run that version"},
		"segments without an identity": {func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, segmentsDir, segmentName(1)), 0o700)
		}, ErrCorrupt, identityFile},
		"a link to a directory": {func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"2"), os.Symlink(dir+"2", dir))
		}, ErrForeign, "symbolic link"},
		"a file": {func(dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		}, nil, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "queue")
			if err := errors.Join(os.Mkdir(dir, 0o700), c.make(dir)); err != nil {
				t.Fatal(err)
			}
			before := listing(t, filepath.Dir(dir))
			_, err := Open(Config{Dir: dir, ReserveFree: MinReserve})
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			if after := listing(t, filepath.Dir(dir)); after != before {
				t.Fatalf("opening changed it:\n%s\nwas\n%s", after, before)
			}
			if _, err := Inspect(dir); err == nil {
				t.Fatal("Inspect accepts it")
			}
		})
	}
}

func listing(t testing.TB, dir string) string {
	t.Helper()
	var s strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		s.WriteString(path + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

func TestASpoolIsNoQueue(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(LogConfig{Dir: dir, Kind: "spool"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, ReserveFree: MinReserve}); !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
}

func TestTheDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	openQueue(t, dir)
	if _, err := Open(Config{Dir: dir, ReserveFree: MinReserve}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatal(err)
	}
	if _, err := Inspect(dir); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
}

func TestADeletedDirectoryIsANewQueue(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "queue")
	q := openQueue(t, dir)
	add(t, q, 1, 10)
	edge := q.Edge()
	closeQueue(t, q)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	q = openQueue(t, dir)
	if q.Edge() == edge || q.NextSeq() != 1 || balanced(t, q) != (shared.Counters{}) {
		t.Fatalf("edge %s, next %d", q.Edge(), q.NextSeq())
	}
}

// A directory whose creation was cut short at any step is created again.
func TestCreationCutShort(t *testing.T) {
	for _, files := range [][]string{
		{},
		{segmentsDir + "/"},
		{segmentsDir + "/", identityFile + tmpSuffix},
		{"lost+found/"},
		{checkpointFile, countersFile, segmentsDir + "/"},
	} {
		dir := t.TempDir()
		for _, name := range files {
			var err error
			if strings.HasSuffix(name, "/") {
				err = os.Mkdir(filepath.Join(dir, name), 0o700)
			} else {
				err = os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		q := openQueue(t, dir)
		add(t, q, 1, 3)
		if got := drain(t, q, 1); len(got) != 3 {
			t.Fatalf("%v: %v", files, got)
		}
	}
}
