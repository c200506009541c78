package caddymodule

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
)

// collector shows a runtime in the metrics of whatever configuration is in
// force: Caddy has a new registry for each, while the counts go on.
type collector struct{ rt *runtime }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("eider_edge_"+name, help, labels, nil)
}

// The metrics of the edge. README and dashboards rely on their names.
var (
	descRequests    = desc("requests_total", "Requests by site and by what became of them; the results sum to the requests.", "site", "result")
	descCompletions = desc("completions_total", "Events without a request of their own: what one request says of an earlier one.", "site", "completion")
	descRegistered  = desc("registered", "1 while the site and its identities are known from the aggregator.", "site")
	descEvents      = desc("events_total", "Events over the life of the queue: captured = stored + dropped + rejected + lost + queued.", "state")
	descDropped     = desc("dropped_events_total", "Dropped events by reason.", "reason")
	descQueued      = desc("queued_events", "Events that are on their way: in memory or in the queue, not yet acknowledged.")
	descSize        = desc("queue_bytes", "What the queue takes on its volume.")
	descMax         = desc("queue_max_bytes", "What the queue may take.")
	descFree        = desc("queue_volume_free_bytes", "What is free on the queue's volume.")
	descSegments    = desc("queue_segments", "Segments in the queue.")
	descOldest      = desc("queue_oldest_age_seconds", "Age of the oldest event that is not acknowledged; 0 if there is none.")
	descDegraded    = desc("queue_degraded", "1 while the queue can't be written or opened.")
	descRing        = desc("ring_events", "Events in memory that the recorder has not come to.")
	descLag         = desc("ship_lag_events", "Events that have a sequence and no acknowledgement.")
	descLastAck     = desc("ship_last_ack_timestamp_seconds", "When the aggregator last acknowledged events; 0 = not since the start.")
	descFailing     = desc("ship_failing", "1 while the aggregator can't be delivered to.")
)

var collected = beacon.NewMetrics("eider_edge_collection_")

var descs = []*prometheus.Desc{
	descRequests, descCompletions, descRegistered, descEvents, descDropped, descQueued, descSize, descMax, descFree, descSegments, descOldest, descDegraded,
	descRing, descLag, descLastAck, descFailing,
}

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
	collected.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range c.rt.allSites() {
		for i, result := range shared.Results {
			counter(descRequests, s.results[i].Load(), s.name, string(result))
		}
		counter(descCompletions, s.evidence.Load(), s.name, shared.CompletionEvidence)
		counter(descCompletions, s.activations.Load(), s.name, shared.CompletionActivation)
		counter(descCompletions, s.sums.n.Load(), s.name, shared.CompletionRequests)
		if s != c.rt.other {
			gauge(descRegistered, oneIf(c.rt.registered(s)), s.name)
		}
	}
	collected.Collect(ch, c.rt.intake.Counts())
	st := c.rt.status(time.Now())
	for _, e := range []struct {
		state string
		n     uint64
	}{
		{"captured", st.Events.Captured},
		{"stored", st.Events.Stored},
		{"dropped", st.Events.Dropped},
		{"rejected", st.Events.Rejected},
		{"lost", st.Events.Lost},
	} {
		counter(descEvents, e.n, e.state)
	}
	for reason, n := range st.Events.DroppedBy {
		counter(descDropped, n, reason)
	}
	gauge(descQueued, float64(st.Events.Queued))
	gauge(descRing, float64(st.Ring))
	gauge(descSize, float64(st.Queue.Bytes))
	gauge(descMax, float64(st.Queue.MaxBytes))
	gauge(descFree, float64(st.Queue.FreeBytes))
	gauge(descSegments, float64(st.Queue.Segments))
	gauge(descOldest, st.Queue.OldestAgeSeconds)
	gauge(descDegraded, oneIf(st.Queue.State != queueOpen && st.Queue.State != queueElsewhere))
	gauge(descLag, float64(st.Ship.Lag))
	gauge(descLastAck, unixSeconds(st.Ship.LastAck))
	gauge(descFailing, oneIf(st.Ship.LastError != ""))
}

// registered reports whether the aggregator's salt holds for the site. Until
// then visitors are told apart by the edge's own.
func (rt *runtime) registered(s *site) bool {
	config := s.known(rt.known.Load())
	if config == nil {
		return false
	}
	_, ok := rt.known.Salt(config.ID, time.Now().UnixMicro())
	return ok
}

func unixSeconds(t *time.Time) float64 {
	if t == nil {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func oneIf(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// allSites lists the sites' counters in order, `_other` among them.
func (rt *runtime) allSites() []*site {
	rt.sitesMu.Lock()
	defer rt.sitesMu.Unlock()
	all := []*site{rt.other}
	for _, s := range rt.sites {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *site) int { return strings.Compare(a.name, b.name) })
	return all
}
