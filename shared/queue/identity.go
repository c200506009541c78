package queue

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared/durable"
)

// Files of a log's directory.
const (
	identityFile   = "identity"
	checkpointFile = "checkpoint"
	countersFile   = "counters" // of a Queue
	segmentsDir    = "segments"
	sealedFile     = "wal"
	tmpSuffix      = ".tmp"

	identityMagic = "EIDERLOG"
	formatVersion = 1
	identitySlot  = 8 << 10
)

// identity is what makes a directory this log and no other: written when the
// directory is created and, as far as meta goes, in place afterwards.
type identity struct {
	kind    string
	id      [16]byte
	created int64  // µs since 1970
	meta    []byte // the owner's: a Queue's epochs
}

func (d *identity) encode() []byte {
	b := append([]byte{byte(len(d.kind))}, d.kind...)
	b = append(b, d.id[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(d.created))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(d.meta)))
	return append(b, d.meta...)
}

func (d *identity) decode(b []byte) error {
	bad := errors.New("identity cut short")
	if len(b) < 1 || len(b) < 1+int(b[0])+16+8+2 {
		return bad
	}
	n := int(b[0])
	d.kind = string(b[1 : 1+n])
	b = b[1+n:]
	copy(d.id[:], b)
	d.created = int64(binary.LittleEndian.Uint64(b[16:]))
	m := int(binary.LittleEndian.Uint16(b[24:]))
	if len(b) < 26+m {
		return bad
	}
	d.meta = b[26 : 26+m : 26+m]
	return nil
}

// openIdentity opens the directory's identity, creating directory and identity
// where there is nothing yet. Whatever else it finds is an error that says
// what to do.
func openIdentity(dir, kind string) (*slotFile, identity, error) {
	fresh, err := inspectDir(dir)
	if err != nil {
		return nil, identity{}, err
	}
	path := filepath.Join(dir, identityFile)
	if fresh {
		if err := createIdentity(dir, kind); err != nil {
			return nil, identity{}, fmt.Errorf("create %s: %w", dir, spaceError(err))
		}
	}
	file, payload, err := openSlotFile(path, identityMagic, formatVersion, identitySlot)
	if err != nil {
		return nil, identity{}, explain(dir, err)
	}
	var d identity
	if err := d.decode(payload); err != nil {
		file.close()
		return nil, identity{}, explain(dir, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err))
	}
	if d.kind != kind {
		file.close()
		return nil, identity{}, fmt.Errorf("%w: %s holds a %s, not a %s: configure another directory", ErrForeign, dir, d.kind, kind)
	}
	return file, d, nil
}

// explain adds what the reader of the error can do about it.
func explain(dir string, err error) error {
	switch {
	case errors.Is(err, ErrNewer):
		return fmt.Errorf("open %s: %w: run that version again, or configure another directory", dir, err)
	case errors.Is(err, ErrForeign):
		return fmt.Errorf("open %s: %w: configure an empty directory", dir, err)
	case errors.Is(err, ErrCorrupt):
		return fmt.Errorf("open %s: %w: restore that file from a backup; or move the directory away to begin a new one, what is in it can still be looked at offline", dir, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open %s: %w: the user that runs this process must own the directory", dir, err)
	}
	return fmt.Errorf("open %s: %w", dir, err)
}

// inspectDir tells a directory that is to be created (fresh) from one that
// has been. Anything in between is an error.
func inspectDir(dir string) (fresh bool, err error) {
	if err := refuseSymlink(dir); errors.Is(err, fs.ErrNotExist) {
		return true, nil
	} else if err != nil {
		return false, explain(dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, explain(dir, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, identityFile)); err == nil {
		return false, nil
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case name == "lost+found" || name == "lock" || strings.HasSuffix(name, tmpSuffix) && !e.IsDir():
		case name == checkpointFile || name == countersFile || name == segmentsDir:
			if name != segmentsDir && !e.IsDir() {
				continue // creation was cut short before the identity
			}
			if left, err := os.ReadDir(filepath.Join(dir, name)); err == nil && len(left) == 0 {
				continue
			}
			return false, explain(dir, fmt.Errorf("%w: %s is missing, but there are segments", ErrCorrupt, filepath.Join(dir, identityFile)))
		default:
			return false, explain(dir, fmt.Errorf("%w: it holds %q", ErrForeign, name))
		}
	}
	return true, nil
}

// createIdentity makes the directory; the identity comes last, so that a
// crash on the way leaves what inspectDir takes for nothing.
func createIdentity(dir, kind string) error {
	if err := os.MkdirAll(filepath.Join(dir, segmentsDir), 0o700); err != nil {
		return err
	}
	for _, name := range []string{checkpointFile, countersFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	d := identity{kind: kind, created: time.Now().UnixMicro()}
	_, _ = rand.Read(d.id[:])
	if err := createSlotFile(filepath.Join(dir, identityFile), identityMagic, formatVersion, identitySlot, d.encode()); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(filepath.Clean(dir)))
}

// saveIdentity replaces the owner's part of the identity, durably.
func (l *Log) saveIdentity(meta []byte) error {
	l.checkMu.Lock()
	defer l.checkMu.Unlock()
	l.id.meta = meta
	if err := l.ident.write(formatVersion, l.id.encode()); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	if err := l.ident.sync(); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}

// existingParent is dir or the closest directory above it that exists.
func existingParent(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "."
		}
		dir = up
	}
}
