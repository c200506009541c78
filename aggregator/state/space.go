package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// memTable is Badger's memtable; its log file is twice that long. 15 % of it
// bound one transaction.
const memTable = 16 << 20

// minFree is the room that the store insists on before it writes: a new log
// file, the table that a full memtable becomes, and a compaction. Badger writes
// through memory mappings, where a full volume is not an error but the end of
// the process.
const minFree = 96 << 20

// requireSpace returns ErrNoSpace when dir's volume has less than minFree.
func requireSpace(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("measure volume of %s: %w", dir, err)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < minFree {
		return fmt.Errorf("state in %s: %w: %d MiB are free, %d MiB are needed: free some space", dir, ErrNoSpace, free>>20, minFree>>20)
	}
	return nil
}

// reserve makes sure that what the next change may touch has blocks: the
// volume has room, and the log files that Badger mapped sparse are allocated.
func (s *State) reserve() error {
	if err := requireSpace(s.dir); err != nil {
		return err
	}
	dir := filepath.Join(s.dir, "db")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list state in %s: %w", s.dir, err)
	}
	present := make(map[string]bool, len(s.allocated))
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".mem") && !strings.HasSuffix(name, ".vlog") && name != "DISCARD" {
			continue
		}
		present[name] = true
		if s.allocated[name] {
			continue
		}
		if err := allocate(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("state in %s: %w", s.dir, err)
		}
	}
	s.allocated = present
	return nil
}

// allocate gives a sparse file its blocks without changing its length. Volumes
// that can't do so are left as they are.
func allocate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // flushed and removed meanwhile
	}
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("measure log: %w", err)
	}
	if info.Size() == 0 {
		return nil
	}
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, info.Size())
	switch {
	case err == nil, errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: reserve log: %w", ErrNoSpace, err)
	default:
		return fmt.Errorf("reserve log: %w", err)
	}
}
