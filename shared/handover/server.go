package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// Log is where events go: the collector's queue.
type Log interface {
	// AddWhole writes the events together or not at all, and says before it
	// does which sequence the first of them will have, and the checksum of
	// what is written. Where before fails, nothing is written.
	AddWhole(events []shared.Event, before func(first uint64, sum [batch.SumSize]byte) error) error
	// Holds tells whether what was announced so is in the log and durable; an
	// error means that this can't be said yet.
	Holds(first uint64, sum [batch.SumSize]byte) (bool, error)
	Capture(n uint64)
	Discard(n uint64, r shared.DropReason)
}

// Config of a Server. State, Announce and Report may be nil.
type Config struct {
	Log Log
	// State is what a proxy needs to enrich; nil = not known yet.
	State func() *shared.EdgeState
	// Announce says which sites the proxies' configurations name.
	Announce func([]shared.SiteHello)
	// Report is told which hosts the proxies were asked for that are no site's.
	Report func([]shared.UnknownHost)
	// Marks is the file in which the marks outlive the process; "" = none.
	Marks  string
	Logger *zap.Logger
}

// Bounds of a request, and of what is remembered.
const (
	maxHello  = 4 << 20
	maxReport = 256 << 10
	// maxLives is how many lives of proxies are remembered, those heard of last:
	// as many as a machine has that restarts its proxy every hour for some days.
	maxLives = 64
)

// Server is the http.Handler of the collector's socket: the part of the
// aggregator's protocol that a Buffer's shipper needs. Who may open the socket
// may use it.
type Server struct {
	cfg Config
	log *zap.Logger
	mux *http.ServeMux

	mu    sync.Mutex // held while a batch is taken in: batches of a life come in order
	lives map[shared.Epoch]*life
	order []shared.Epoch // least recently used first
	file  *marksFile
	stuck bool // the file could not be written last time
}

// intent is a batch of which it is open whether the log has it: it is being
// written, or its sync failed, or a process was killed. If the log holds it, the
// life's events before reaches are in it. The zero intent is none.
type intent struct {
	reaches uint64
	first   uint64 // sequence in the log
	sum     [batch.SumSize]byte
}

// life is one proxy process.
type life struct {
	expected uint64 // the log has what is before
	open     intent
	dropped  [shared.NumDropReasons]uint64
	sites    []shared.SiteHello
}

// NewServer opens the file of marks and prepares the handler.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	s := &Server{cfg: cfg, log: cfg.Logger, lives: map[shared.Epoch]*life{}, mux: http.NewServeMux()}
	if cfg.Marks != "" {
		var err error
		if s.file, err = openMarks(cfg.Marks, s); err != nil {
			return nil, fmt.Errorf("hand-over marks: %w", err)
		}
		for _, l := range s.lives {
			_ = s.settle(l) // what can't be said yet is asked again when the batch comes
		}
		_ = s.note()
	}
	s.mux.HandleFunc("POST "+shared.PathHello, s.handle(s.hello))
	s.mux.HandleFunc("POST "+shared.PathBatches, s.handle(s.batches))
	s.mux.HandleFunc(shared.PathEdge, s.handle(s.edge))
	return s, nil
}

// Close lets go of the file of marks. No request may be running.
func (s *Server) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.close()
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// refusal is how a handler says no.
type refusal struct {
	status     int
	detail     shared.ErrorDetail
	retryAfter int // seconds
}

func (r *refusal) Error() string { return r.detail.Message }

func refuse(status int, code, format string, args ...any) error {
	return &refusal{status: status, detail: shared.ErrorDetail{Code: code, Message: fmt.Sprintf(format, args...)}}
}

func (s *Server) handle(h func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := h(r)
		status := http.StatusOK
		if err != nil {
			var no *refusal
			if !errors.As(err, &no) {
				no = &refusal{status: http.StatusServiceUnavailable, retryAfter: 1, detail: shared.ErrorDetail{Code: "busy", Message: err.Error()}}
			}
			status, answer = no.status, shared.ErrorBody{Error: no.detail}
			if no.retryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(no.retryAfter))
			}
		} else if state, ok := answer.(*shared.EdgeState); ok {
			tag := strconv.Quote(state.Version)
			w.Header().Set("ETag", tag)
			if r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer) // the proxy asks again
	}
}

func (s *Server) edge(r *http.Request) (any, error) {
	var state *shared.EdgeState
	if s.cfg.State != nil {
		state = s.cfg.State()
	}
	if state == nil {
		// Before the report is looked at: it will come again.
		return nil, &refusal{
			status: http.StatusServiceUnavailable, retryAfter: 1,
			detail: shared.ErrorDetail{Code: "busy", Message: "the collector has not reached its aggregator yet"},
		}
	}
	if r.Method == http.MethodPost {
		var report shared.EdgeReport
		if err := json.NewDecoder(io.LimitReader(r.Body, maxReport)).Decode(&report); err != nil {
			return nil, refuse(http.StatusBadRequest, "bad_request", "report: %v", err)
		}
		if s.cfg.Report != nil {
			s.cfg.Report(report.UnknownHosts)
		}
	}
	return state, nil
}

func (s *Server) hello(r *http.Request) (any, error) {
	var hello shared.Hello
	if err := json.NewDecoder(io.LimitReader(r.Body, maxHello)).Decode(&hello); err != nil {
		return nil, refuse(http.StatusBadRequest, "bad_request", "hello: %v", err)
	}
	if hello.Epoch == 0 || hello.Edge.IsZero() {
		return nil, refuse(http.StatusBadRequest, "bad_request", "hello needs edge and epoch")
	}
	s.mu.Lock()
	l := s.life(hello.Epoch)
	l.sites = hello.Sites
	var all []shared.SiteHello
	for _, epoch := range s.order {
		all = append(all, s.lives[epoch].sites...)
	}
	reply := shared.HelloReply{Expected: []shared.EpochMark{}, Sites: []shared.SiteReply{}}
	for _, span := range hello.Kept {
		if known := s.lives[span.Epoch]; known != nil {
			reply.Expected = append(reply.Expected, shared.EpochMark{Epoch: span.Epoch, Expected: known.expected})
		}
	}
	s.mu.Unlock()
	if s.cfg.Announce != nil {
		s.cfg.Announce(all)
	}
	return reply, nil
}

// life returns what is remembered of a proxy process. To make room for one that
// is new, that which was not heard of for longest is forgotten. s.mu is held.
func (s *Server) life(epoch shared.Epoch) *life {
	l := s.lives[epoch]
	switch {
	case l != nil:
		at := slices.Index(s.order, epoch)
		s.order = slices.Delete(s.order, at, at+1)
	case len(s.order) >= maxLives:
		delete(s.lives, s.order[0])
		s.order = slices.Delete(s.order, 0, 1)
	}
	if l == nil {
		l = &life{expected: 1}
		s.lives[epoch] = l
	}
	s.order = append(s.order, epoch)
	return l
}

func (s *Server) batches(r *http.Request) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, shared.MaxBody+1))
	switch {
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "body_incomplete", "the body ended early")
	case len(body) > shared.MaxBody:
		return nil, refuse(http.StatusRequestEntityTooLarge, "too_large", "body larger than %d bytes", shared.MaxBody)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ack := shared.Ack{Rejected: []shared.Rejected{}}
	for len(body) > 0 {
		f, rest, err := batch.Next(body)
		if err != nil {
			return s.part(&ack, refuse(http.StatusBadRequest, "bad_batch", "a batch can't be read: %v", err))
		}
		if err := s.take(&f, &ack); err != nil {
			return s.part(&ack, err)
		}
		body = rest
	}
	return &ack, nil
}

// part answers how far a request came, if it came anywhere.
func (s *Server) part(ack *shared.Ack, err error) (any, error) {
	if ack.Expected != 0 {
		return ack, nil
	}
	return nil, err
}

// take writes one frame's events. s.mu is held.
func (s *Server) take(f *batch.Frame, ack *shared.Ack) error {
	h := &f.Header
	l := s.life(h.Epoch)
	// A life has one open batch at most, and nothing of it is taken, or
	// acknowledged, before that is decided.
	changed := l.open != intent{}
	if err := s.settle(l); err != nil {
		return fmt.Errorf("an earlier batch is open: %w", err)
	}
	if h.FirstSeq > l.expected {
		epoch := h.Epoch
		return &refusal{status: http.StatusConflict, detail: shared.ErrorDetail{
			Code: shared.CodeGap, Expected: l.expected, Epoch: &epoch,
			Message: fmt.Sprintf("sequence %d came, %d is expected", h.FirstSeq, l.expected),
		}}
	}
	if h.LastSeq() >= l.expected {
		events, rejected, err := fresh(f, l.expected)
		if err != nil {
			return refuse(http.StatusBadRequest, "bad_batch", "a batch can't be read: %v", err)
		}
		if err := s.write(l, h.LastSeq()+1, events); err != nil {
			return err
		}
		ack.Rejected = append(ack.Rejected, rejected...)
		changed = true
	}
	if s.drops(l, &h.Counters) || changed {
		_ = s.note() // where it fails, the file has the batch as an open one
	}
	ack.Epoch, ack.AckedThrough, ack.Expected = h.Epoch, l.expected-1, l.expected
	return nil
}

// write writes the events with which a life comes to reaches. s.mu is held.
func (s *Server) write(l *life, reaches uint64, events []shared.Event) error {
	if len(events) > 0 {
		err := s.cfg.Log.AddWhole(events, func(first uint64, sum [batch.SumSize]byte) error {
			l.open = intent{reaches: reaches, first: first, sum: sum}
			return s.note()
		})
		if err != nil && s.settle(l) != nil {
			return err // open: not to be written again before it is decided
		}
		if err != nil && l.expected < reaches {
			_ = s.note() // where it fails, the log knows better than the file
			return err
		}
	}
	l.expected, l.open = reaches, intent{}
	return nil
}

// settle decides about the open batch of a life, if it has one. s.mu is held.
func (s *Server) settle(l *life) error {
	if l.open == (intent{}) {
		return nil
	}
	held, err := s.cfg.Log.Holds(l.open.first, l.open.sum)
	if err != nil {
		return err
	}
	if held {
		l.expected = max(l.expected, l.open.reaches)
	}
	l.open = intent{}
	return nil
}

// note writes the marks. s.mu is held.
func (s *Server) note() error {
	if s.file == nil {
		return nil
	}
	err := s.file.put(s)
	if stuck := err != nil; stuck != s.stuck {
		s.stuck = stuck
		if stuck {
			s.log.Warn("hand-over marks can't be written: no batch is taken until they can", zap.Error(err))
		} else {
			s.log.Info("hand-over marks are written again")
		}
	}
	if err != nil {
		return fmt.Errorf("write hand-over marks: %w", err)
	}
	return nil
}

// fresh decodes the events from sequence from on. What can't be read is
// refused here: the collector answers for what it seals.
func fresh(f *batch.Frame, from uint64) (events []shared.Event, rejected []shared.Rejected, err error) {
	err = f.Events(func(i uint64, e *shared.Event, err error) {
		seq := f.Header.FirstSeq + i
		switch {
		case seq < from:
		case err != nil:
			rejected = append(rejected, shared.Rejected{Seq: seq, Reason: shared.RejectMalformed})
		default:
			events = append(events, *e)
		}
	})
	return events, rejected, err
}

// drops takes over what the proxy dropped since the last batch, if anything.
func (s *Server) drops(l *life, c *shared.Counters) (more bool) {
	for r := range c.Dropped {
		if n := c.Dropped[r].Count; n > l.dropped[r] {
			s.cfg.Log.Capture(n - l.dropped[r])
			s.cfg.Log.Discard(n-l.dropped[r], shared.DropReason(r))
			l.dropped[r], more = n, true
		}
	}
	return more
}
