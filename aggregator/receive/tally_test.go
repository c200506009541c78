package receive

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// tally stands in for the lake: what is hot is lost in a crash, what is
// committed moved into the real state together with its marks.
type tally struct {
	mu        sync.Mutex
	hot       []lake.Batch
	committed map[name]int
	paths     map[string]int // of committed events
	incidents map[string]uint64
	order     []uint64 // spool positions as they came, of this life
	refuse    error
	gate      chan struct{} // if set, Ingest waits for it
}

func newTally() *tally {
	return &tally{committed: map[name]int{}, paths: map[string]int{}, incidents: map[string]uint64{}}
}

func (s *tally) Ingest(ctx context.Context, b lake.Batch) error {
	s.mu.Lock()
	gate, refuse := s.gate, s.refuse
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if refuse != nil {
		return refuse
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.Events = append([]shared.Event(nil), b.Events...)
	s.hot = append(s.hot, b)
	s.order = append(s.order, b.SpoolPos)
	return nil
}

// commit makes everything hot durable in one step, as the lake does.
func (s *tally) commit(t testing.TB, st *state.State) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hot) == 0 {
		return
	}
	var c state.Commit
	for _, b := range s.hot {
		c.Marks = append(c.Marks, b.Mark)
		c.Edges = append(c.Edges, b.Edge)
		c.Incidents = append(c.Incidents, b.Incidents...)
		c.SpoolThrough = b.SpoolPos
	}
	if err := st.Commit(c); err != nil {
		t.Fatal(err)
	}
	for _, b := range s.hot {
		for i := range b.Events {
			e := &b.Events[i]
			s.committed[name{e.Edge, e.Epoch, e.Seq}]++
			s.paths[strings.Clone(e.Pathname)]++
		}
		for _, i := range b.Incidents {
			s.incidents[i.Reason] += i.Count
		}
	}
	s.hot = nil
}

func (s *tally) crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hot, s.order = nil, nil
}

// counts is every event with how often it counts, hot or committed.
func (s *tally) counts() map[name]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[name]int{}
	for n, k := range s.committed {
		all[n] += k
	}
	for _, b := range s.hot {
		for i := range b.Events {
			e := &b.Events[i]
			all[name{e.Edge, e.Epoch, e.Seq}]++
		}
	}
	return all
}

func (s *tally) events() (list []shared.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.hot {
		list = append(list, b.Events...)
	}
	return list
}
