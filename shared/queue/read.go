package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

// readCache keeps the sealed segment that is being read open.
type readCache struct {
	s     *segment
	f     *os.File
	items []item
}

func (c *readCache) drop() {
	if c.f != nil {
		c.f.Close()
	}
	*c = readCache{}
}

// Read returns the record that covers pos. Where there is none it is a
// *HoleError; ErrBeyond where there is none yet.
func (l *Log) Read(pos uint64) (Record, error) {
	for range 3 { // a segment may be sealed or removed between two looks
		rec, err := l.read(pos)
		switch {
		case errors.Is(err, errMoved):
			continue
		case errors.Is(err, errDamaged) || isIOError(err):
			return Record{}, l.damagedAt(pos, err)
		}
		return rec, err
	}
	return Record{}, fmt.Errorf("read position %d: its segment keeps moving", pos)
}

// errMoved: the segment is not where it was; look again.
var errMoved = errors.New("segment moved")

func (l *Log) read(pos uint64) (Record, error) {
	l.mu.Lock()
	s, err := l.locate(pos)
	if err != nil {
		l.mu.Unlock()
		return Record{}, err
	}
	if s.w != nil {
		it, ok := find(s.items, pos)
		l.mu.Unlock()
		if !ok {
			return Record{}, errDamaged
		}
		s.mu.RLock()
		defer s.mu.RUnlock()
		if s.file == nil {
			return Record{}, errMoved
		}
		return readItem(s.file, it)
	}
	l.mu.Unlock()
	l.readMu.Lock()
	defer l.readMu.Unlock()
	if l.cache.s != s {
		l.cache.drop()
		items, _, _, err := indexOf(s.sealedPath())
		if err == nil {
			l.cache.f, err = os.Open(s.sealedPath())
		}
		if errors.Is(err, os.ErrNotExist) && !l.keeps(s) {
			return Record{}, errMoved
		}
		if errors.Is(err, os.ErrNotExist) {
			return Record{}, errDamaged
		}
		if err != nil {
			return Record{}, fmt.Errorf("read segment %d: %w", s.serial, err)
		}
		l.cache.s, l.cache.items = s, items
	}
	it, ok := find(l.cache.items, pos)
	if !ok {
		return Record{}, errDamaged
	}
	return readItem(l.cache.f, it)
}

func (l *Log) keeps(s *segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.segs {
		if k == s {
			return true
		}
	}
	return false
}

// locate returns the segment that pos lies in. l.mu is held.
func (l *Log) locate(pos uint64) (*segment, error) {
	switch {
	case l.closed:
		return nil, ErrClosed
	case pos == 0:
		return nil, errors.New("read position 0: positions begin at 1")
	case pos >= l.next:
		return nil, fmt.Errorf("%w: %d, the next is %d", ErrBeyond, pos, l.next)
	}
	if h, ok := l.holeAt(pos); ok {
		return nil, &HoleError{First: h.first, Last: h.last, Reason: h.reason, Time: h.time}
	}
	last := l.next - 1
	for _, h := range l.holes {
		if h.first > pos {
			last = min(last, h.first-1)
		}
	}
	for _, s := range l.segs {
		switch {
		case s.first <= pos && pos < s.next:
			return s, nil
		case s.first > pos && s.next > s.first:
			return nil, &HoleError{First: pos, Last: min(last, s.first-1), Reason: HoleTrimmed, Time: l.id.created}
		}
	}
	return nil, &HoleError{First: pos, Last: last, Reason: HoleTrimmed, Time: l.id.created}
}

// damagedAt turns a record that can't be read any more into a hole. How far it
// reaches is known from what can be read around it.
func (l *Log) damagedAt(pos uint64, cause error) error {
	l.mu.Lock()
	s, err := l.locate(pos)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	items, next := s.items, s.next
	l.mu.Unlock()
	l.readMu.Lock()
	if l.cache.s == s {
		items = l.cache.items
	}
	l.readMu.Unlock()
	h := hole{first: pos, last: next - 1, reason: HoleCorruption, time: time.Now().UnixMicro()}
	if it, ok := find(items, pos); ok {
		h.first, h.last = it.first, it.next-1
	} else {
		for _, it := range items {
			if it.first > pos {
				h.last = it.first - 1
				break
			}
		}
	}
	l.mu.Lock()
	h.first = max(h.first, min(l.trim, pos))
	l.addHole(h)
	h, _ = l.holeAt(pos)
	l.mu.Unlock()
	l.log.Error("a record can't be read any more and counts as lost", zap.String("segment", s.dir),
		zap.Uint64("first", h.first), zap.Uint64("last", h.last), zap.Error(cause))
	if err := l.saveCheckpoint(true); err != nil {
		return err
	}
	return &HoleError{First: h.first, Last: h.last, Reason: h.reason, Time: h.time}
}

// Trim says that nothing before that position is needed any more. Positions
// only go forward; what was trimmed already is no error.
func (l *Log) Trim(before uint64) error { return l.trimWith(before, nil) }

// trimWith also replaces the owner's part of the checkpoint, in one write.
func (l *Log) trimWith(before uint64, meta []byte) error {
	l.mu.Lock()
	if before > l.next {
		l.mu.Unlock()
		return fmt.Errorf("trim to %d: %w, the next is %d", before, ErrBeyond, l.next)
	}
	if before <= l.trim && meta == nil {
		l.mu.Unlock()
		return nil
	}
	l.trim = max(l.trim, before)
	if meta != nil {
		l.meta = meta
	}
	reclaimable := l.oldestTrimmed() != nil
	l.mu.Unlock()
	err := l.saveCheckpoint(false)
	if reclaimable {
		l.wake()
	}
	return err
}

// Close makes everything durable and seals what is open, so that the next
// opening finds files of their own length. Where the volume has no room for
// that, the open segment is left as it is and recovered then.
func (l *Log) Close() error { return l.close(context.Background()) }

func (l *Log) close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.mu.Unlock()
	finished := make(chan error, 1)
	go func() { finished <- l.shutdown() }()
	select {
	case err := <-finished:
		return err
	case <-ctx.Done():
		// A disk that does not answer: what was written is in its hands.
		return fmt.Errorf("close %s: %w", l.cfg.Dir, ctx.Err())
	}
}

func (l *Log) shutdown() error {
	err := l.Sync()
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.retire(l.active)
	l.keeper.Broadcast()
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	l.mu.Lock()
	spare := l.spare // the keeper may have been opening it
	l.spare = nil
	l.mu.Unlock()
	if spare != nil { // empty: nothing of it is needed
		err = errors.Join(err, spare.dispose(), os.RemoveAll(spare.dir))
	}
	if l.sealAll() {
		l.log.Warn("no room to seal the open segment: it is recovered at the next start", zap.String("dir", l.cfg.Dir))
	}
	l.mu.Lock()
	l.clean = err == nil
	l.mu.Unlock()
	err = errors.Join(err, l.saveCheckpoint(true))
	l.readMu.Lock()
	l.cache.drop()
	l.readMu.Unlock()
	l.closeFiles()
	return err
}
