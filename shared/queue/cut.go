package queue

import (
	"context"
	"time"
)

// Cut ends the segment that is being written and returns the position that the
// next record gets. Once everything before it is trimmed, nothing of it is left
// on the disk: see [Log.Gone].
func (l *Log) Cut() (next uint64, err error) {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.sealing) > 0 && !l.stuck() && !l.closed {
		l.keeper.Wait() // an appender finds room behind one segment, not behind two
	}
	switch {
	case l.closed:
		return 0, ErrClosed
	case len(l.sealing) > 0:
		return 0, l.degradedOr(ErrNoSpace)
	}
	if s := l.active; s != nil && s.next > s.first {
		l.retire(s)
	}
	return l.next, nil
}

// Gone waits until the files of what was trimmed before a position of Cut are
// removed. It can't be used with a grace. What a volume refuses to remove is
// tried again by the next opening.
func (l *Log) Gone(ctx context.Context, before uint64) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		l.mu.Lock()
		gone, closed := l.removing == 0 && (len(l.segs) == 0 || l.segs[0].next > min(before, l.trim) || l.segs[0] == l.active), l.closed
		l.mu.Unlock()
		switch {
		case closed:
			return ErrClosed
		case gone:
			return nil
		}
		l.wake()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
