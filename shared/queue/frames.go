package queue

import (
	"context"
	"errors"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// Read returns the frame that covers position pos, waiting until there is one
// that is durable. Its memory belongs to the caller. For positions that are
// lost it is a marker that begins at pos; a marker is always the same bytes,
// for which reason its counters are zero. A frame may begin before pos, and a
// marker may end before the loss does.
func (q *Queue) Read(ctx context.Context, pos uint64) (batch.Frame, error) {
	for {
		q.changedMu.Lock()
		changed := q.changed
		q.changedMu.Unlock()
		if pos < q.l.Synced() {
			return q.read(pos)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return batch.Frame{}, ctx.Err()
		case <-q.stop:
			return batch.Frame{}, ErrClosed
		}
	}
}

// Holds tells whether the batch that AddWhole announced as beginning at first,
// with that checksum, is in the queue and durable. It returns [ErrUnsynced] while
// what has that sequence is not known to be durable: ask again. False is final:
// either it was never written, and the sequence is another's, or a failing disk
// has lost it and that is counted. Sequences that are no longer kept count as
// held: what had them has been shipped, or dropped as the oldest.
func (q *Queue) Holds(first uint64, sum [batch.SumSize]byte) (bool, error) {
	switch {
	case first >= q.l.Next():
		return false, nil
	case first >= q.l.Synced(): // until then a failing disk may lose it
		return false, ErrUnsynced
	}
	f, err := q.read(first)
	if err != nil {
		return false, err
	}
	if f.Header.Kind == shared.BatchLost {
		return f.Header.LossReason != shared.LossCorruption, nil
	}
	return f.Header.FirstSeq == first && f.Sum == sum, nil
}

func (q *Queue) read(pos uint64) (batch.Frame, error) {
	rec, err := q.l.Read(pos)
	var hole *HoleError
	if errors.As(err, &hole) {
		return q.marker(pos, hole)
	}
	if err != nil {
		return batch.Frame{}, err
	}
	f, rest, err := batch.Next(rec.Data)
	if err == nil && len(rest) == 0 && f.Header.FirstSeq == rec.First && f.Header.Count == rec.Count {
		return f, nil
	}
	// The log's own checksum holds, so that this was written so: nobody will
	// ever read it.
	if err = q.l.damagedAt(pos, errors.Join(errDamaged, err)); errors.As(err, &hole) {
		return q.marker(pos, hole)
	}
	return batch.Frame{}, err
}

// marker seals the frame that takes the place of a hole from pos to the hole's
// or the epoch's end.
func (q *Queue) marker(pos uint64, hole *HoleError) (batch.Frame, error) {
	e, next := q.epochAt(pos)
	last := hole.Last
	if next != 0 {
		last = min(last, next-1)
	}
	h := shared.Header{
		Edge: e.edge, Epoch: e.epoch, EpochFirst: min(e.first, pos), FirstSeq: pos, Count: last - pos + 1,
		BaseTime: hole.Time, LossReason: shared.LossReason(hole.Reason),
	}
	f, _, err := batch.Next(batch.SealLost(nil, &h))
	return f, err
}
