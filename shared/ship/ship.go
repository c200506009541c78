package ship

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/upstream"
)

// Source is what the shipper needs of the edge's queue.
type Source interface {
	Edge() shared.EdgeID
	Epoch() shared.Epoch
	Boot() shared.Epoch
	// NextSeq is the sequence that the next event gets.
	NextSeq() uint64
	// Kept is what the queue still holds, acknowledged or not, oldest first.
	Kept() []shared.EpochSpan
	// Read waits for a durable frame that covers pos; its memory is the
	// caller's.
	Read(ctx context.Context, pos uint64) (batch.Frame, error)
	// Acked is the highest acknowledged sequence.
	Acked() uint64
	// Ack says that everything up to through is done with, of which so many
	// events were refused and so many could not be read.
	Ack(through, rejected, lost uint64) error
	// NewIdentity gives what is sealed from now on another edge id.
	NewIdentity() error
}

// Config is where to deliver to, and as whom. URL and Token are required.
type Config struct {
	URL     string // of the aggregator: scheme, host and an optional path before /v1
	Token   string
	Name    string // of this edge, for people
	Version string // of the software
	// Sites are those that the edge's configuration names; nil = none.
	Sites func() []shared.SiteHello
	// Greeted is called after a hello that was answered: the aggregator may
	// have made sites of those that it named. nil = nothing is. It must not wait.
	Greeted func()
	// CatchUpFloor is the least number of events a second at which a backlog
	// is delivered; 0 = 20,000. Above it the pace is four times the live rate.
	CatchUpFloor int
	// Transport carries the requests; nil = one of its own, with the system's
	// certificates and proxy settings.
	Transport http.RoundTripper
	Logger    *zap.Logger
}

// Bounds of one request and its conversation.
const (
	windowBytes  = 4 << 20
	windowFrames = 512
	windowEvents = 32 << 10
	// requestTime bounds a request from its first byte to the answer's last:
	// an aggregator that sends a byte a second is one that is away.
	requestTime = 60 * time.Second
	// longBreak is how long nothing may be heard before a hello comes first:
	// the aggregator may be another one by then, or an older backup of it.
	longBreak = 5 * time.Minute
)

// Shipper delivers one queue to one aggregator.
type Shipper struct {
	cfg    Config
	src    Source
	log    *zap.Logger
	client *http.Client
	base   *url.URL
	ahead  *reader
	// requestTime is the constant, but for tests of the real network.
	requestTime time.Duration

	running chan struct{} // holds a token while Run or Drain is at work
	wake    chan struct{} // holds a token when a hello became due

	// Used by the one goroutine that runs.
	window  window
	pace    pacer
	failed  failures
	refused refusal

	mu       sync.Mutex
	helloDue bool
	status   Status
}

// New prepares a shipper; nothing is sent before Run.
func New(cfg Config, src Source) (*Shipper, error) {
	base, err := upstream.Address(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Token == "" {
		return nil, upstream.ErrNoToken
	}
	if cfg.Transport == nil {
		own := upstream.Transport(requestTime)
		own.DisableCompression = true // batches are compressed, answers are short
		cfg.Transport = own
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Sites == nil {
		cfg.Sites = func() []shared.SiteHello { return nil }
	}
	return &Shipper{
		cfg:    cfg,
		src:    src,
		log:    cfg.Logger,
		client: upstream.Client(cfg.Transport),
		base:   base,
		ahead:  newReader(src),

		requestTime: requestTime,

		running:  make(chan struct{}, 1),
		wake:     make(chan struct{}, 1),
		window:   newWindow(),
		pace:     newPacer(cfg.CatchUpFloor),
		helloDue: true,
		status:   Status{State: StateStarting},
	}, nil
}

// Run delivers until ctx ends, which is not an error.
func (s *Shipper) Run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return nil // ended before it began
	}
	defer s.end()
	for ctx.Err() == nil {
		err := s.step(ctx, true)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			s.pause(ctx, s.failure(err))
		}
	}
	return nil
}

// Drain delivers what the queue holds durably, without pacing, until nothing
// is left, the first failure, or the end of ctx; what remains is in the queue
// and goes out after the next start. It waits for Run to end first.
func (s *Shipper) Drain(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.end()
	for s.src.Acked()+1 < s.src.NextSeq() {
		if err := s.step(ctx, false); err != nil {
			return fmt.Errorf("deliver what is left in the queue: %w", err)
		}
	}
	return nil
}

func (s *Shipper) begin(ctx context.Context) error {
	select {
	case s.running <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.ahead.start(ctx, s.src.Acked()+1)
	return nil
}

func (s *Shipper) end() {
	s.ahead.stop()
	s.client.CloseIdleConnections()
	<-s.running
}

// SitesChanged makes the shipper announce the sites again.
func (s *Shipper) SitesChanged() {
	s.mu.Lock()
	s.helloDue = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// step says hello if that is due, and delivers at most one window.
func (s *Shipper) step(ctx context.Context, paced bool) error {
	if s.takeHelloDue() {
		if err := s.hello(ctx); err != nil {
			s.SitesChanged() // still due
			return err
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.wake:
		return nil
	case <-s.ahead.ready:
	}
	frames, err := s.ahead.peek(s.window)
	if err != nil {
		return &failure{state: StateQueue, err: err}
	}
	if len(frames) == 0 {
		return nil
	}
	if s.quietFor() > longBreak {
		s.SitesChanged()
		s.ahead.nudge()
		return nil
	}
	if paced {
		if err := s.keepPace(ctx, frames); err != nil {
			return err
		}
	}
	return s.deliver(ctx, frames)
}

// takeHelloDue reports whether a hello is due, and takes note of it.
func (s *Shipper) takeHelloDue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := s.helloDue
	s.helloDue = false
	if due {
		select {
		case <-s.wake:
		default:
		}
	}
	return due
}

// keepPace waits until the window may go out.
func (s *Shipper) keepPace(ctx context.Context, frames []batch.Frame) error {
	now := time.Now()
	next, last := s.src.NextSeq(), frames[len(frames)-1].Header.LastSeq()
	s.pace.observe(next, now)
	wait := s.pace.admit(eventsIn(frames), next-min(next, last+1), now)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func eventsIn(frames []batch.Frame) (n uint64) {
	for i := range frames {
		if frames[i].Header.Kind == shared.BatchData {
			n += frames[i].Header.Count
		}
	}
	return n
}
