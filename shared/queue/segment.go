package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared/failpoint"
)

// item is where one record lies in a segment's log.
type item struct {
	first, next uint64
	from, to    int64
}

// segment is one directory of records. While it has a writer it is Badger's;
// sealed, it is one file.
type segment struct {
	serial uint64
	dir    string

	// Guarded by Log.mu.
	first, next uint64 // positions [first, next)
	size        int64  // what it takes of max_size
	items       []item // of a sealed segment: see readCache
	dirty       bool   // has records that no sync has covered
	suspect     bool   // a sync failed: only a copy can be trusted
	trimmedAt   time.Time

	// mu is held for reading while file is in use, and for writing while it is
	// taken away.
	mu   sync.RWMutex
	w    *writer  // nil once sealed
	file *os.File // the writer's; nil once sealed
}

func (s *segment) sealedPath() string { return filepath.Join(s.dir, sealedFile) }

// halfUsed tells when the next segment should be opened. Log.mu is held.
func (s *segment) halfUsed() bool {
	return len(s.items) > 0 && s.items[len(s.items)-1].to > s.w.capacity/2
}

// find returns the item that covers pos.
func find(items []item, pos uint64) (item, bool) {
	i := sort.Search(len(items), func(i int) bool { return items[i].next > pos })
	if i < len(items) && items[i].first <= pos {
		return items[i], true
	}
	return item{}, false
}

// readItem reads one record and checks that it is what the index says.
func readItem(f io.ReaderAt, it item) (Record, error) {
	b := make([]byte, it.to-it.from)
	if _, err := f.ReadAt(b, it.from); err != nil {
		if errors.Is(err, io.EOF) {
			err = errDamaged
		}
		return Record{}, err
	}
	var rec Record
	scanLog(b, it.from, func(f found) {
		if f.first == it.first && f.first+f.count == it.next {
			rec = Record{First: f.first, Count: f.count, Data: f.data()}
		}
	})
	if rec.Count == 0 {
		return Record{}, errDamaged
	}
	return rec, nil
}

// errDamaged: the bytes of a record are not those that were written.
var errDamaged = errors.New("record damaged")

// indexOf reads and checks a whole log file. end is where what was understood
// ends; dirt tells that something that is no record lies before or behind.
func indexOf(path string) (items []item, end int64, dirt bool, err error) {
	if err := refuseSymlink(path); err != nil {
		return nil, 0, false, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, 0, false, err
	}
	if len(b) < logHeader {
		return nil, int64(len(b)), len(b) != 0, nil
	}
	items, end, dirt = indexBytes(b)
	return items, end, dirt || !allZero(b[end:]), nil
}

func indexBytes(b []byte) (items []item, end int64, damaged bool) {
	end, damaged = scanLog(b[logHeader:], logHeader, func(f found) {
		for len(items) > 0 && items[len(items)-1].next > f.first {
			items = items[:len(items)-1] // written again: the later one counts
		}
		items = append(items, item{first: f.first, next: f.first + f.count, from: f.from, to: f.to})
	})
	return items, end, damaged
}

// seal copies the log of a segment that is no longer written into a file of
// its own length, makes that durable, and only then lets Badger go. A crash
// leaves either the log or the copy, complete.
func (l *Log) seal(s *segment) error {
	tmp := s.sealedPath() + tmpSuffix
	if err := copyLog(tmp, s.file, s.w.used, s.suspect, s.items); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("seal segment %d: %w", s.serial, spaceError(err))
	}
	failpoint.Hit("queue.seal.copied")
	if err := errors.Join(os.Rename(tmp, s.sealedPath()), syncDir(s.dir)); err != nil {
		return fmt.Errorf("seal segment %d: %w", s.serial, spaceError(err))
	}
	failpoint.Hit("queue.seal.renamed")
	s.mu.Lock()
	w := s.w
	s.w, s.file = nil, nil
	s.mu.Unlock()
	l.mu.Lock()
	s.items, s.dirty, s.suspect = nil, false, false
	s.size = w.used
	l.mu.Unlock()
	err := errors.Join(w.dispose(), tidy(s.dir))
	failpoint.Hit("queue.seal.disposed")
	if err != nil {
		return fmt.Errorf("let go of segment %d: %w", s.serial, err)
	}
	return nil
}

// copyLog writes the first n bytes of src to a new, durable file. check reads
// the copy back: after a failed sync the pages may not be what was written.
func copyLog(path string, src *os.File, n int64, check bool, items []item) error {
	dst, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{dst}, io.NewSectionReader(src, 0, n), make([]byte, 256<<10)); err != nil {
		return err
	}
	if err := dst.Sync(); err != nil {
		return err
	}
	if !check {
		return nil
	}
	got, _, _, err := indexOf(path)
	for _, it := range items {
		if err == nil {
			if have, ok := find(got, it.first); !ok || have.next != it.next || have.from != it.from {
				err = fmt.Errorf("%w: position %d does not survive", errDamaged, it.first)
			}
		}
	}
	return err
}

// tidy removes what Badger leaves beside a sealed log. That the log is there
// under its name is durable before.
func tidy(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 1 {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != sealedFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// adopt makes a segment that an earlier process left behind a sealed one,
// without Badger and without taking space: its log is cut to what was
// understood and renamed. It returns the records; a segment without any is
// removed.
func adopt(dir string, logDamage func(path string)) (items []item, size int64, err error) {
	sealed := filepath.Join(dir, sealedFile)
	path := sealed
	if _, err := os.Lstat(sealed); err != nil {
		path = filepath.Join(dir, memFile)
	}
	items, size, dirt, err := indexOf(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, os.RemoveAll(dir) // its creation, or its removal, was cut short
	}
	if err != nil {
		return nil, 0, err
	}
	if dirt {
		logDamage(path)
	}
	if path == sealed {
		return items, size, tidy(dir)
	}
	if len(items) == 0 && !dirt {
		return nil, 0, os.RemoveAll(dir)
	}
	if err := errors.Join(os.Truncate(path, size), os.Rename(path, sealed)); err != nil {
		return nil, 0, err
	}
	f, err := os.OpenFile(sealed, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	return items, size, errors.Join(f.Sync(), f.Close(), syncDir(dir), tidy(dir))
}
