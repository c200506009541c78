package receive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// taking is one request's frames on their way into the spool. It works on
// copies of the mark and the edge's record; they become true when the records
// that they follow from are durable. The edge's lock is held throughout.
type taking struct {
	r     *Receiver
	e     *edge
	from  sender
	allow *Permission

	mark    state.Mark
	known   bool // the mark was there before
	info    state.Edge
	highest uint64 // the edge's highest mark

	ack      shared.Ack
	chunk    []*decided // decided, not yet recorded
	inChunk  int        // events in it
	total    int
	progress bool // something was recorded, or known already
}

func (r *Receiver) newTaking(e *edge, h *shared.Header, from sender, allow *Permission) *taking {
	t := &taking{r: r, e: e, from: from, allow: allow, info: e.info}
	t.mark, t.known = r.marks.get(h)
	t.highest = r.marks.highest(h.Edge)
	t.ack = shared.Ack{Epoch: h.Epoch, Rejected: []shared.Rejected{}}
	if r.boots.epoch(from.boot) != h.Epoch {
		// The process's start says nothing about an epoch of an earlier one.
		t.from.clock.notBefore = 0
	}
	return t
}

// frames takes in what it can, and says why it stopped.
func (t *taking) frames(ctx context.Context, frames []batch.Frame) error {
	for i := range frames {
		if i > 0 && len(t.ack.Rejected) > maxRequestEvents {
			return nil // one frame repeated a thousand times asks for as many answers
		}
		f := &frames[i]
		where, from := locate(&t.mark, &f.Header)
		switch where {
		case placeGap:
			return t.gap(f)
		case placeDuplicate:
			// Records of this request may be among what it repeats.
			if err := t.flush(ctx); err != nil {
				return err
			}
			t.duplicate(f, f.Header.Count)
			continue
		}
		if from > f.Header.FirstSeq {
			t.duplicate(f, from-f.Header.FirstSeq)
		}
		if t.total += int(min(f.Header.Count, shared.MaxBatchEvents)); t.total > maxRequestEvents && i > 0 {
			return nil
		}
		if err := t.reserveAndDecide(ctx, f, from); err != nil {
			return err
		}
		if t.inChunk >= chunkEvents {
			if err := t.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *taking) gap(f *batch.Frame) error {
	epoch := f.Header.Epoch
	return &httpError{
		status: http.StatusConflict, code: shared.CodeGap, expected: t.mark.Expected, epoch: &epoch,
		message: fmt.Sprintf("sequence %d came, %d is expected", f.Header.FirstSeq, t.mark.Expected),
	}
}

// duplicate counts what is known already and repeats what was said of it. The
// same range with other bytes means that a sequence was used twice, or that
// somebody forges: it is kept for a person to look at, and not counted.
func (t *taking) duplicate(f *batch.Frame, n uint64) {
	t.progress = true
	if f.Header.Kind == shared.BatchData {
		t.r.metrics.duplicate.Add(float64(n))
	}
	if t.e.repeat(f, t.mark.Expected-1, &t.ack) {
		t.r.keep(f, quarantineConflict, errConflict, t.from.clock.receivedAt)
	}
}

var errConflict = errors.New("the same sequences came before with other bytes")

// reserveAndDecide makes room for the frame's events and decides them. While
// it waits for room it holds none, so that requests can't block each other.
func (t *taking) reserveAndDecide(ctx context.Context, f *batch.Frame, from uint64) error {
	room := int64(1) // a loss marker has no events, but waits for the lake like one
	if f.Header.Kind == shared.BatchData {
		room = int64(f.Header.Count)
	}
	if !t.r.room.TryAcquire(room) {
		if err := t.flush(ctx); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := t.r.room.Acquire(ctx, room); err != nil {
			return busy("the lake is behind", err)
		}
	}
	d := t.decide(f, from, room)
	if d == nil {
		t.r.room.Release(room - 1) // the marker in its place keeps one
	}
	return nil
}

// decide adds the frame to the chunk; nil means that it was quarantined.
func (t *taking) decide(f *batch.Frame, from uint64, room int64) *decided {
	d := &decided{room: room}
	dn := decision{registry: t.r.cfg.Registry, allows: t.allow, clock: t.from.clock, from: from, out: d}
	if err := dn.events(f); err != nil {
		d.recycle()
		t.quarantine(f, from, 1, quarantineUndecodable, err)
		return nil
	}
	t.add(&dn, f)
	t.ack.Rejected = append(t.ack.Rejected, d.batch.Rejected...)
	return d
}

// quarantine puts the frame into the dead letters and a loss marker over its
// range from from on into the chunk, which takes over room.
func (t *taking) quarantine(f *batch.Frame, from uint64, room int64, reason quarantine, cause error) {
	t.r.keep(f, reason, cause, t.from.clock.receivedAt)
	h := f.Header
	h.FirstSeq, h.Count = from, f.Header.LastSeq()-from+1
	h.LossReason = shared.LossUndecodable
	marker, _, err := batch.Next(batch.SealLost(nil, &h))
	if err != nil {
		panic(err) // made of a header that was parsed
	}
	dn := decision{clock: t.from.clock, from: from, out: &decided{room: room}}
	t.add(&dn, &marker)
	t.ack.Undecodable = append(t.ack.Undecodable, shared.Range{First: from, Last: h.LastSeq()})
}

// add concludes a decision and moves the working copies on.
func (t *taking) add(dn *decision, f *batch.Frame) {
	dn.conclude(f, t.mark, f.Header.LastSeq() >= t.highest, t.info)
	d := dn.out
	d.record = spool.Record{
		ReceivedAt: dn.clock.receivedAt, SkewMS: dn.clock.skewMS, NotBefore: dn.clock.notBefore,
		AcceptFrom: dn.from, Rejected: d.batch.Rejected, Frame: f.Bytes,
	}
	t.mark, t.info = d.batch.Mark, d.batch.Edge
	t.highest = max(t.highest, t.mark.Expected)
	t.chunk = append(t.chunk, d)
	t.inChunk += len(d.batch.Events)
}

// flush records the chunk and makes what follows from it true. The client's
// patience no longer matters from here on: half a chunk helps nobody.
func (t *taking) flush(ctx context.Context) error {
	if len(t.chunk) == 0 {
		return nil
	}
	failpoint.Hit("receive.decided")
	records := make([]spool.Record, len(t.chunk))
	for i, d := range t.chunk {
		records[i] = d.record
	}
	first, n, err := t.r.cfg.Spool.AppendSync(context.WithoutCancel(ctx), records...)
	failpoint.Hit("receive.recorded")
	for i, d := range t.chunk[:n] {
		d.batch.SpoolPos = first + uint64(i)
		t.commit(d)
	}
	for _, d := range t.chunk[n:] {
		t.forget(d)
	}
	full := len(t.chunk) == n
	t.chunk, t.inChunk = t.chunk[:0], 0
	if err != nil || !full {
		return t.r.spoolRefused(err)
	}
	return nil
}

// commit makes one recorded batch true.
func (t *taking) commit(d *decided) {
	r := t.r
	t.progress = true
	r.marks.put(d.batch.Mark)
	t.e.info = d.batch.Edge
	t.e.lagMS = d.lagMS
	t.e.remember(d.verdict)
	t.e.publish(r.marks)
	r.metrics.taken(d)
	r.hand.put(pending{batch: d.batch, release: func() {
		d.recycle()
		r.room.Release(d.room)
	}})
}

// forget undoes the working copies from a batch on that was not recorded.
func (t *taking) forget(d *decided) {
	seq := d.record.AcceptFrom
	if seq < t.mark.Expected {
		t.mark, t.known = t.r.marks.get(&d.batch.Header)
		t.highest = t.r.marks.highest(t.mark.Edge)
		t.info = t.e.info
	}
	for n := len(t.ack.Rejected); n > 0 && t.ack.Rejected[n-1].Seq >= seq; n-- {
		t.ack.Rejected = t.ack.Rejected[:n-1]
	}
	for n := len(t.ack.Undecodable); n > 0 && t.ack.Undecodable[n-1].First >= seq; n-- {
		t.ack.Undecodable = t.ack.Undecodable[:n-1]
	}
	d.recycle()
	t.r.room.Release(d.room)
}

// abandon gives back what an early end left behind.
func (t *taking) abandon() {
	for _, d := range t.chunk {
		t.forget(d)
	}
	t.chunk = nil
}

// answer is what was reached. A frame that repeats another one of the same
// request has brought its verdicts twice.
func (t *taking) answer() *shared.Ack {
	slices.SortFunc(t.ack.Rejected, func(a, b shared.Rejected) int { return cmp.Compare(a.Seq, b.Seq) })
	t.ack.Rejected = slices.CompactFunc(t.ack.Rejected, func(a, b shared.Rejected) bool { return a.Seq == b.Seq })
	slices.SortFunc(t.ack.Undecodable, func(a, b shared.Range) int { return cmp.Compare(a.First, b.First) })
	t.ack.Undecodable = slices.Compact(t.ack.Undecodable)
	t.ack.AckedThrough = t.mark.Expected - 1
	t.ack.Expected = t.mark.Expected
	return &t.ack
}

// spoolRefused turns a refused append into the answer "later".
func (r *Receiver) spoolRefused(err error) error {
	if errors.Is(err, spool.ErrFull) {
		return busy("the spool is full", err)
	}
	return busy("the spool can't be written", err)
}
