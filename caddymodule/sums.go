package caddymodule

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// The requests of each site by result travel to the aggregator as events: a
// completion `requests` says how many there were since the one before it. They
// are in the queue like everything else, so that each is counted once, and are
// taken off here only once they are written there. What a SIGKILL takes is what
// was counted since: at most two minutes.

// sumsEvery is how often they are written.
const sumsEvery = time.Minute

// sumsPatience is how long the queue may take for them.
const sumsPatience = time.Second

// sumLog is where they are written.
type sumLog interface {
	AddWait(ctx context.Context, events []shared.Event) error
}

// tellSums writes the sums at every whole minute, where days end too, from the
// second one after the start on.
func (rt *runtime) tellSums(ctx context.Context, log sumLog) {
	at := time.Now().Truncate(sumsEvery).Add(2 * sumsEvery)
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		rt.writeSums(ctx, log, at.Add(-time.Microsecond))
		at = time.Now().Truncate(sumsEvery).Add(sumsEvery)
		timer.Reset(time.Until(at))
	}
}

// writeSums writes what was counted since the last time. Where it can't be
// written it stays for the next time.
func (rt *runtime) writeSums(ctx context.Context, log sumLog, at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, sumsPatience)
	defer cancel()
	var events []shared.Event
	var from []*site
	for _, s := range rt.allSites() {
		if s == rt.other {
			continue // no site: the aggregator could not say whose they are
		}
		if s.sums.prepare(s, at) {
			events = append(events, s.sums.event)
			from = append(from, s)
		}
	}
	if len(events) == 0 {
		return
	}
	if err := log.AddWait(ctx, events); err != nil {
		rt.log.Debug("sums of requests are not written yet", zap.Error(err))
		return
	}
	for _, s := range from {
		s.sums.written()
	}
}

// sums is how much of a site's counts is written. An event whose writing failed
// may be in the queue all the same, so it is written again as it was, under the
// name that tells the two to be one.
type sums struct {
	run   uint64        // names the counts of this process
	n     atomic.Uint64 // events so far
	told  []uint64      // by resultIndex: written
	next  []uint64      // written once event is
	event shared.Event
	waits bool // for event to be written
}

func newSums() *sums {
	return &sums{run: rand.Uint64(), told: make([]uint64, len(shared.Results))}
}

// prepare makes the event with what is not written yet; there may be nothing.
func (m *sums) prepare(s *site, at time.Time) bool {
	if m.waits {
		return true
	}
	m.next = make([]uint64, len(s.results))
	m.event = shared.Event{
		Site: s.name, Time: at.UnixMicro(), Origin: shared.OriginEdge, Kind: shared.KindCompletion, Name: shared.CompletionRequests,
		DedupeKey: fmt.Sprintf("%016x-%d", m.run, m.n.Load()),
	}
	for i, result := range shared.Results {
		m.next[i] = s.results[i].Load()
		if n := m.next[i] - m.told[i]; n > 0 {
			m.event.Props = append(m.event.Props, shared.Prop{Key: string(result), Value: strconv.FormatUint(n, 10), Type: shared.PropNumber})
		}
	}
	m.waits = len(m.event.Props) > 0
	return m.waits
}

func (m *sums) written() {
	m.told, m.waits = m.next, false
	m.n.Add(1)
}
