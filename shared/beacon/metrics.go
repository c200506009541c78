package beacon

import "github.com/prometheus/client_golang/prometheus"

// Metrics shows the [Counts] of an intake, wherever it is: the names differ in
// their beginning alone.
type Metrics struct{ messages, props *prometheus.Desc }

// NewMetrics names the metrics, after a prefix like eider_collection_.
func NewMetrics(prefix string) Metrics {
	return Metrics{
		messages: prometheus.NewDesc(prefix+"messages_total",
			"Messages of browsers, clients and servers at the collection endpoints, by what became of them.", []string{"outcome"}, nil),
		props: prometheus.NewDesc(prefix+"dropped_properties_total", "Custom properties over the limits.", nil, nil),
	}
}

// Describe says which they are.
func (m Metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.messages; ch <- m.props }

// Collect says what they are.
func (m Metrics) Collect(ch chan<- prometheus.Metric, c *Counts) {
	for o := range NumOutcomes {
		ch <- prometheus.MustNewConstMetric(m.messages, prometheus.CounterValue, float64(c.Of(o)), o.String())
	}
	ch <- prometheus.MustNewConstMetric(m.props, prometheus.CounterValue, float64(c.DroppedProps()))
}
