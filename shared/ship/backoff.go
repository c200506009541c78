package ship

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Backoff.
const (
	minBackoff = time.Second
	maxBackoff = 5 * time.Minute
	// slowBackoff is for what only a person can change: a wrong token.
	slowBackoff = time.Minute
)

// failure is why a step did not succeed, and what is known of it.
type failure struct {
	state      State
	status     int    // 0 = no answer
	code       string // of shared.ErrorBody
	retryAfter time.Duration
	expected   uint64
	epoch      *shared.Epoch
	timeout    bool
	err        error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// unwanted reports that the content was refused, not the sender or the moment.
func (f *failure) unwanted() bool {
	switch f.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// failures counts what went wrong since the last acknowledgement.
type failures struct {
	n int
	// tried are the immediate remedies since the last wait: each is tried
	// once, so that an aggregator which asks for the same thing again and again
	// is waited for, not hammered.
	tried map[string]bool
}

func (f *failures) reset() { *f = failures{} }

// once reports whether a remedy has not been tried since the last wait.
func (f *failures) once(remedy string) bool {
	if f.tried[remedy] {
		return false
	}
	if f.tried == nil {
		f.tried = map[string]bool{}
	}
	f.tried[remedy] = true
	return true
}

// failure notes a failed step and returns how long to wait: what the
// aggregator asked for, or a random part of a time that doubles.
func (s *Shipper) failure(err error) time.Duration {
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{state: StateUnreachable, err: err}
	}
	ceiling := time.Duration(failpoint.Setting("ship.max_backoff", int64(maxBackoff)))
	ceiling = min(ceiling, minBackoff<<min(s.failed.n, 20))
	s.failed.n++
	s.failed.tried = nil
	wait := rand.N(ceiling)
	switch {
	case f.state == StateUnauthorized:
		wait = slowBackoff/2 + rand.N(slowBackoff/2)
	case f.retryAfter > 0:
		wait = f.retryAfter + rand.N(f.retryAfter/10+1)
	}
	s.disconnected(f, wait)
	return wait
}

// pause waits out a failure. A change of the sites does not cut it short: it
// is announced with the next attempt.
func (s *Shipper) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	s.ahead.nudge()
}
