package ship

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// deliver sends one window and does what the answer says.
func (s *Shipper) deliver(ctx context.Context, frames []batch.Frame) error {
	failpoint.Hit("ship.sending")
	var ack shared.Ack
	err := s.post(ctx, shared.PathBatches, shared.ContentTypeBatches, framesBody(frames), &ack)
	failpoint.Hit("ship.answered")
	if err == nil {
		err = s.acknowledge(frames, &ack)
	}
	if err != nil {
		return s.refusedWindow(ctx, frames, err)
	}
	s.failed.reset()
	s.refused = refusal{}
	s.window.grow()
	return nil
}

// errAnswer is an answer of 200 that acknowledges nothing of what was sent: a
// captive portal, another service, or an aggregator out of order.
var errAnswer = errors.New("the answer acknowledges nothing of what was sent")

// acknowledge passes on to the queue what is newly acknowledged.
func (s *Shipper) acknowledge(frames []batch.Frame, ack *shared.Ack) error {
	first, last := frames[0].Header.FirstSeq, frames[len(frames)-1].Header.LastSeq()
	if ack.Epoch != frames[0].Header.Epoch || ack.AckedThrough < first {
		return &failure{state: StateRefused, err: errAnswer}
	}
	through := min(ack.AckedThrough, last)
	before := s.src.Acked()
	if through > before {
		newly := shared.Range{First: before + 1, Last: through}
		if err := s.src.Ack(through, countIn(newly, ack), lostIn(newly, frames, ack)); err != nil {
			return &failure{state: StateQueue, err: fmt.Errorf("acknowledge to the queue: %w", err)}
		}
	}
	failpoint.Hit("ship.acknowledged")
	s.ahead.drop(through)
	s.connected(through, ack.Rejected)
	return nil
}

// countIn counts the refused events in a range, each once.
func countIn(in shared.Range, ack *shared.Ack) (n uint64) {
	slices.SortFunc(ack.Rejected, func(a, b shared.Rejected) int { return cmp.Compare(a.Seq, b.Seq) })
	for i, rej := range ack.Rejected {
		if rej.Seq >= in.First && rej.Seq <= in.Last && (i == 0 || rej.Seq != ack.Rejected[i-1].Seq) {
			n++
		}
	}
	return n
}

// lostIn counts the sequences of a range that are lost, each once: those whose
// batch the aggregator could not read, and those that went out as markers of
// the shipper's own, which an aggregator that has them already names as
// undecodable too. The markers of the queue it has counted itself.
func lostIn(in shared.Range, frames []batch.Frame, ack *shared.Ack) (n uint64) {
	ranges := slices.Clone(ack.Undecodable)
	for i := range frames {
		h := &frames[i].Header
		if h.Kind == shared.BatchLost && h.LossReason == shared.LossUndecodable {
			ranges = append(ranges, shared.Range{First: h.FirstSeq, Last: h.LastSeq()})
		}
	}
	slices.SortFunc(ranges, func(a, b shared.Range) int { return cmp.Compare(a.First, b.First) })
	next := in.First // not yet counted
	for _, r := range ranges {
		first, last := max(r.First, next), min(r.Last, in.Last)
		if first <= last {
			n += last - first + 1
			next = last + 1
		}
	}
	return n
}

// refusedWindow learns from a refusal, and turns it into what to do next: nil
// where the next step is clear and can be taken at once.
func (s *Shipper) refusedWindow(ctx context.Context, frames []batch.Frame, err error) error {
	var f *failure
	if !errors.As(err, &f) {
		return err
	}
	bytes := sizeOf(frames)
	switch {
	case f.code == shared.CodeEdgeUnknown:
		s.SitesChanged()
		if s.failed.once("hello") {
			s.ahead.nudge()
			return nil
		}
	case f.code == shared.CodeEdgeInUse:
		return s.newIdentity(f)
	case f.code == shared.CodeGap && f.expected != 0 && f.expected < frames[0].Header.FirstSeq &&
		f.epoch != nil && *f.epoch == frames[0].Header.Epoch && s.failed.once(fmt.Sprint("gap ", f.expected)):
		s.log.Info("aggregator asks for earlier events again", zap.Uint64("expected", f.expected),
			zap.Uint64("next", frames[0].Header.FirstSeq))
		s.ahead.seek(ctx, f.expected)
		return nil
	case f.status == http.StatusRequestEntityTooLarge && len(frames) > 1:
		s.window.limit(bytes, len(frames))
		s.ahead.nudge()
		return nil
	case f.timeout:
		s.window.shrink(bytes, len(frames))
	case f.unwanted() && len(frames) > 1:
		// One of them may be what is refused; find out which.
		s.window.single()
	case f.unwanted():
		s.giveUp(&frames[0])
	}
	return err
}

// newIdentity takes another edge id after two processes were found to send as
// this edge, and says hello with it.
func (s *Shipper) newIdentity(f *failure) error {
	if !s.failed.once("identity") {
		return f
	}
	was := s.src.Edge()
	if err := s.src.NewIdentity(); err != nil {
		return &failure{state: StateQueue, err: fmt.Errorf("take a new edge id: %w", err)}
	}
	s.log.Warn("another process sends as this edge, a new edge id was taken: was the queue directory copied?",
		zap.Stringer("edge", was), zap.Stringer("new_edge", s.src.Edge()))
	s.SitesChanged()
	s.ahead.nudge()
	return nil
}

// Giving up on one frame: so many refusals of its content over so long a time.
const (
	giveUpTries = 10
	giveUpAfter = time.Hour
)

// refusal follows one frame that is refused for what it is.
type refusal struct {
	seq   uint64
	tries int
	since time.Time
}

// giveUp notes that a frame was refused alone. The queue has verified it when
// it was read, and the aggregator puts aside what it can't decode, so this is
// something on the way that will never let these bytes pass. After an hour a
// loss marker takes the frame's place: what comes after it must not wait for
// ever.
func (s *Shipper) giveUp(f *batch.Frame) {
	h := f.Header
	if s.refused.seq != h.FirstSeq {
		s.refused = refusal{seq: h.FirstSeq, since: time.Now()}
	}
	s.refused.tries++
	if s.refused.tries < giveUpTries || time.Since(s.refused.since) < giveUpAfter || h.Kind != shared.BatchData {
		return
	}
	s.log.Error("a batch is refused for ever and counts as lost", zap.Uint64("first_seq", h.FirstSeq),
		zap.Uint64("last_seq", h.LastSeq()))
	h.LossReason = shared.LossUndecodable
	marker, _, err := batch.Next(batch.SealLost(nil, &h))
	if err != nil {
		panic(err) // made of a header that was parsed
	}
	s.ahead.replace(marker)
}

func sizeOf(frames []batch.Frame) (n int) {
	for i := range frames {
		n += len(frames[i].Bytes)
	}
	return n
}
