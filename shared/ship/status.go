package ship

import (
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// State is how the conversation with the aggregator stands.
type State string

// The states.
const (
	StateStarting     State = "starting"
	StateConnected    State = "connected"
	StateUnreachable  State = "unreachable"  // no answer, or 5xx
	StateBusy         State = "busy"         // asked to come back later
	StateUnauthorized State = "unauthorized" // the token is not known
	StateRefused      State = "refused"      // an answer that is not an acknowledgement
	StateQueue        State = "queue_error"  // the edge's own queue can't be read
)

// Status is a snapshot for metrics, health and the admin endpoint.
type Status struct {
	State        State     `json:"state"`
	LastContact  time.Time `json:"last_contact"` // last good answer
	LastAck      time.Time `json:"last_ack"`     // last good answer to a batch
	LastError    string    `json:"last_error,omitempty"`
	BackoffUntil time.Time `json:"backoff_until,omitzero"`
	Acked        uint64    `json:"acked"`
	Lag          uint64    `json:"lag"` // sequences given out and not acknowledged
}

// Status returns where delivery stands.
func (s *Shipper) Status() Status {
	s.mu.Lock()
	st := s.status
	s.mu.Unlock()
	next := s.src.NextSeq()
	st.Acked = s.src.Acked()
	st.Lag = next - min(next, st.Acked+1)
	return st
}

// quietFor is how long nothing was heard from the aggregator.
func (s *Shipper) quietFor() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.LastContact.IsZero() {
		return 0 // the first contact begins with a hello anyway
	}
	return time.Since(s.status.LastContact)
}

// connected notes a good answer; through is 0 for a hello's.
func (s *Shipper) connected(through uint64, rejected []shared.Rejected) {
	now := time.Now()
	s.mu.Lock()
	was := s.status.State
	s.status.State = StateConnected
	s.status.LastContact = now
	s.status.LastError = ""
	s.status.BackoffUntil = time.Time{}
	if through != 0 {
		s.status.LastAck = now
	}
	s.mu.Unlock()
	if was != StateConnected {
		s.log.Info("connected to the aggregator", zap.String("aggregator", s.base.Host))
	}
	if len(rejected) > 0 {
		s.log.Debug("aggregator refused events", zap.Int("events", len(rejected)), zap.String("first_reason", string(rejected[0].Reason)))
	}
}

// disconnected notes a failure. It logs when the state changes, not each time.
func (s *Shipper) disconnected(f *failure, wait time.Duration) {
	s.mu.Lock()
	was := s.status.State
	s.status.State = f.state
	s.status.LastError = f.Error()
	s.status.BackoffUntil = time.Now().Add(wait)
	s.mu.Unlock()
	if was == f.state {
		return
	}
	log := s.log.Warn
	if f.state == StateUnauthorized || f.state == StateQueue {
		log = s.log.Error
	}
	log("events wait in the queue", zap.String("state", string(f.state)), zap.String("aggregator", s.base.Host), zap.Error(f))
}
