package collector

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eider-analytics/eider/shared/beacon"
)

// routes are the public ones: collection, and what load balancers and
// monitoring ask.
func (c *Collector) routes() http.Handler {
	mux := http.NewServeMux()
	if c.intake != nil {
		h := c.intake.At(beacon.Mount{})
		for _, path := range h.Paths() {
			mux.Handle(path, h)
		}
	}
	own := http.NewServeMux()
	own.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") })
	own.HandleFunc("GET /readyz", c.ready)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics{c})
	own.Handle("GET /metrics", c.private(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	mux.Handle("/", beacon.EndSlowBodies(own))
	return mux
}

// private answers only trusted peers that speak for themselves: the listener is
// open to everybody's browsers.
func (c *Collector) private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.cfg.TrustedProxies.Trusted(r) || r.Header.Get("X-Forwarded-For") != "" {
			plain(w, http.StatusForbidden, "metrics are for trusted peers: see trusted-proxies\n")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// readiness is why requests should, or should not, be sent here.
type readiness struct {
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"`
}

// ready says whether what comes can be taken: the queue can be written. That
// the aggregator is away is no reason to turn anybody away.
func (c *Collector) ready(w http.ResponseWriter, _ *http.Request) {
	answer, status := readiness{Ready: true}, http.StatusOK
	if st := c.queue.Stats(); st.Degraded != "" {
		answer, status = readiness{Why: "the queue can't be written: see the log"}, http.StatusServiceUnavailable
	}
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // of strings
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("eider_collector_"+name, help, labels, nil)
}

// The metrics of a collector.
var (
	descEvents   = desc("events_total", "Events over the life of the queue: captured = stored + dropped + rejected + lost + queued.", "state")
	descQueued   = desc("queued_events", "Events that are not yet acknowledged.")
	descSize     = desc("queue_bytes", "What the queue takes on its volume.")
	descMax      = desc("queue_max_bytes", "What the queue may take.")
	descFree     = desc("queue_volume_free_bytes", "What is free on the queue's volume; -1 unknown.")
	descDegraded = desc("queue_degraded", "1 while the queue can't be written.")
	descLag      = desc("ship_lag_events", "Events that have a sequence and no acknowledgement.")
	descFailing  = desc("ship_failing", "1 while the aggregator can't be delivered to.")
	descRegistry = desc("registry_age_seconds", "How long ago the aggregator was last asked for the sites; -1 = never.")
)

var collected = beacon.NewMetrics("eider_collector_")

var descs = []*prometheus.Desc{
	descEvents, descQueued, descSize, descMax, descFree, descDegraded, descLag, descFailing, descRegistry,
}

// metrics is a prometheus.Collector.
type metrics struct{ c *Collector }

// Describe implements prometheus.Collector.
func (metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
	collected.Describe(ch)
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), label)
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	if m.c.intake != nil {
		collected.Collect(ch, m.c.intake.Counts())
	}
	st := m.c.queue.Stats()
	b := &st.Counters
	counter(descEvents, b.Captured, "captured")
	counter(descEvents, b.Stored, "stored")
	counter(descEvents, b.DroppedTotal(), "dropped")
	counter(descEvents, b.Rejected, "rejected")
	counter(descEvents, b.Lost, "lost")
	gauge(descQueued, float64(b.Queued))
	gauge(descSize, float64(st.Size))
	gauge(descMax, float64(st.MaxSize))
	gauge(descFree, float64(st.VolumeFree))
	gauge(descDegraded, flag(st.Degraded != ""))
	ship := m.c.shipper.Status()
	gauge(descLag, float64(ship.Lag))
	gauge(descFailing, flag(ship.LastError != ""))
	age := -1.0
	if at := m.c.client.Status().ReachedAt; !at.IsZero() {
		age = time.Since(at).Seconds()
	}
	gauge(descRegistry, age)
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
