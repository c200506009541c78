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

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared/durable"
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

	// Guarded by Log.mu, as is w: written under both locks.
	first, next uint64 // positions [first, next)
	size        int64  // what it takes of max_size
	items       []item // of a sealed segment: see readCache
	dirty       bool   // has records that no sync has covered
	suspect     bool   // a sync failed: only a copy can be trusted
	sealed      bool   // the keeper is done with it: it may be removed
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
	l.mu.Lock()
	items, suspect := s.items, s.suspect
	l.mu.Unlock()
	write := func(dst *os.File) error { return copyLog(dst, s.file, s.w.used) }
	if suspect {
		write = func(dst *os.File) error { return salvage(dst, s.file, items) }
	}
	if err := l.writeSealed(tmp, write); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("seal segment %d: %w", s.serial, spaceError(err))
	}
	l.mu.Lock()
	suspect = s.suspect // a sync may have failed meanwhile
	l.mu.Unlock()
	var missing []item
	if suspect {
		var err error
		if missing, err = missingFrom(tmp, items); err != nil {
			return fmt.Errorf("seal segment %d: %w", s.serial, err)
		}
	}
	failpoint.Hit("queue.seal.copied")
	if err := errors.Join(os.Rename(tmp, s.sealedPath()), durable.SyncDir(s.dir)); err != nil {
		return fmt.Errorf("seal segment %d: %w", s.serial, spaceError(err))
	}
	failpoint.Hit("queue.seal.renamed")
	s.mu.Lock() // before l.mu: readers under way hold it, and nobody waits for them with l.mu
	l.mu.Lock()
	w := s.w
	s.w, s.file = nil, nil
	s.items, s.dirty, s.suspect = nil, false, false
	s.size = w.used
	for _, it := range missing {
		if _, known := l.holeAt(it.first); known {
			continue // a reader has met it
		}
		l.addHole(hole{first: it.first, last: it.next - 1, reason: HoleCorruption, time: time.Now().UnixMicro()})
	}
	l.mu.Unlock()
	s.mu.Unlock()
	if len(missing) > 0 {
		l.log.Error("records did not survive a failing disk and count as lost", zap.String("segment", s.dir), zap.Int("records", len(missing)))
	}
	err := errors.Join(w.dispose(), tidy(s.dir))
	failpoint.Hit("queue.seal.disposed")
	if err != nil {
		return fmt.Errorf("let go of segment %d: %w", s.serial, err)
	}
	return nil
}

// writeSealed makes a file durable that write fills.
func (l *Log) writeSealed(path string, write func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = l.cfg.fsync(f)
	}
	return errors.Join(err, f.Close())
}

// copyLog copies the first n bytes of src. The writer is hidden from io.Copy,
// so that blocks are never shared with a file that is about to be emptied.
func copyLog(dst io.Writer, src io.ReaderAt, n int64) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, io.NewSectionReader(src, 0, n), make([]byte, 256<<10))
	return err
}

// salvage copies what can be read of a log whose disk has failed, record by
// record.
func salvage(dst io.Writer, src io.ReaderAt, items []item) error {
	if _, err := dst.Write(make([]byte, logHeader)); err != nil {
		return err
	}
	for _, it := range items {
		b := make([]byte, it.to-it.from)
		if _, err := src.ReadAt(b, it.from); err != nil {
			continue // missingFrom finds that it is not there
		}
		if _, err := dst.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// missingFrom lists the records of a segment that a copy of it lacks. Only
// after a failed write or sync is there reason to look.
func missingFrom(path string, items []item) (missing []item, err error) {
	got, _, _, err := indexOf(path)
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		if have, ok := find(got, it.first); !ok || have.first != it.first || have.next != it.next {
			missing = append(missing, it)
		}
	}
	return missing, nil
}

// tidy removes what Badger leaves beside a sealed log. That the log is there
// under its name is durable before.
func tidy(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 1 {
		return err
	}
	if err := durable.SyncDir(dir); err != nil {
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
	return items, size, errors.Join(f.Sync(), f.Close(), durable.SyncDir(dir), tidy(dir))
}
