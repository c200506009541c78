package receive

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/shared/batch"
)

// replay reads the spool. Records up to through are in committed segments and
// only refresh the memory of recent verdicts. Those after it are decided as
// they were when they came, and go to the sink.
//
// The marks decide here as they do for a request: a record below the mark is
// in the lake already, and one beyond it is not taken, because something
// before it is missing (a damaged spool, a restored state). Its edge is asked
// for all of that again, and keeps it for such a case.
func (r *Receiver) replay(ctx context.Context, through uint64) error {
	var replayed, events, skipped uint64
	damaged, err := r.cfg.Spool.Replay(0, func(pos uint64, rec spool.Record) error {
		f, rest, err := batch.Next(rec.Frame)
		if err != nil || len(rest) != 0 {
			r.log.Error("spool record without a sound frame", zap.Uint64("position", pos), zap.Error(err))
			skipped++
			return nil
		}
		e := r.edge(f.Header.Edge)
		if pos <= through {
			e.remember(verdictOf(&f, &rec))
			return nil
		}
		d, ok, err := r.again(e, &f, &rec)
		if err != nil {
			r.log.Error("spool record can't be decoded", zap.Uint64("position", pos), zap.Error(err))
		}
		if !ok {
			skipped++
			return nil
		}
		defer d.recycle()
		d.batch.SpoolPos = pos
		if err := r.cfg.Sink.Ingest(ctx, d.batch); err != nil {
			return fmt.Errorf("hand spool record %d to the lake: %w", pos, err)
		}
		r.marks.put(d.batch.Mark)
		e.info = d.batch.Edge
		e.lagMS = d.lagMS
		e.remember(d.verdict)
		e.publish(r.marks)
		replayed++
		events += uint64(len(d.batch.Events))
		return nil
	})
	if err != nil {
		return err
	}
	if replayed+skipped+damaged > 0 {
		r.log.Info("spool replayed", zap.Uint64("batches", replayed), zap.Uint64("events", events),
			zap.Uint64("skipped", skipped), zap.Uint64("damaged", damaged))
	}
	return nil
}

// again decides a recorded frame a second time. ok is false if it is not to be
// taken.
func (r *Receiver) again(e *edge, f *batch.Frame, rec *spool.Record) (d *decided, ok bool, err error) {
	mark, _ := r.marks.get(&f.Header)
	where, from := locate(&mark, &f.Header)
	if where != placeFresh || rec.AcceptFrom > mark.Expected {
		return nil, false, nil
	}
	dn := decision{
		registry: r.cfg.Registry,
		clock:    clock{receivedAt: rec.ReceivedAt, skewMS: rec.SkewMS, notBefore: rec.NotBefore},
		from:     from, replay: true, known: rec.Rejected, out: &decided{},
	}
	for len(dn.known) > 0 && dn.known[0].Seq < from {
		dn.known = dn.known[1:]
	}
	if err := dn.events(f); err != nil {
		dn.out.recycle()
		return nil, false, err
	}
	dn.conclude(f, mark, f.Header.LastSeq() >= r.marks.highest(mark.Edge), e.info)
	return dn.out, true, nil
}

// verdictOf is what a record says was decided.
func verdictOf(f *batch.Frame, rec *spool.Record) verdict {
	v := verdictFor(f, rec.AcceptFrom)
	v.rejected = rec.Rejected
	return v
}
