package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared/failpoint"
)

const (
	// maxSealing bounds the segments that are full but still Badger's, and with
	// them the memory: an appender waits for the keeper beyond it.
	maxSealing = 1
	// housekeeping is how often age is looked at.
	housekeeping = time.Minute
)

// retryPause spaces the attempts at something that failed; tests shorten it.
var retryPause = time.Second

// writable returns the active segment, with room for a record of n bytes.
// l.appendMu is held.
func (l *Log) writable(n int) (*segment, error) {
	if int64(n) > l.cfg.SegmentSize-minSegment/8 {
		return nil, fmt.Errorf("%w: %d bytes, a segment has %d", ErrTooLarge, n, l.cfg.SegmentSize)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	if s := l.active; s != nil && !s.suspect && s.w.fits(n) {
		if l.spare == nil && !l.opening && s.halfUsed() {
			l.wake()
		}
		return s, nil
	}
	w, err := l.nextWriter()
	if err != nil {
		return nil, err
	}
	l.retire(l.active)
	s := &segment{serial: w.serial, dir: w.dir, w: w, file: w.log, first: l.next, next: l.next, size: footprint(l.cfg.SegmentSize)}
	l.active = s
	l.segs = append(l.segs, s)
	failpoint.Hit("queue.rotate.switched")
	return s, nil
}

// retire hands the active segment, if s is it, to the keeper. l.mu is held.
func (l *Log) retire(s *segment) {
	if s == nil || l.active != s {
		return
	}
	l.sealing = append(l.sealing, s)
	l.active = nil
	l.wake()
}

// nextWriter returns the spare, or opens a writer. l.mu is held and given up
// meanwhile.
func (l *Log) nextWriter() (*writer, error) {
	for l.opening || len(l.sealing) > maxSealing-1 && l.active != nil && !l.stuck() {
		l.keeper.Wait()
		if l.closed {
			return nil, ErrClosed
		}
	}
	if w := l.spare; w != nil {
		l.spare = nil
		return w, nil
	}
	if len(l.sealing) > maxSealing {
		return nil, l.degradedOr(ErrNoSpace)
	}
	return l.openWriter()
}

// stuck tells that the keeper can't seal for now, so that there is no use in
// waiting for it.
func (l *Log) stuck() bool { return l.degraded != nil && time.Now().Before(l.retryAt) }

func (l *Log) degradedOr(err error) error {
	if l.degraded != nil {
		return l.degraded
	}
	return err
}

// openWriter makes room and opens a new segment. l.mu is held and given up
// meanwhile; l.opening keeps others out.
func (l *Log) openWriter() (*writer, error) {
	l.opening = true
	defer func() {
		l.opening = false
		l.keeper.Broadcast()
	}()
	if err := l.makeRoom(footprint(l.cfg.SegmentSize)); err != nil {
		l.note(err)
		return nil, err
	}
	if time.Now().Before(l.retryAt) {
		return nil, l.degradedOr(ErrNoSpace)
	}
	l.serial++
	root, serial := filepath.Join(l.cfg.Dir, segmentsDir), l.serial
	l.mu.Unlock()
	failpoint.Hit("queue.rotate.before_open")
	w, err := createWriter(root, serial, l.cfg.SegmentSize, l.cfg.UnsafeFS, l.log)
	failpoint.Hit("queue.rotate.opened")
	l.mu.Lock()
	if err != nil {
		err = fmt.Errorf("open segment: %w", err)
		l.retryAt = time.Now().Add(retryPause)
		l.note(err)
		return nil, err
	}
	l.note(nil)
	return w, nil
}

// makeRoom sees to it that need bytes may be taken, giving up what is kept
// only out of grace. l.mu is held and given up meanwhile.
func (l *Log) makeRoom(need int64) error {
	for {
		free, total, err := volumeSpace(l.cfg.Dir)
		switch {
		case err != nil && errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("the directory %s was removed: stop this process and start it again to begin a new one", l.cfg.Dir)
		case err != nil:
			return err
		case l.cfg.MaxSize > 0 && l.size() > l.cfg.MaxSize: // counts what is being opened
			err = ErrFull
		case total > 0 && free-need < l.cfg.ReserveFree: // some volumes don't tell
			err = ErrNoSpace
		default:
			return nil
		}
		s := l.oldestTrimmed()
		if s == nil {
			return err
		}
		if err := l.remove(s); err != nil {
			return err
		}
	}
}

// oldestTrimmed returns the oldest segment if it has been trimmed and is
// sealed. l.mu is held.
func (l *Log) oldestTrimmed() *segment {
	if len(l.segs) == 0 {
		return nil
	}
	s := l.segs[0]
	if !s.sealed || s.next > l.trim {
		return nil
	}
	return s
}

// remove gives the oldest segment's space back. The checkpoint that makes it
// unneeded is durable before. l.mu is held and given up meanwhile.
func (l *Log) remove(s *segment) error {
	l.segs = l.segs[1:]
	oldest := l.oldest()
	for len(l.holes) > 0 && l.holes[0].last < min(oldest, l.trim) {
		l.holes = l.holes[1:]
	}
	l.removing++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.removing--
	}()
	if err := l.saveCheckpoint(true); err != nil {
		l.log.Error("segment can't be removed before the checkpoint is written", zap.String("path", s.dir), zap.Error(err))
		return err
	}
	failpoint.Hit("queue.remove.before")
	l.readMu.Lock()
	if l.cache.s == s { // an open file keeps its space
		l.cache.drop()
	}
	l.readMu.Unlock()
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove segment: %w", err)
	}
	failpoint.Hit("queue.remove.after")
	return nil
}

// DropOldest gives up the oldest segment that has not been trimmed; its
// positions are a hole from then on. It returns how many, 0 where there is no
// sealed segment to give up.
func (l *Log) DropOldest() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.sealing) > 0 && !l.stuck() && !l.closed && (len(l.segs) == 0 || !l.segs[0].sealed) {
		l.keeper.Wait()
	}
	if len(l.segs) == 0 || !l.segs[0].sealed {
		return 0, nil
	}
	s := l.segs[0]
	first := max(s.first, l.trim)
	if s.next > first {
		// Damage inside of it goes with it: one hole, one reason.
		kept := l.holes[:0]
		for _, h := range l.holes {
			if h.last >= s.next || h.first < first {
				kept = append(kept, h)
			}
		}
		l.holes = kept
		l.addHole(hole{first: first, last: s.next - 1, reason: HoleDropOldest, time: time.Now().UnixMicro()})
	}
	n := s.next - min(first, s.next)
	return n, l.remove(s)
}

// keep is the keeper: it seals what is full, opens ahead, and removes what is
// not needed any more, so that Append does none of it.
func (l *Log) keep() {
	defer close(l.done)
	pause := time.NewTimer(housekeeping)
	defer pause.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.kick:
		case <-pause.C:
		}
		again := l.sealAll()
		l.openAhead()
		l.reclaim()
		if again {
			pause.Reset(retryPause)
		} else {
			pause.Reset(housekeeping)
		}
	}
}

func (l *Log) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// sealAll seals every full segment; it reports whether one is left that must
// be tried again.
func (l *Log) sealAll() (again bool) {
	for {
		l.mu.Lock()
		if len(l.sealing) == 0 {
			l.mu.Unlock()
			return false
		}
		s := l.sealing[0]
		l.mu.Unlock()
		err := l.seal(s)
		l.mu.Lock()
		sealed := s.w == nil
		if sealed {
			s.sealed = true
			l.sealing = l.sealing[1:]
			l.note(nil)
		} else {
			l.note(err)
			l.retryAt = time.Now().Add(retryPause)
		}
		l.keeper.Broadcast()
		l.mu.Unlock()
		if err != nil && sealed {
			l.log.Error("segment was sealed but not let go", zap.Error(err))
		}
		if !sealed {
			return true
		}
	}
}

// note remembers why the log is degraded, nil for not any more, and logs the
// change. l.mu is held.
func (l *Log) note(err error) {
	switch {
	case err == nil && l.degraded != nil:
		l.log.Info("queue is in order again", zap.String("dir", l.cfg.Dir))
	case err != nil && l.degraded == nil:
		l.log.Warn("queue is degraded", zap.String("dir", l.cfg.Dir), zap.Error(err))
	}
	l.degraded = err
}

// openAhead has the next segment ready before the active one is full, and the
// first one before the first record.
func (l *Log) openAhead() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.spare != nil || l.opening || len(l.sealing) > 0 {
		return
	}
	if s := l.active; s != nil && !s.halfUsed() {
		return
	}
	w, err := l.openWriter()
	if err != nil {
		return // the appender meets the same and says so
	}
	l.spare = w
}

// reclaim removes trimmed segments whose grace is over.
func (l *Log) reclaim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var kept int64
	for _, s := range l.segs {
		if s.next > l.trim || !s.sealed {
			break
		}
		if s.trimmedAt.IsZero() {
			s.trimmedAt = now
		}
		kept += s.size
	}
	for {
		s := l.oldestTrimmed()
		if s == nil || kept <= l.cfg.GraceSize && now.Sub(s.trimmedAt) < l.cfg.Grace {
			return
		}
		kept -= s.size
		if err := l.remove(s); err != nil {
			l.note(err)
			return
		}
	}
}
