package ship

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// The compressor makes a channel at its first use, which must not belong to
// the bubble of one test.
func TestMain(m *testing.M) {
	newSource().add(1)
	os.Exit(m.Run())
}

// source is a queue in memory. It has what the shipper's tests need of the
// real one, and no disk, so that time can be virtual.
type source struct {
	mu       sync.Mutex
	id       shared.EdgeID
	epoch    shared.Epoch
	boot     shared.Epoch
	first    uint64 // of the epoch
	frames   []batch.Frame
	next     uint64
	acked    uint64
	rejected uint64
	lost     uint64
	renamed  int
	readErr  error
	ackErr   error
	changed  chan struct{}
}

func newSource() *source {
	return &source{
		id: shared.EdgeID{1}, epoch: 11, boot: 77, first: 1, next: 1, changed: make(chan struct{}),
	}
}

// add seals n events into one frame.
func (s *source) add(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := shared.Header{Edge: s.id, Epoch: s.epoch, EpochFirst: s.first, FirstSeq: s.next, Count: n, BaseTime: time.Now().UnixMicro()}
	e := shared.Event{Site: "a", Kind: shared.KindPageview, Origin: shared.OriginEdge, Time: h.BaseTime}
	var raw []byte
	for range n {
		raw = shared.AppendEvent(raw, &e, h.BaseTime)
	}
	s.push(batch.Seal(nil, &h, raw))
}

// push takes a frame. s.mu is held.
func (s *source) push(b []byte) {
	f, _, err := batch.Next(b)
	if err != nil {
		panic(err)
	}
	s.frames = append(s.frames, f)
	s.next = f.Header.LastSeq() + 1
	close(s.changed)
	s.changed = make(chan struct{})
}

// restart begins a new epoch, as another opening of the queue does.
func (s *source) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.first = s.next
}

func (s *source) Edge() shared.EdgeID { s.mu.Lock(); defer s.mu.Unlock(); return s.id }
func (s *source) Epoch() shared.Epoch { s.mu.Lock(); defer s.mu.Unlock(); return s.epoch }
func (s *source) Boot() shared.Epoch  { return s.boot }
func (s *source) NextSeq() uint64     { s.mu.Lock(); defer s.mu.Unlock(); return s.next }
func (s *source) Acked() uint64       { s.mu.Lock(); defer s.mu.Unlock(); return s.acked }

func (s *source) Kept() (spans []shared.EpochSpan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.frames {
		h := &s.frames[i].Header
		if n := len(spans); n > 0 && spans[n-1].Epoch == h.Epoch {
			spans[n-1].Last = h.LastSeq()
			continue
		}
		spans = append(spans, shared.EpochSpan{Epoch: h.Epoch, Range: shared.Range{First: h.FirstSeq, Last: h.LastSeq()}})
	}
	return spans
}

func (s *source) Read(ctx context.Context, pos uint64) (batch.Frame, error) {
	for {
		s.mu.Lock()
		changed, err := s.changed, s.readErr
		for _, f := range s.frames {
			if f.Header.FirstSeq <= pos && pos <= f.Header.LastSeq() && err == nil {
				s.mu.Unlock()
				return f, nil
			}
		}
		s.mu.Unlock()
		if err != nil {
			return batch.Frame{}, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return batch.Frame{}, ctx.Err()
		}
	}
}

func (s *source) Ack(through, rejected, lost uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ackErr != nil {
		return s.ackErr
	}
	if through > s.acked {
		s.acked = through
		s.rejected += rejected
		s.lost += lost
	}
	return nil
}

func (s *source) NewIdentity() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renamed++
	s.id[0]++
	s.epoch++
	s.first = s.next
	return nil
}

// aggregator is the far end: marks in memory, and a script of refusals.
type aggregator struct {
	t  testing.TB
	mu sync.Mutex

	marks    map[shared.Epoch]uint64 // next expected
	got      []batch.Frame           // accepted, in order
	hellos   []shared.Hello
	requests int
	sizes    []int // frames of each request that was read
	times    []time.Time

	greeted bool
	needsHi bool                                                 // batches before a hello are refused
	before  func(n int, r *http.Request) *http.Response          // answers instead of us, if not nil
	after   func(n int, ack *shared.Ack) (*http.Response, error) // replaces our answer
	onHello func(h *shared.Hello, r *shared.HelloReply) *shared.ErrorBody
	maxBody int
	// refuseFrame returns the status to refuse a request with that has the
	// frame, 0 to take it.
	refuseFrame func(h *shared.Header) int
	rejected    map[uint64]shared.Rejection
}

func newAggregator(t testing.TB) *aggregator {
	return &aggregator{t: t, marks: map[shared.Epoch]uint64{}, rejected: map[uint64]shared.Rejection{}}
}

// RoundTrip makes the aggregator reachable without a network.
func (a *aggregator) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close()
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.requests++
	a.times = append(a.times, time.Now())
	n, before := a.requests, a.before
	a.mu.Unlock()
	if before != nil {
		if resp := before(n, r); resp != nil {
			if resp.StatusCode == 0 {
				return nil, errors.New("connection reset by peer")
			}
			resp.Request = r
			return resp, nil
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if int64(len(body)) != r.ContentLength {
		a.t.Errorf("Content-Length %d of %d bytes", r.ContentLength, len(body))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.maxBody > 0 && len(body) > a.maxBody {
		return respond(http.StatusRequestEntityTooLarge, "<html>nginx</html>"), nil
	}
	if strings.HasSuffix(r.URL.Path, shared.PathHello) {
		return a.hello(body)
	}
	return a.batches(n, body)
}

func (a *aggregator) hello(body []byte) (*http.Response, error) {
	var h shared.Hello
	if err := json.Unmarshal(body, &h); err != nil {
		a.t.Error(err)
	}
	a.hellos = append(a.hellos, h)
	reply := shared.HelloReply{}
	for _, k := range h.Kept {
		expected, ok := a.marks[k.Epoch]
		if !ok {
			expected = k.First
		}
		reply.Expected = append(reply.Expected, shared.EpochMark{Epoch: k.Epoch, Expected: expected})
	}
	if a.onHello != nil {
		if e := a.onHello(&h, &reply); e != nil {
			return respond(http.StatusConflict, e), nil
		}
	}
	a.greeted = true
	return respond(http.StatusOK, reply), nil
}

func (a *aggregator) batches(n int, body []byte) (*http.Response, error) {
	if a.needsHi && !a.greeted {
		return refuse(http.StatusConflict, shared.CodeEdgeUnknown), nil
	}
	for rest := body; len(rest) > 0 && a.refuseFrame != nil; {
		f, after, err := batch.Next(rest)
		if err != nil {
			a.t.Error(err)
			break
		}
		if status := a.refuseFrame(&f.Header); status != 0 {
			return refuse(status, "bad_batch"), nil
		}
		rest = after
	}
	ack := shared.Ack{Rejected: []shared.Rejected{}}
	frames := 0
	for ; len(body) > 0; frames++ {
		f, rest, err := batch.Next(body)
		if err != nil {
			a.t.Errorf("frame %d of the request: %v", frames, err)
			break
		}
		body = rest
		h := &f.Header
		if frames > 0 && h.Epoch != ack.Epoch {
			a.t.Error("two epochs in one request")
		}
		ack.Epoch = h.Epoch
		expected, ok := a.marks[h.Epoch]
		if !ok {
			expected = h.EpochFirst
		}
		if h.FirstSeq > expected {
			if frames == 0 {
				epoch := h.Epoch
				return respond(http.StatusConflict, shared.ErrorBody{Error: shared.ErrorDetail{Code: shared.CodeGap, Expected: expected, Epoch: &epoch}}), nil
			}
			break
		}
		for seq := h.FirstSeq; seq <= h.LastSeq() && h.Kind == shared.BatchData; seq++ {
			if reason := a.rejected[seq]; reason != "" {
				ack.Rejected = append(ack.Rejected, shared.Rejected{Seq: seq, Reason: reason})
			}
		}
		if h.LastSeq() >= expected {
			a.got = append(a.got, f)
			a.marks[h.Epoch] = h.LastSeq() + 1
		}
		ack.AckedThrough = a.marks[h.Epoch] - 1
		ack.Expected = ack.AckedThrough + 1
	}
	a.sizes = append(a.sizes, frames)
	if a.after != nil {
		return a.after(n, &ack)
	}
	return respond(http.StatusOK, ack), nil
}

// respond is an answer; v is JSON or text.
func respond(status int, v any) *http.Response {
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	if text, ok := v.(string); ok {
		w.WriteString(text)
	} else {
		_ = json.NewEncoder(w).Encode(v)
	}
	return w.Result()
}

func refuse(status int, code string) *http.Response {
	return respond(status, shared.ErrorBody{Error: shared.ErrorDetail{Code: code, Message: "no"}})
}

// reset is a connection that breaks before an answer.
func reset() *http.Response { return &http.Response{} }

// wantGot checks that the aggregator has every sequence once and in order, and
// the very bytes of the source.
func (a *aggregator) wantGot(src *source) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	next := uint64(1)
	for _, f := range a.got {
		if f.Header.FirstSeq != next {
			a.t.Fatalf("sequence %d follows %d", f.Header.FirstSeq, next-1)
		}
		next = f.Header.LastSeq() + 1
	}
	src.mu.Lock()
	defer src.mu.Unlock()
	if next != src.next {
		a.t.Fatalf("got through %d of %d", next-1, src.next-1)
	}
	for i, f := range a.got {
		if !bytes.Equal(f.Bytes, src.frames[i].Bytes) {
			a.t.Fatalf("frame %d has other bytes", i)
		}
	}
	if src.acked != src.next-1 {
		a.t.Errorf("acknowledged through %d of %d", src.acked, src.next-1)
	}
}

// logged is a logger that remembers what a person would read.
func logged() (*zap.Logger, func() []string) {
	core, logs := observer.New(zapcore.InfoLevel)
	return zap.New(core), func() (lines []string) {
		for _, e := range logs.All() {
			lines = append(lines, fmt.Sprint(e.Level, " ", e.Message))
		}
		return lines
	}
}

// run starts a shipper between the two; stop ends it and waits.
func run(t testing.TB, src Source, agg http.RoundTripper, change func(*Config)) (s *Shipper, stop func()) {
	t.Helper()
	cfg := Config{URL: "http://aggregator.test/base", Token: "secret", Name: "edge", Version: "1", Transport: agg}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, src)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("status: %+v", s.Status())
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// failureOf is the failure that an error of Drain wraps.
func (s *Shipper) failureOf(err error) (*failure, bool) {
	var f *failure
	ok := errors.As(err, &f)
	return f, ok
}
