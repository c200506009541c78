package ops

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eider-analytics/eider/aggregator/seal"
	"github.com/eider-analytics/eider/shared"
)

// NewRegistry is the registry of the process, with what every Go program has.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// MetricsHandler answers /metrics.
func MetricsHandler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r})
}

// RegisterMetrics adds what health knows to a registry.
func RegisterMetrics(r prometheus.Registerer, s Sources) error {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	list := []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "eider_events_committed_total", Help: "Events in committed segments, since the start.",
		}, func() float64 { return float64(s.Lake().Committed) }),
		gauge("eider_lake_segments", "Segments that the manifest lists.", func() float64 { return float64(s.Lake().Segments) }),
		gauge("eider_lake_hot_events", "Events that are not yet in a committed segment.", func() float64 { return float64(s.Lake().HotRows) }),
		gauge("eider_lake_last_commit_timestamp_seconds", "When segments were last committed; 0 = not since the start.", func() float64 {
			return seconds(s.Lake().LastCommit)
		}),
		gauge("eider_lake_degraded", "1 while the lake can't be written.", func() float64 {
			if s.Lake().DegradedSince.IsZero() {
				return 0
			}
			return 1
		}),
		gauge("eider_spool_bytes", "Size of the spool.", func() float64 { return float64(s.Spool().Bytes) }),
		gauge("eider_sites", "Sites that are registered.", func() float64 { return float64(s.Sites()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "eider_build_info", Help: "The running version.", ConstLabels: prometheus.Labels{"version": s.Version},
		}, func() float64 { return 1 }),
		edgeCollector{s},
	}
	if s.Seal != nil {
		list = append(list, sealCollector{s.Seal})
	}
	for _, c := range list {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// sealCollector reports the sealed days of one moment.
type sealCollector struct{ source func() seal.Stats }

var (
	sealDays = prometheus.NewDesc("eider_seal_days",
		"Days by state: sealed, late (of these, with rows that came later), due (to be sealed now), failed (could not be sealed when it was tried last).", []string{"state"}, nil)
	sealTotal = prometheus.NewDesc("eider_seal_days_sealed_total", "Days that were sealed, since the start.", nil, nil)
)

func (c sealCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- sealDays
	ch <- sealTotal
}

func (c sealCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.source()
	ch <- prometheus.MustNewConstMetric(sealDays, prometheus.GaugeValue, float64(s.Sealed), "sealed")
	ch <- prometheus.MustNewConstMetric(sealDays, prometheus.GaugeValue, float64(s.Late), "late")
	ch <- prometheus.MustNewConstMetric(sealDays, prometheus.GaugeValue, float64(s.Due), "due")
	ch <- prometheus.MustNewConstMetric(sealTotal, prometheus.CounterValue, float64(s.Done))
	ch <- prometheus.MustNewConstMetric(sealDays, prometheus.GaugeValue, float64(s.Failed), "failed")
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// edgeCollector reports each edge's books as they are here.
type edgeCollector struct{ sources Sources }

var (
	edgeEvents = prometheus.NewDesc("eider_known_edge_events", "An edge's events by what became of them, as of its newest batch.",
		[]string{"edge", "state"}, nil)
	edgeDropped = prometheus.NewDesc("eider_known_edge_dropped_events", "Events that an edge dropped, by reason.",
		[]string{"edge", "reason"}, nil)
	edgeLag = prometheus.NewDesc("eider_known_edge_lag_seconds", "Age of an edge's newest batch when it arrived.",
		[]string{"edge"}, nil)
)

func (c edgeCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- edgeEvents
	ch <- edgeDropped
	ch <- edgeLag
}

func (c edgeCollector) Collect(ch chan<- prometheus.Metric) {
	for _, e := range c.sources.Edges() {
		id := e.ID.String()
		send := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{id}, labels...)...)
		}
		send(edgeEvents, float64(e.Counters.Captured), "captured")
		send(edgeEvents, float64(e.Accepted), "stored")
		send(edgeEvents, float64(Queued(&e)), "queued")
		send(edgeEvents, float64(e.Rejected), "rejected")
		send(edgeEvents, float64(e.Lost), "lost")
		for reason := range e.Counters.Dropped {
			send(edgeDropped, float64(e.Counters.Dropped[reason].Count), shared.DropReason(reason).String())
		}
		send(edgeLag, float64(e.LagMS)/1000)
	}
}
