package receive

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eider-analytics/eider/shared"
)

// metrics count what this process has decided; what was replayed from the
// spool at start is not counted again.
type metrics struct {
	accepted    prometheus.Counter
	duplicate   prometheus.Counter
	rejected    *prometheus.CounterVec
	lost        *prometheus.CounterVec
	adjusted    *prometheus.CounterVec
	quarantined *prometheus.CounterVec
	requests    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, r *Receiver) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	accepted := counter("eider_events_accepted_total", "Events accepted from edges.")
	duplicate := counter("eider_events_duplicate_total", "Events that were delivered again, and not counted again.")
	m := &metrics{
		accepted:    accepted.WithLabelValues(),
		duplicate:   duplicate.WithLabelValues(),
		rejected:    counter("eider_events_rejected_total", "Events refused one by one.", "reason"),
		lost:        counter("eider_events_lost_total", "Events that had a sequence and could not be delivered.", "reason"),
		adjusted:    counter("eider_events_time_adjusted_total", "Events whose time was corrected for the sender's clock, or clamped because that clock contradicts it.", "how"),
		quarantined: counter("eider_batches_quarantined_total", "Batches put into the dead letters.", "reason"),
		requests:    counter("eider_receive_requests_total", "Requests of edges.", "endpoint", "status"),
	}
	pending := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "eider_receive_pending_events", Help: "Events between spool and lake.",
	}, func() float64 { return float64(r.PendingEvents()) })
	dead := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "eider_dead_letter_bytes", Help: "Size of the dead letters.",
	}, func() float64 { return float64(r.dead.size()) })
	for _, c := range []prometheus.Collector{
		accepted, duplicate, m.rejected, m.lost, m.adjusted, m.quarantined, m.requests, pending, dead,
	} {
		if reg == nil {
			break
		}
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register receiver's metrics: %w", err)
		}
	}
	// Series exist before the first event, so that a rate sees the first one.
	for _, reason := range shared.Rejections {
		m.rejected.WithLabelValues(string(reason))
	}
	for reason := shared.LossDropOldest; reason < shared.NumLossReasons; reason++ {
		m.lost.WithLabelValues(reason.String())
	}
	for how := adjustCorrected; how < numAdjustments; how++ {
		m.adjusted.WithLabelValues(adjustmentNames[how])
	}
	for _, reason := range quarantines {
		m.quarantined.WithLabelValues(string(reason))
	}
	return m, nil
}

// taken counts one recorded batch.
func (m *metrics) taken(d *decided) {
	h := &d.batch.Header
	if h.Kind == shared.BatchLost {
		m.lost.WithLabelValues(h.LossReason.String()).Add(float64(d.verdict.last - d.verdict.first + 1))
		return
	}
	m.accepted.Add(float64(len(d.batch.Events)))
	for _, rej := range d.batch.Rejected {
		m.rejected.WithLabelValues(string(rej.Reason)).Inc()
	}
	for how := adjustCorrected; how < numAdjustments; how++ {
		if n := d.adjusts[how]; n > 0 {
			m.adjusted.WithLabelValues(adjustmentNames[how]).Add(float64(n))
		}
	}
}
