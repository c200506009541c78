package receive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Bounds of one request.
const (
	// maxFrames bounds the spool records that one body of tiny frames makes.
	maxFrames = 1024
	// maxRequestEvents bounds the work of one request; what is beyond it is
	// answered as not yet taken and sent again.
	maxRequestEvents = 256 << 10
	// maxSequence leaves room to count on: nobody reaches it honestly.
	maxSequence = 1 << 62
	// sameDamage is how often the very same wrong bytes must come before they
	// are taken for what the edge has, not for what the way did to them.
	sameDamage = 3
)

// sender is what the request headers say of the sending process.
type sender struct {
	boot  shared.Epoch
	clock clock
}

// parseSender reads the clock readings that every batch request carries.
func parseSender(h http.Header, receivedAt time.Time) (sender, error) {
	var s sender
	if err := s.boot.UnmarshalText([]byte(h.Get(shared.HeaderBoot))); err != nil {
		return s, badRequest("header %s: %v", shared.HeaderBoot, err)
	}
	sentAt, err := strconv.ParseInt(h.Get(shared.HeaderSentAt), 10, 64)
	if err != nil || sentAt < 0 || sentAt > saneTime {
		return s, badRequest("header %s must be microseconds since 1970", shared.HeaderSentAt)
	}
	monotonic, err := strconv.ParseInt(h.Get(shared.HeaderMonotonic), 10, 64)
	if err != nil || monotonic < 0 || monotonic > saneTime {
		return s, badRequest("header %s must be microseconds since the process began", shared.HeaderMonotonic)
	}
	now := receivedAt.UnixMicro()
	s.clock = clock{receivedAt: now, skewMS: (sentAt - now) / 1000, notBefore: now - monotonic}
	return s, nil
}

// batches serves POST /v1/batches.
func (r *Receiver) batches(w http.ResponseWriter, req *http.Request, allows Permission) error {
	receivedAt := time.Now()
	if err := requireType(req, shared.ContentTypeBatches); err != nil {
		return err
	}
	from, err := parseSender(req.Header, receivedAt)
	if err != nil {
		return err
	}
	body, release, err := r.readBody(w, req)
	if err != nil {
		return err
	}
	defer release()
	frames, broken, err := split(body)
	if err != nil {
		return err
	}
	var ack *shared.Ack
	if len(frames) > 0 {
		ack, err = r.take(req.Context(), frames, from, &allows)
	} else {
		ack, err = r.unreadable(req.Context(), broken, from, &allows)
	}
	if err != nil {
		return err
	}
	failpoint.Hit("receive.answering")
	return respond(w, http.StatusOK, ack)
}

// broken is the frame that a body could not be read at.
type broken struct {
	bytes []byte
	err   error
}

// split cuts a body into frames. What is damaged ends it: the frames before
// are good, the sender hears how far they went and sends the rest again.
func split(body []byte) ([]batch.Frame, broken, error) {
	var frames []batch.Frame
	for len(body) > 0 {
		f, rest, err := batch.Next(body)
		if err != nil {
			return frames, broken{body, err}, nil
		}
		if len(frames) == maxFrames {
			return nil, broken{}, &httpError{
				status: http.StatusRequestEntityTooLarge, code: "too_large",
				message: fmt.Sprintf("more than %d batches in one request", maxFrames),
			}
		}
		if f.Header.LastSeq() > maxSequence {
			return nil, broken{}, badRequest("sequence %d is too high", f.Header.LastSeq())
		}
		if len(frames) > 0 && (f.Header.Edge != frames[0].Header.Edge || f.Header.Epoch != frames[0].Header.Epoch) {
			return nil, broken{}, badRequest("batches of more than one edge or epoch in one request")
		}
		frames = append(frames, f)
		body = rest
	}
	if len(frames) == 0 {
		return nil, broken{}, badRequest("no batch in the request")
	}
	return frames, broken{}, nil
}

// standsFor checks that the sending process may speak for the edge.
func (r *Receiver) standsFor(id shared.EdgeID, nonce shared.Epoch) error {
	if id == LocalEdge { // which is no secret, and nobody's but ours
		return edgeInUse()
	}
	switch r.boots.batch(id, nonce) {
	case standsUnknown:
		return &httpError{status: http.StatusConflict, code: shared.CodeEdgeUnknown, message: "say hello first"}
	case standsReplaced:
		return edgeInUse()
	}
	return nil
}

// lockEdge gets the edge's lock, or asks the sender to come back. An edge that
// is another token's is refused: who holds one token could otherwise use up the
// sequences of every edge.
func (r *Receiver) lockEdge(ctx context.Context, id shared.EdgeID, allows *Permission) (*edge, error) {
	e := r.edge(id)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := e.acquire(ctx); err != nil {
		return nil, busy("another request of this edge is still being taken in", err)
	}
	if owner := e.info.Owner; allows.Edge != "" && owner != "" && owner != allows.Edge {
		e.releaseLock()
		return nil, &httpError{
			status: http.StatusForbidden, code: "edge_not_allowed",
			message: "this queue belongs to another edge than the token: use that edge's token, or start with an empty queue directory",
		}
	}
	return e, nil
}

// take decides and records frames of one edge and epoch, in order, and returns
// how far it came. An error means that it did not get beyond the first.
func (r *Receiver) take(ctx context.Context, frames []batch.Frame, from sender, allows *Permission) (*shared.Ack, error) {
	head := &frames[0].Header
	if err := r.standsFor(head.Edge, from.boot); err != nil {
		return nil, err
	}
	e, err := r.lockEdge(ctx, head.Edge, allows)
	if err != nil {
		return nil, err
	}
	defer e.releaseLock()
	t := r.newTaking(e, head, from, allows)
	defer t.abandon()
	why := t.frames(ctx, frames)
	if err := t.flush(ctx); err != nil && why == nil {
		why = err
	}
	if why != nil && !t.progress {
		return nil, why
	}
	return t.answer(), nil
}

// unreadable answers a body whose first frame can't be read. A wrong checksum
// is most likely damage on the way, so the edge is asked for the bytes again;
// it verifies them itself when it reads its queue. But if the very same wrong
// bytes come time and again, and their header fits what is expected, sending
// them once more won't help: they go to the dead letters and their range
// counts as lost, instead of blocking the queue.
func (r *Receiver) unreadable(ctx context.Context, b broken, from sender, allows *Permission) (*shared.Ack, error) {
	refusal := &httpError{
		status: http.StatusBadRequest, code: "bad_batch", cause: b.err,
		message: "the first batch can't be read; send it again",
	}
	if !errors.Is(b.err, batch.ErrChecksum) {
		return nil, refusal
	}
	f, err := batch.Unverified(b.bytes)
	if err != nil || f.Header.LastSeq() > maxSequence || f.Header.Kind != shared.BatchData {
		return nil, refusal
	}
	f.Header.Counters = shared.Counters{} // no books are kept by what may be damage
	if err := r.standsFor(f.Header.Edge, from.boot); err != nil {
		return nil, err
	}
	e, err := r.lockEdge(ctx, f.Header.Edge, allows)
	if err != nil {
		return nil, err
	}
	defer e.releaseLock()
	t := r.newTaking(e, &f.Header, from, nil)
	defer t.abandon()
	where, at := locate(&t.mark, &f.Header)
	if !t.known || where == placeGap {
		return nil, refusal
	}
	if where == placeFresh {
		if !e.damaged.again(f.Sum) {
			return nil, refusal
		}
		t.quarantine(&f, at, 0, quarantineDamaged, b.err)
		if err := t.flush(ctx); err != nil {
			return nil, err
		}
	}
	e.repeat(&f, t.mark.Expected-1, &t.ack)
	return t.answer(), nil
}

// quarantined logs what went to the dead letters; a person may want to look.
func (r *Receiver) quarantined(h *shared.Header, reason quarantine, cause error) {
	r.metrics.quarantined.WithLabelValues(string(reason)).Inc()
	r.log.Error("batch quarantined", zap.String("reason", string(reason)), zap.Stringer("edge", h.Edge),
		zap.Stringer("epoch", h.Epoch), zap.Uint64("first_seq", h.FirstSeq), zap.Uint64("last_seq", h.LastSeq()),
		zap.Error(cause))
}
