package stats

import (
	"context"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Sessions are the numbers of visits, as Mallard calls them.
type Sessions struct {
	Total      Count    `json:"total_sessions"`
	Duration   *float64 `json:"avg_session_duration_secs"`
	Pages      *float64 `json:"avg_pages_per_session"`
	BounceRate *float64 `json:"bounce_rate"` // 0 to 1
	Meta       *Meta    `json:"meta,omitempty"`
}

// Sessions answers with what [Engine.Main] says of visits.
func (e *Engine) Sessions(ctx context.Context, files []lake.File, q Query) (*Sessions, error) {
	q.Compare = nil
	m, err := e.Main(ctx, files, q)
	if err != nil {
		return nil, err
	}
	return &Sessions{m.Visits, m.VisitDuration, m.ViewsPerVisit, m.BounceRate, m.Meta}, nil
}
