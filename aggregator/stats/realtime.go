package stats

import (
	"context"
	"time"

	"github.com/eider-analytics/eider/aggregator/calendar"
	"github.com/eider-analytics/eider/aggregator/lake"
)

// RealtimeWindow is how far back the present goes.
const RealtimeWindow = 5 * time.Minute

// realtimeStep is how often the window moves on: an answer holds for so long
// if nobody comes.
const realtimeStep = 10 * time.Second

// Realtime is who is there now.
type Realtime struct {
	CurrentVisitors Count   `json:"current_visitors"`
	Pageviews       Count   `json:"pageviews"`
	WindowMinutes   int     `json:"window_minutes"`
	TopPages        []Row   `json:"top_pages"`
	TopSources      []Row   `json:"top_sources"`
	PerMinute       []Point `json:"per_minute"` // the window in minutes, the last one ends now
	Meta            *Meta   `json:"meta,omitempty"`
}

// RealtimeRange is the window that ends now.
func RealtimeRange(zone *time.Location, now time.Time) Range {
	to := now.Truncate(realtimeStep).Add(realtimeStep)
	return Range{Zone: zone, From: to.Add(-RealtimeWindow).UnixMicro(), To: to.UnixMicro(), Now: true}
}

// Realtime answers about the query's range, which [RealtimeRange] made.
func (e *Engine) Realtime(ctx context.Context, files []lake.File, q Query) (Realtime, error) {
	r := Realtime{WindowMinutes: int(RealtimeWindow / time.Minute)}
	err := e.run(ctx, files, q.SiteID, compileCount(q), func(scan func(...any) error) error {
		return scan(&r.CurrentVisitors, &r.Pageviews)
	})
	if err != nil {
		return r, err
	}
	if r.TopPages, err = e.Breakdown(ctx, files, q, pages); err != nil {
		return r, err
	}
	if r.TopSources, err = e.Breakdown(ctx, files, q, sources); err != nil {
		return r, err
	}
	if r.PerMinute, err = e.series(ctx, files, q, minutesOf(q.Range)); err != nil {
		return r, err
	}
	p := q.privacy(q.Range)
	r.mark(&p)
	r.explain(&q)
	return r, nil
}

func compileCount(q Query) statement {
	b := &builder{}
	p := newPlan(&q, q.Range, b)
	s := p.picked(false, people)
	s.text += " SELECT " + countVisitors + ", count(*) FILTER (pv) FROM picked"
	s.args = b.args
	return s
}

// minutesOf cuts a range into minutes from its beginning on, wherever the
// clock stands.
func minutesOf(r Range) chart {
	c := chart{interval: Minute, width: minuteMicros}
	c.spans = []span{{Offset: calendar.Offset{From: r.From, To: r.To, East: -r.From}}}
	for at := r.From; at < r.To; at += minuteMicros {
		date := time.UnixMicro(at).In(r.Zone).Format(clockLayout)
		c.buckets = append(c.buckets, bucket{key: (at - r.From) / minuteMicros, date: date})
	}
	return c
}
