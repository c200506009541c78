package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.uber.org/zap"
)

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
		s := &segment{serial: serial, dir: filepath.Join(root, e.Name()), sealed: true}
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
