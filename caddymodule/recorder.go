package caddymodule

import (
	"context"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
)

// recordBatch is how many observations are worked off between two looks at the
// ring's lock.
const recordBatch = 64

// eventLog is where the recorder's events go: the queue.
type eventLog interface {
	Add(e *shared.Event)
	Discard(n uint64, r shared.DropReason)
}

// gather is how long observations wait in the ring before they are worked off
// together, unless it is half full before. Waking a sleeping goroutine costs
// the process more than all else that is done for a page view; this way it
// happens forty times a second at the most.
const gather = 25 * time.Millisecond

// record works the ring off until ctx ends, and then what is left in it.
func (rt *runtime) record(ctx context.Context, q eventLog) {
	pause := time.NewTimer(gather)
	defer pause.Stop()
	for {
		rt.drain(q)
		select {
		case <-rt.ring.wake:
		case <-ctx.Done():
			rt.drain(q)
			return
		}
		pause.Reset(gather)
		select {
		case <-pause.C:
		case <-rt.ring.half:
		case <-ctx.Done():
		}
	}
}

func (rt *runtime) drain(q eventLog) {
	for {
		batch := rt.ring.front(recordBatch)
		if len(batch) == 0 {
			return
		}
		rt.enriching.RLock()
		enricher := rt.enricher.Load()
		for i := range batch {
			rt.recordOne(enricher, &batch[i].Observation, q)
		}
		rt.enriching.RUnlock()
		rt.ring.advance(len(batch))
	}
}

// recordOne enriches one observation and queues the event. Bytes that upset
// the enrichment cost that one event, counted, and never the process.
func (rt *runtime) recordOne(enricher *enrich.Enricher, o *shared.Observation, q eventLog) {
	defer func() {
		if v := recover(); v != nil {
			q.Discard(1, shared.DropError)
			rt.reportPanic("record", v)
		}
	}()
	var e shared.Event
	enricher.Enrich(o, &e)
	q.Add(&e)
}
