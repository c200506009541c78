package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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
	ident, id, err := openIdentity(cfg.Dir, cfg.Kind)
	if err != nil {
		return nil, err
	}
	l := &Log{
		cfg: cfg, log: cfg.Logger, ident: ident, id: id,
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
	var err error
	if l.lock, err = lockDir(l.cfg.Dir, false); err != nil {
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

// recover reads every segment and works out what is there, what is missing
// and where the log goes on.
func (l *Log) recover(c checkpoint, missing bool) error {
	root := filepath.Join(l.cfg.Dir, segmentsDir)
	if err := refuseSymlink(root); errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(root, 0o700); err != nil {
			return spaceError(err)
		}
	} else if err != nil {
		return err
	}
	entries, err := os.ReadDir(root) // sorted by name, which is by serial
	if err != nil {
		return err
	}
	for _, e := range entries {
		serial, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil || !e.IsDir() || segmentName(serial) != e.Name() {
			return fmt.Errorf("%w: %s holds %q, which is no segment: move it away", ErrForeign, root, e.Name())
		}
		l.serial = max(l.serial, serial)
		s := &segment{serial: serial, dir: filepath.Join(root, e.Name())}
		items, size, err := adopt(s.dir, func(path string) {
			l.log.Warn("segment has bytes that are no record", zap.String("path", path))
		})
		if err != nil {
			return fmt.Errorf("recover segment %s: %w", s.dir, err)
		}
		if size == 0 {
			continue
		}
		s.size = size
		l.admit(s, items)
	}
	l.settle(c, missing)
	return nil
}

// admit adds a recovered segment and the holes inside of it. Where it repeats
// positions of earlier ones, it is right: they were never confirmed there.
func (l *Log) admit(s *segment, items []item) {
	if len(items) == 0 {
		s.first, s.next = l.next, l.next
		l.segs = append(l.segs, s)
		return
	}
	s.first, s.next = items[0].first, items[len(items)-1].next
	for i := len(l.segs) - 1; i >= 0 && l.segs[i].next > s.first; i-- {
		l.segs[i].next = s.first
		l.segs[i].first = min(l.segs[i].first, s.first)
	}
	at := s.first
	if l.next != 0 && l.next < s.first {
		at = l.next
	}
	for _, it := range items {
		if it.first > at {
			l.addHole(hole{first: at, last: it.first - 1, reason: HoleCorruption})
		}
		at = it.next
	}
	l.next = s.next
	l.segs = append(l.segs, s)
}

// settle compares what was found with the checkpoint.
func (l *Log) settle(c checkpoint, missing bool) {
	l.trim, l.synced, l.meta = c.trim, c.synced, c.meta
	oldest := l.next
	if len(l.segs) > 0 {
		oldest = l.segs[0].first
	}
	switch {
	case missing && len(l.segs) > 0:
		l.log.Warn("checkpoint was missing: everything that is kept is sent again", zap.String("dir", l.cfg.Dir))
		l.trim = max(oldest, 1)
	case len(l.segs) > 0 && oldest > l.trim:
		l.addHole(hole{first: l.trim, last: oldest - 1, reason: HoleCorruption})
	}
	l.next = max(l.next, 1)
	end := max(l.trim, c.synced)
	for _, h := range c.holes {
		end = max(end, h.last+1)
	}
	if end > l.next {
		if first := max(l.next, l.trim); first < end {
			l.addHole(hole{first: first, last: end - 1, reason: HoleCorruption})
		}
		l.next = end
	}
	l.mergeHoles(c.holes)
	if n := l.lostIn(l.trim, l.next); n > 0 {
		l.log.Warn("records are missing and count as lost", zap.String("dir", l.cfg.Dir), zap.Uint64("positions", n))
	}
	// What was found survived; it is on disk once this has been said again.
	l.synced = l.next
}

// mergeHoles gives the holes that were found the reason and time under which
// they are already known, so that their markers stay the same.
func (l *Log) mergeHoles(known []hole) {
	found := l.holes
	l.holes = nil
	now := time.Now().UnixMicro()
	for _, h := range found {
		for at := h.first; at <= h.last; {
			part := hole{first: at, last: h.last, reason: h.reason, time: now}
			for _, k := range known {
				if k.first <= at && at <= k.last {
					part = hole{first: at, last: min(k.last, h.last), reason: k.reason, time: k.time}
					break
				}
				if k.first > at {
					part.last = min(part.last, k.first-1)
				}
			}
			l.addHole(part)
			at = part.last + 1
		}
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
			err = errors.Join(failpoint.Err("queue.sync.fail"), s.file.Sync())
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
