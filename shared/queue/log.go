package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared/failpoint"
)

// Record is what one Append wrote: it covers the positions [First,
// First+Count). Data belongs to the caller of Read.
type Record struct {
	First, Count uint64
	Data         []byte
}

// A Log is an ordered log of records in a directory of its own. Positions
// begin at 1 and never go back. All methods are safe for concurrent use.
//
// Locks, in the order in which they are taken: syncMu, appendMu, checkMu, mu.
type Log struct {
	cfg   LogConfig
	log   *zap.Logger
	lock  *os.File
	ident *slotFile
	check *slotFile
	id    identity

	appendMu sync.Mutex // one writer at a time
	syncMu   sync.Mutex // one sync at a time: concurrent callers share it
	checkMu  sync.Mutex // one checkpoint at a time

	mu       sync.Mutex
	keeper   sync.Cond  // on mu: the keeper has finished something
	segs     []*segment // by position, oldest first
	active   *segment   // the last of segs while it is written
	sealing  []*segment // full, not yet sealed
	spare    *writer    // the next active segment, opened ahead
	opening  bool       // the spare is being opened
	serial   uint64     // of the newest segment
	next     uint64
	synced   uint64
	trim     uint64
	removing int // segments that are off the list, and perhaps still on the disk
	holes    []hole
	meta     []byte
	closed   bool
	clean    bool
	degraded error     // why the log can't take or keep records right now
	retryAt  time.Time // no new segment is tried before

	readMu sync.Mutex
	cache  readCache

	kick chan struct{} // wakes the keeper
	stop chan struct{}
	done chan struct{}
}

// OpenLog opens the log in cfg.Dir, or begins one there if there is nothing.
// Everything that is kept is read and checked; what is missing is a hole
// afterwards, never an error. Errors are about the directory as a whole.
func OpenLog(cfg LogConfig) (*Log, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	l := &Log{
		cfg: cfg, log: cfg.Logger,
		kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	l.keeper.L = &l.mu
	if err := l.open(); err != nil {
		l.closeFiles()
		return nil, err
	}
	go l.keep()
	l.wake()
	return l, nil
}

func (l *Log) open() error {
	fresh, err := inspectDir(l.cfg.Dir)
	if err != nil {
		return err
	}
	if fresh {
		if err := os.MkdirAll(l.cfg.Dir, 0o700); err != nil {
			return explain(l.cfg.Dir, spaceError(err))
		}
	}
	if l.lock, err = lockDir(l.cfg.Dir, false); err != nil {
		return err
	}
	if l.ident, l.id, err = openIdentity(l.cfg.Dir, l.cfg.Kind); err != nil {
		return err
	}
	reason, err := probeReserve(l.cfg.Dir)
	switch {
	case err != nil && !outOfSpace(err):
		return fmt.Errorf("try the volume of %s: %w", l.cfg.Dir, err)
	case reason != "" && !l.cfg.UnsafeFS:
		return fmt.Errorf("%w: the volume of %s: %s; a full disk could end this process: use another volume, or set unsafe_fs to accept that", ErrUnsafeFS, l.cfg.Dir, reason)
	case reason != "":
		l.log.Warn("the volume does not reserve space: a full disk can end this process",
			zap.String("dir", l.cfg.Dir), zap.String("reason", reason))
	}
	path := filepath.Join(l.cfg.Dir, checkpointFile)
	var c checkpoint
	var missing bool
	if l.check, c, missing, err = openCheckpoint(path); err != nil {
		return fmt.Errorf("open %s: %w", l.cfg.Dir, err)
	}
	if err := l.recover(c, missing); err != nil {
		return fmt.Errorf("open %s: %w", l.cfg.Dir, err)
	}
	return l.saveCheckpoint(true)
}

func (l *Log) closeFiles() {
	for _, f := range []*slotFile{l.ident, l.check} {
		if f != nil {
			f.close()
		}
	}
	if l.lock != nil {
		l.lock.Close()
	}
}

func segmentName(serial uint64) string { return fmt.Sprintf("%010d", serial) }

// ID is the directory's own: 128 random bits from when it was created.
func (l *Log) ID() [16]byte { return l.id.id }

// Next is the position that the next record gets.
func (l *Log) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// Synced is the first position that is not known to be durable.
func (l *Log) Synced() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.synced
}

// Trimmed is the first position that has not been trimmed.
func (l *Log) Trimmed() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trim
}

// Oldest is the first position that is still kept, Next where nothing is.
func (l *Log) Oldest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.oldest()
}

func (l *Log) oldest() uint64 {
	for _, s := range l.segs {
		if s.next > s.first {
			return s.first
		}
	}
	return l.next
}

// Size is what the log takes of its volume, in bytes.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size()
}

func (l *Log) size() int64 {
	var n int64
	for _, s := range l.segs {
		n += s.size
	}
	if l.spare != nil || l.opening {
		n += footprint(l.cfg.SegmentSize)
	}
	return n
}

// Append writes one record that covers the next count positions and returns
// the first of them. It is *written* then: it survives the death of the
// process. ErrFull, ErrNoSpace and ErrTooLarge leave the log as it was.
func (l *Log) Append(count uint64, data []byte) (first uint64, err error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if count == 0 {
		return 0, errors.New("append: a record covers at least one position")
	}
	failpoint.Hit("queue.append.begin")
	s, err := l.writable(len(data))
	if err != nil {
		return 0, err
	}
	first = l.Next()
	from, to, err := s.w.append(first, count, data)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		// What the segment holds now is not certain: it is not written again,
		// and the next record takes the same position in another segment.
		s.suspect = true
		l.note(err)
		return 0, fmt.Errorf("append: %w", err)
	}
	if s.next == s.first {
		s.first = first
	}
	s.next = first + count
	s.items = append(s.items, item{first: first, next: s.next, from: from, to: to})
	s.dirty = true
	l.next = s.next
	failpoint.Hit("queue.append.written")
	return first, nil
}

// Sync returns once everything that was appended before the call is durable.
// Calls that overlap share the work.
func (l *Log) Sync() error {
	target := l.Next()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	if l.synced >= target {
		l.mu.Unlock()
		return nil
	}
	end := l.next
	var dirty []*segment
	for _, s := range l.segs {
		if s.dirty {
			dirty = append(dirty, s)
			s.dirty = false
		}
	}
	l.mu.Unlock()
	failpoint.Hit("queue.sync.before")
	for _, s := range dirty {
		if err := l.syncSegment(s); err != nil {
			return err
		}
	}
	failpoint.Hit("queue.sync.after")
	l.mu.Lock()
	l.synced = end
	l.mu.Unlock()
	return l.saveCheckpoint(false)
}

// syncSegment makes one segment durable. Where that fails, the kernel may have
// forgotten what was not written: only a copy that was read back can be
// trusted then, and the keeper is asked for one.
func (l *Log) syncSegment(s *segment) error {
	l.mu.Lock()
	suspect := s.suspect
	l.mu.Unlock()
	err := errSuspect
	if !suspect {
		s.mu.RLock()
		err = nil
		if s.file != nil { // sealed meanwhile: durable
			err = errors.Join(failpoint.Err("queue.sync.fail"), l.cfg.fsync(s.file))
		}
		s.mu.RUnlock()
		if err == nil {
			return nil
		}
	}
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.w == nil {
		return nil // sealed after all
	}
	s.suspect, s.dirty = true, true
	l.note(err)
	l.retire(s)
	return fmt.Errorf("sync segment %d: %w", s.serial, err)
}

// errSuspect: an earlier write or sync failed, and the copy that makes up for
// it has not been made yet.
var errSuspect = errors.New("waiting for a copy after an earlier failure")
