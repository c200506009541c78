package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/upstream"
)

// Pace of the questions.
const (
	pollEvery = shared.EdgePoll * time.Second
	// maxBackoff is short for a backoff: a change of a privacy option, or the
	// next day's salts, may be waiting behind it.
	maxBackoff = 30 * time.Second
	// slowBackoff is for what only a person can change: a wrong token, an
	// aggregator of another kind.
	slowBackoff = time.Minute
	// maxRetryAfter bounds what an answer can ask for.
	maxRetryAfter = 5 * time.Minute
	requestTime   = 15 * time.Second
)

// maxAnswer bounds the memory that an answer can take. It has room for all that
// the aggregator lets its registry become (16 MiB), with three salts and a key
// of tokens for each of ten thousand sites.
const maxAnswer = 32 << 20

// ClientConfig says whom to ask, and where to keep what is answered. URL, Token
// and Holder are required.
type ClientConfig struct {
	URL     string // of the aggregator: scheme, host and an optional path before /v1
	Token   string
	Version string  // of the software
	Holder  *Holder // gets every new view
	// File keeps the sites, never a salt or a key, for the next start; "" =
	// nowhere. Its directory must exist.
	File string
	// Hosts are reported and then forgotten; nil = none are.
	Hosts *Hosts
	// Transport carries the requests; nil = one of its own, with the system's
	// certificates and proxy settings.
	Transport http.RoundTripper
	Logger    *zap.Logger // nil = silent
}

// Client keeps a [Holder] up to date with one aggregator.
type Client struct {
	cfg    ClientConfig
	log    *zap.Logger
	client *http.Client
	target string
	soon   chan struct{} // holds a token when there may be news

	// Used by the one goroutine that runs.
	etag   string // of the view that was answered; "" = ask for all of it
	taken  bool   // the holder's view is an answer's
	kept   []byte // what File holds
	failed int    // questions without an answer, one after the other

	mu     sync.Mutex
	status Status
}

// Status says how the aggregator was reached last.
type Status struct {
	Version   string    `json:"version,omitempty"`   // of the view that was answered
	ReachedAt time.Time `json:"reached_at,omitzero"` // zero = never
	Trouble   string    `json:"trouble,omitempty"`   // why it is not reached at the moment
}

// NewClient prepares a client and takes the sites of the last run from the
// file, if the holder has none yet. Nothing is asked before Run.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := upstream.Address(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Token == "" {
		return nil, upstream.ErrNoToken
	}
	if cfg.Transport == nil {
		cfg.Transport = upstream.Transport(requestTime)
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	c := &Client{cfg: cfg, log: cfg.Logger, client: upstream.Client(cfg.Transport), target: base.JoinPath(shared.PathEdge).String(), soon: make(chan struct{}, 1)}
	if cfg.File != "" {
		c.restore()
	}
	return c, nil
}

// AskSoon lets the next question be asked at once: there may be news.
func (c *Client) AskSoon() {
	select {
	case c.soon <- struct{}{}:
	default:
	}
}

// Run asks, at once and then every few seconds, until ctx ends, which it
// returns the reason of.
func (c *Client) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-c.soon:
		}
		err := c.ask(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.forget(time.Now().UnixMicro())
		timer.Reset(c.noted(err))
	}
}

// saltKeptFor is how long after its period a salt may be known here, µs: an
// aggregator that can't be reached any more must not keep it alive.
const saltKeptFor = 48 * 3600 * 1_000_000

// forget drops the salts whose time is over from the view.
func (c *Client) forget(now int64) {
	v := c.cfg.Holder.Load()
	over := func(s shared.Salt) bool { return now-s.Until > saltKeptFor }
	if !slices.ContainsFunc(v.state.Salts, over) {
		return
	}
	state := *v.state
	state.Salts = slices.DeleteFunc(slices.Clone(state.Salts), over)
	c.cfg.Holder.Store(NewView(&state))
	// Should it be the clock that is wrong, they are asked for again: nothing
	// that has not changed would bring them back.
	c.etag, c.taken = "", false
}

// Status tells how the aggregator was reached last.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// noted logs a change from reached to not, or back, and returns how long to
// wait: the ordinary pace, or a random part of a time that doubles.
func (c *Client) noted(err error) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		if c.status.Trouble != "" {
			c.log.Info("the aggregator's registry is reached again")
		}
		c.status = Status{Version: shared.Cut(c.cfg.Holder.Load().Version(), shared.MaxShort), ReachedAt: time.Now()}
		c.failed = 0
		// Jitter keeps a hundred edges that started together apart.
		return pollEvery - pollEvery/20 + rand.N(pollEvery/10)
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{err: err}
	}
	if c.status.Trouble != f.err.Error() {
		c.log.Warn("the aggregator's registry can't be asked; what is known goes on to hold", zap.Error(f.err))
	}
	c.status.Trouble = f.err.Error()
	ceiling := min(maxBackoff, time.Second<<min(c.failed, 10))
	c.failed++
	switch {
	case f.retryAfter > 0:
		return f.retryAfter + rand.N(f.retryAfter/10+1)
	case f.final:
		return slowBackoff/2 + rand.N(slowBackoff/2)
	}
	return ceiling/2 + rand.N(ceiling/2)
}

// failure is a question without the answer that was wanted.
type failure struct {
	err        error
	retryAfter time.Duration
	final      bool // until somebody changes something
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// ask asks once. Hosts that could not be reported are reported with the next
// question.
func (c *Client) ask(ctx context.Context) error {
	hosts := c.cfg.Hosts.take()
	err := c.askWith(ctx, hosts)
	if err != nil {
		c.cfg.Hosts.Add(hosts)
	}
	return err
}

func (c *Client) askWith(ctx context.Context, hosts []shared.UnknownHost) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := c.request(ctx, hosts)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case resp.StatusCode == http.StatusNotModified && c.etag != "":
		return nil
	case resp.StatusCode != http.StatusOK:
		return refused(resp, body)
	case len(body) > maxAnswer:
		return &failure{final: true, err: fmt.Errorf("an answer of more than %d bytes", maxAnswer)}
	}
	var state shared.EdgeState
	if err := json.Unmarshal(body, &state); err != nil {
		return errors.New("the answer is not the aggregator's: " + kindOf(err)) // may be cut on the way
	}
	if err := checkState(&state); err != nil {
		return &failure{final: true, err: fmt.Errorf("the answer is not the aggregator's: %w", err)}
	}
	c.etag = tag(resp.Header.Get("ETag"))
	if c.taken && state.Version != "" && state.Version == c.cfg.Holder.Load().Version() {
		return nil // from somebody who knows no ETags: what was made of the view stays
	}
	c.cfg.Holder.Store(NewView(&state))
	c.taken = true
	c.keep(state.Sites)
	return nil
}

func (c *Client) request(ctx context.Context, hosts []shared.UnknownHost) (*http.Request, error) {
	method, body := http.MethodGet, []byte(nil)
	if len(hosts) > 0 {
		method = http.MethodPost
		var err error
		if body, err = json.Marshal(shared.EdgeReport{UnknownHosts: hosts}); err != nil {
			return nil, fmt.Errorf("encode the report: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	req.Header.Set("User-Agent", "eider-edge/"+c.cfg.Version)
	if c.etag != "" {
		req.Header.Set("If-None-Match", c.etag)
	}
	return req, nil
}

// tag is an ETag that can be sent back, or "".
func tag(s string) string {
	if len(s) > 200 || shared.Cut(s, len(s)) != s {
		return ""
	}
	return s
}

// withoutURL takes the address out of a transport's error: it is in the
// configuration, and a log line says what went wrong better without.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// kindOf describes a JSON error without the text that it complains of, which
// may be a salt's.
func kindOf(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return "no JSON at byte " + strconv.FormatInt(syntax.Offset, 10)
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return "a " + kind.Type.String() + " is wanted in " + shared.Cut(kind.Field, shared.MaxShort)
	}
	return "JSON of another form"
}

// refused turns an answer that is not 200 into a failure.
func refused(resp *http.Response, body []byte) error {
	f := &failure{err: fmt.Errorf("the answer was %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
	var detail shared.ErrorBody
	if json.Unmarshal(body, &detail) == nil && detail.Error.Code != "" {
		f.err = fmt.Errorf("%s (%d %s)", shared.Cut(detail.Error.Message, shared.MaxTitle), resp.StatusCode, shared.Cut(detail.Error.Code, shared.MaxShort))
	}
	if n, err := strconv.ParseInt(resp.Header.Get("Retry-After"), 10, 64); err == nil && n > 0 {
		f.retryAfter = time.Duration(min(n, int64(maxRetryAfter/time.Second))) * time.Second
	}
	f.final = resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout
	return f
}
