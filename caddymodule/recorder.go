package caddymodule

import (
	"context"

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

// record works the ring off until ctx ends, and then what is left in it.
func (rt *runtime) record(ctx context.Context, q eventLog) {
	for {
		rt.drain(q)
		select {
		case <-rt.ring.wake:
		case <-ctx.Done():
			rt.drain(q)
			return
		}
	}
}

func (rt *runtime) drain(q eventLog) {
	for {
		batch := rt.ring.front(recordBatch)
		if len(batch) == 0 {
			return
		}
		rt.enriching.Lock()
		enricher := rt.enricher.Load()
		for i := range batch {
			rt.recordOne(enricher, &batch[i], q)
		}
		rt.enriching.Unlock()
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
