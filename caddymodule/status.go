package caddymodule

import (
	"context"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/queue"
	"github.com/eider-analytics/eider/shared/registry"
)

// status is what an operator wants to know of an edge: the admin endpoint's
// answer, the command's source, and the gauges' values. It holds no token and
// nothing of any request.
type status struct {
	Edge     string      `json:"edge,omitempty"`  // hexadecimal
	Epoch    string      `json:"epoch,omitempty"` // hexadecimal
	Version  string      `json:"version"`
	Ring     int         `json:"ring"` // observations in memory
	RingSize int         `json:"ring_size"`
	Events   eventStatus `json:"events"`
	Queue    queueStatus `json:"queue"`
	Ship     shipStatus  `json:"ship"`
	// Registry is what the aggregator says of the sites.
	Registry registry.Status `json:"registry"`
	Requests []siteRequests  `json:"requests"`
}

// eventStatus are the books, over the life of the queue.
type eventStatus struct {
	Captured  uint64            `json:"captured"`
	Stored    uint64            `json:"stored"`
	Queued    uint64            `json:"queued"`
	Dropped   uint64            `json:"dropped"`
	Rejected  uint64            `json:"rejected"`
	Lost      uint64            `json:"lost"`
	DroppedBy map[string]uint64 `json:"dropped_by"`
}

// The states of a queue.
const (
	queueOpen     = "open"
	queueWaiting  = "waiting_for_room" // not open yet: its volume is full
	queueDegraded = "degraded"         // open, but can't be written at the moment
	// queueElsewhere is the collector's, which events are handed over to.
	queueElsewhere = "collector"
)

// queueStatus is the queue on disk.
type queueStatus struct {
	Dir              string  `json:"dir"`
	State            string  `json:"state"`
	Reason           string  `json:"reason,omitempty"` // of any state but open
	Bytes            int64   `json:"bytes"`
	MaxBytes         int64   `json:"max_bytes"`
	FreeBytes        int64   `json:"free_bytes"`
	Segments         int     `json:"segments"`
	NextSeq          uint64  `json:"next_seq"`
	AckedThrough     uint64  `json:"acked_through"`
	SyncedThrough    uint64  `json:"synced_through"`
	OldestAgeSeconds float64 `json:"oldest_age_seconds"`
}

// shipIdle is the state of shipping while there is no queue to ship, or no
// token to ship with. The other states are those of package ship.
const shipIdle = "idle"

// shipStatus is the way to the aggregator.
type shipStatus struct {
	Aggregator   string     `json:"aggregator,omitempty"`
	State        string     `json:"state"`
	LastContact  *time.Time `json:"last_contact"`
	LastAck      *time.Time `json:"last_ack"`
	LastError    string     `json:"last_error,omitempty"`
	BackoffUntil *time.Time `json:"backoff_until"`
	Lag          uint64     `json:"lag"` // events that have a sequence and no acknowledgement
}

// siteRequests are one site's requests by result; what did not happen is left
// out.
type siteRequests struct {
	Site    string                   `json:"site"`
	Results map[shared.Result]uint64 `json:"results"`
}

// status describes the runtime at a moment.
func (rt *runtime) status(now time.Time) status {
	st := status{
		Version: version(), Ring: rt.ring.len(), RingSize: ringSize,
		Queue: queueStatus{Dir: rt.dir, State: queueWaiting},
	}
	counters := rt.ring.counters()
	if q := rt.queue.Load(); q != nil {
		st.Edge, st.Epoch = q.Edge().String(), q.Epoch().String()
		counters = q.Counters()
		if q.disk != nil {
			st.Queue.describe(q.disk, now)
		} else {
			st.Queue.State = queueElsewhere
		}
	}
	st.Events = eventsOf(&counters)
	shipping := rt.shippingNow()
	st.Ship.describe(shipping)
	if shipping != nil {
		st.Registry = shipping.asker.Status()
	}
	for _, s := range rt.allSites() {
		requests := siteRequests{Site: s.name, Results: map[shared.Result]uint64{}}
		for i, result := range shared.Results {
			if n := s.results[i].Load(); n > 0 {
				requests.Results[result] = n
			}
		}
		st.Requests = append(st.Requests, requests)
	}
	return st
}

func eventsOf(c *shared.Counters) eventStatus {
	e := eventStatus{
		Captured: c.Captured, Stored: c.Stored, Queued: c.Queued, Dropped: c.DroppedTotal(), Rejected: c.Rejected,
		Lost: c.Lost, DroppedBy: make(map[string]uint64, len(c.Dropped)),
	}
	for reason := range c.Dropped {
		e.DroppedBy[shared.DropReason(reason).String()] = c.Dropped[reason].Count
	}
	return e
}

func (rt *runtime) shippingNow() *shipping {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.shipping
}

func (s *queueStatus) describe(q *queue.Queue, now time.Time) {
	st := q.Stats()
	s.State = queueOpen
	if st.Degraded != "" {
		s.State, s.Reason = queueDegraded, st.Degraded
	}
	s.Bytes, s.MaxBytes, s.FreeBytes, s.Segments = st.Size, st.MaxSize, st.VolumeFree, st.Segments
	s.NextSeq, s.AckedThrough, s.SyncedThrough = st.Next, st.Acked, st.Synced-1
	s.OldestAgeSeconds = oldestAge(q, &st, now)
}

// oldestAge is how long the oldest event waits that is not acknowledged, in
// seconds: 0 if none does.
func oldestAge(q *queue.Queue, st *queue.Stats, now time.Time) float64 {
	if st.Acked+1 >= st.Synced {
		return 0
	}
	// The frame is there and durable: reading it does not wait.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	frame, err := q.Read(ctx, st.Acked+1)
	if err != nil || frame.Header.BaseTime == 0 {
		return 0
	}
	return max(now.Sub(time.UnixMicro(frame.Header.BaseTime)).Seconds(), 0)
}

func (s *shipStatus) describe(sh *shipping) {
	if sh == nil {
		s.State = shipIdle
		return
	}
	st := sh.shipper.Status()
	*s = shipStatus{
		Aggregator: sh.to.url, State: string(st.State), LastError: st.LastError, Lag: st.Lag,
		LastAck: known(st.LastAck), LastContact: known(st.LastContact), BackoffUntil: known(st.BackoffUntil),
	}
}

// known makes null of a time that never was.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
