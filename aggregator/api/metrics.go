package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/eider-analytics/eider/aggregator/flight"
)

// registerMetrics adds what becomes of questions to a registry. A name that is
// taken is a mistake of ours.
func registerMetrics(r prometheus.Registerer, answers func() flight.Stats) {
	counter := func(how string, value func(flight.Stats) uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "eider_answers_total", Help: "Questions by how they were answered: from memory, together with another one, or by asking the files.",
			ConstLabels: prometheus.Labels{"how": how},
		}, func() float64 { return float64(value(answers())) }))
	}
	counter("kept", func(s flight.Stats) uint64 { return s.Hits })
	counter("shared", func(s flight.Stats) uint64 { return s.Shared })
	counter("made", func(s flight.Stats) uint64 { return s.Made })
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "eider_answers_kept_bytes", Help: "Size of the answers that are kept.",
	}, func() float64 { return float64(answers().Size) }))
}
