package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/eider-analytics/eider/shared"
)

// edgeBooks are what the module says of itself in Caddy's metrics.
type edgeBooks struct {
	Results     map[shared.Result]uint64 // requests of the site
	Completions uint64                   // events of the site that have no request of their own
	Evidence    uint64                   // those of them that prove a reader
	Sums        uint64                   // those of them that add requests up
	// Of all sites of the edge.
	Captured, Stored, Dropped, Rejected, Lost uint64
	Queued                                    uint64
	Registered                                bool // identities are the aggregator's
	Degraded                                  bool // the queue is not open: what it holds from before is not counted yet
}

// since subtracts what was there before. The queue's length is no counter.
func (b edgeBooks) since(before edgeBooks) edgeBooks {
	return edgeBooks{
		Results: resultsSince(b.Results, before.Results), Queued: b.Queued, Completions: b.Completions - before.Completions, Evidence: b.Evidence - before.Evidence,
		Sums:     b.Sums - before.Sums,
		Captured: b.Captured - before.Captured, Stored: b.Stored - before.Stored, Dropped: b.Dropped - before.Dropped,
		Rejected: b.Rejected - before.Rejected, Lost: b.Lost - before.Lost,
	}
}

// requests is the number of requests that have a result.
func (b edgeBooks) requests() (n uint64) {
	for _, of := range b.Results {
		n += of
	}
	return n
}

// recorded is the number of requests whose result makes an event.
func (b edgeBooks) recorded() (n uint64) {
	for result, of := range b.Results {
		if result.Recorded() {
			n += of
		}
	}
	return n
}

// events is the number of events that the aggregator is to have of the site. How
// many sums of requests there will be is not known before Caddy stops.
func (b edgeBooks) events() uint64 { return b.recorded() + b.Completions - b.Sums }

const (
	metricRequests = "eider_edge_requests_total"
	metricComplete = "eider_edge_completions_total"
	metricEvents   = "eider_edge_events_total"
	metricQueued   = "eider_edge_queued_events"
	metricDegraded = "eider_edge_queue_degraded"
	metricKnown    = "eider_edge_registered"
)

var bookClient = &http.Client{Timeout: 10 * time.Second}

// readEdge reads the metrics of the Caddy with this admin endpoint.
func readEdge(ctx context.Context, admin, site string) (edgeBooks, error) {
	body, err := get(ctx, admin+"/metrics")
	if err != nil {
		return edgeBooks{}, fmt.Errorf("read Caddy's metrics: %w", err)
	}
	defer func() { _ = body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(body)
	if err != nil {
		return edgeBooks{}, fmt.Errorf("read Caddy's metrics: %w", err)
	}
	if families[metricEvents] == nil {
		return edgeBooks{}, errors.New("no metrics of eider: is this Caddy built and configured with the module?")
	}
	b := edgeBooks{Results: map[shared.Result]uint64{}}
	for _, m := range families[metricRequests].GetMetric() {
		if label(m, "site") == site {
			b.Results[shared.Result(label(m, "result"))] += number(m)
		}
	}
	for _, m := range families[metricComplete].GetMetric() {
		if label(m, "site") == site {
			b.Completions += number(m)
			switch label(m, "completion") {
			case shared.CompletionEvidence:
				b.Evidence += number(m)
			case shared.CompletionRequests:
				b.Sums += number(m)
			}
		}
	}
	for _, m := range families[metricEvents].GetMetric() {
		switch n := number(m); label(m, "state") {
		case "captured":
			b.Captured += n
		case "stored":
			b.Stored += n
		case "dropped":
			b.Dropped += n
		case "rejected":
			b.Rejected += n
		case "lost":
			b.Lost += n
		}
	}
	for _, m := range families[metricQueued].GetMetric() {
		b.Queued += number(m)
	}
	for _, m := range families[metricKnown].GetMetric() {
		b.Registered = b.Registered || label(m, "site") == site && number(m) != 0
	}
	for _, m := range families[metricDegraded].GetMetric() {
		b.Degraded = b.Degraded || number(m) != 0
	}
	return b, nil
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// number is a counter's or a gauge's value, whichever the metric is.
func number(m *dto.Metric) uint64 {
	v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	if v < 0 || v > math.MaxInt64 {
		return 0
	}
	return uint64(v)
}

// get returns the body of a 200.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := bookClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, &statusError{url: url, status: res.StatusCode}
	}
	return res.Body, nil
}

type statusError struct {
	url    string
	status int
}

func (e *statusError) Error() string { return fmt.Sprintf("%s answers %d", e.url, e.status) }
