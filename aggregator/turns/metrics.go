package turns

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what was seen of each class since the start.
type metrics struct {
	waited, took [classes]prometheus.Observer
	refused      [classes]prometheus.Counter
	all          []prometheus.Collector
}

func newMetrics() metrics {
	buckets := []float64{.001, .005, .02, .1, .25, .5, 1, 2.5, 5, 10, 30}
	waited := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "eider_query_wait_seconds", Help: "How long statements of questions waited for their turn.", Buckets: buckets,
	}, []string{"class"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "eider_query_seconds", Help: "How long statements of questions ran.", Buckets: buckets,
	}, []string{"class"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "eider_query_refused_total", Help: "Statements that were refused because too many waited.",
	}, []string{"class"})
	m := metrics{all: []prometheus.Collector{waited, took, refused}}
	for c := range classes {
		m.waited[c] = waited.WithLabelValues(c.String())
		m.took[c] = took.WithLabelValues(c.String())
		m.refused[c] = refused.WithLabelValues(c.String())
	}
	return m
}

// Register adds the metrics to a registry.
func (t *Turns) Register(r prometheus.Registerer) error {
	list := t.metrics.all
	for c := range classes {
		labels := prometheus.Labels{"class": c.String()}
		list = append(list,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "eider_query_running", Help: "Statements of questions that run.", ConstLabels: labels,
			}, func() float64 { return float64(t.Load(c).Running) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "eider_query_waiting", Help: "Statements of questions that wait for their turn.", ConstLabels: labels,
			}, func() float64 { return float64(t.Load(c).Waiting) }))
	}
	for _, c := range list {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics of turns: %w", err)
		}
	}
	return nil
}
