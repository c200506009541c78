package replay

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/eider-analytics/eider/cmd/internal/progress"
	"github.com/eider-analytics/eider/shared/accesslog"
)

// Sent counts what was sent and what came back.
type Sent struct {
	Answered uint64            // requests with a complete answer
	Altered  uint64            // of these, with another status or length than the log's
	Failed   uint64            // requests without a complete answer
	LeftOut  map[string]uint64 // lines that are no requests to replay, by reason
	FirstErr error             // of Failed and Altered
	Took     time.Duration
}

// sender plays a log. Requests of one client go through one lane, one after
// the other; lanes are independent.
type sender struct {
	base    *url.URL
	site    string
	host    string // of every request; empty = the log's own
	client  *http.Client
	limiter *rate.Limiter
	lanes   []chan accesslog.Entry

	answered, altered, failed atomic.Uint64

	mu       sync.Mutex
	firstErr error
}

func newSender(o *Options, base *url.URL) *sender {
	s := &sender{base: base, site: o.Site, lanes: make([]chan accesslog.Entry, o.Concurrency)}
	if o.Through != "" {
		s.host = base.Hostname()
	}
	s.client = &http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: o.Concurrency, MaxConnsPerHost: o.Concurrency,
			DisableCompression: true, ResponseHeaderTimeout: 30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	limit := rate.Inf
	if o.Rate > 0 {
		limit = rate.Limit(o.Rate)
	}
	s.limiter = rate.NewLimiter(limit, 1)
	for i := range s.lanes {
		s.lanes[i] = make(chan accesslog.Entry, 16)
	}
	return s
}

// run sends the log until it ends, limit requests are sent, or ctx ends;
// requests that are on their way then are answered still.
func (s *sender) run(ctx context.Context, log *accesslog.Parser, limit int) (Sent, error) {
	defer s.client.CloseIdleConnections()
	began := time.Now()
	var lanes sync.WaitGroup
	for _, lane := range s.lanes {
		lanes.Go(func() {
			for e := range lane {
				s.send(context.WithoutCancel(ctx), &e)
			}
		})
	}
	leftOut, err := s.distribute(ctx, log, limit)
	for _, lane := range s.lanes {
		close(lane)
	}
	lanes.Wait()
	return Sent{
		Answered: s.answered.Load(), Altered: s.altered.Load(), Failed: s.failed.Load(),
		LeftOut: leftOut, FirstErr: s.firstErr, Took: time.Since(began),
	}, err
}

// distribute reads the log and gives each request to its client's lane.
func (s *sender) distribute(ctx context.Context, log *accesslog.Parser, limit int) (leftOut map[string]uint64, err error) {
	leftOut = map[string]uint64{}
	for n := 0; limit == 0 || n < limit; {
		e, err := log.Next()
		var line *accesslog.LineError
		switch {
		case errors.Is(err, io.EOF):
			return leftOut, nil
		case errors.As(err, &line):
			leftOut[line.Err.Error()]++
			continue
		case err != nil:
			return leftOut, err
		}
		if _, err := request(ctx, s.base, s.site, &e); err != nil {
			leftOut[err.Error()]++
			continue
		}
		if err := s.limiter.Wait(ctx); err != nil {
			return leftOut, nil // interrupted: the account says how far it came
		}
		select {
		case s.lanes[laneOf(e.RemoteAddr, len(s.lanes))] <- e:
			n++
		case <-ctx.Done():
			return leftOut, nil
		}
	}
	return leftOut, nil
}

func laneOf(client string, lanes int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(client))
	return int(h.Sum32() % uint32(lanes))
}

// send plays one request and compares the answer with the log's.
func (s *sender) send(ctx context.Context, e *accesslog.Entry) {
	host := s.host
	if host == "" {
		host = hostOf(e, s.site)
	}
	req, err := request(ctx, s.base, host, e)
	if err != nil {
		s.fail(&s.failed, err) // not reached: distribute has left it out
		return
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.fail(&s.failed, fmt.Errorf("line %d: %w", e.Line, errors.Unwrap(err)))
		return
	}
	defer func() { _ = res.Body.Close() }()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		s.fail(&s.failed, fmt.Errorf("line %d: read the answer: %w", e.Line, err))
		return
	}
	s.answered.Add(1)
	want := answer{Status: e.Status, Size: e.Size}
	if res.StatusCode != want.Status || n != want.body(e.Method) {
		s.fail(&s.altered, fmt.Errorf("line %d: answered %d with %d bytes, the log has %d with %d",
			e.Line, res.StatusCode, n, want.Status, want.body(e.Method)))
	}
}

func (s *sender) fail(counter *atomic.Uint64, err error) {
	counter.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.firstErr == nil {
		s.firstErr = err
	}
}

// state is how many requests are done with, of a total; 0 = it is not known.
func (s *sender) state(total uint64) progress.State {
	done, of := s.answered.Load()+s.failed.Load(), "requests"
	if total > 0 {
		of = fmt.Sprintf("of %d requests", total)
	}
	return progress.State{Share: progress.Share(done, total), Count: done, Of: of}
}
