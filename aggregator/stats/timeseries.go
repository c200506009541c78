package stats

import (
	"context"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Point is one bucket of a chart. Date is the bucket's beginning in the site's
// zone: "2026-11-22" of a day, week or month, "2026-11-22T14:00:00" of an hour or
// minute.
type Point struct {
	Date      string `json:"date"`
	Visitors  Count  `json:"visitors"`
	Pageviews Count  `json:"pageviews"`
}

// Timeseries answers with every bucket of the range, in order.
func (e *Engine) Timeseries(ctx context.Context, files []lake.File, q Query) ([]Point, error) {
	c := newChart(q.Range, q.Interval)
	asked := q.asked(tableAsked, Group{name: "time", interval: q.Interval})
	asked.Limit, asked.Offset, asked.Order = maxBuckets, 0, nil
	if found, ok, err := e.sumsOf(ctx, files, &asked, q.Range); ok || err != nil {
		return c.summed(&q, found), err
	}
	if overviewHas(&q, nil) && q.Interval == defaultInterval(q.Range) {
		o, err := e.overview(ctx, files, &q, q.Range, true)
		if err != nil {
			return nil, err
		}
		return c.points(&q, o.series), nil
	}
	return e.series(ctx, files, q, c)
}

func (e *Engine) series(ctx context.Context, files []lake.File, q Query, c chart) ([]Point, error) {
	found := make(map[int64]Point)
	err := e.run(ctx, files, q.SiteID, compileTimeseries(q, &c), func(scan func(...any) error) error {
		var key int64
		var p Point
		err := scan(&key, &p.Visitors, &p.Pageviews)
		found[key] = p
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.points(&q, found), nil
}

// summed are all buckets in order, with what rollups say of them.
func (c *chart) summed(q *Query, results []Result) []Point {
	found := map[int64]Point{}
	at := 0
	for _, r := range results { // in the order of time
		for at < len(c.buckets) && c.buckets[at].date != r.Groups[0] {
			at++
		}
		if at == len(c.buckets) {
			break
		}
		found[c.buckets[at].key] = Point{Visitors: max(countOf(r.Metrics[0]), 0), Pageviews: countOf(r.Metrics[1])}
	}
	return c.points(q, found)
}

// points are all buckets in order, with what was found of them; null is what
// can't be known.
func (c *chart) points(q *Query, found map[int64]Point) []Point {
	points := make([]Point, len(c.buckets))
	for i, b := range c.buckets {
		var some bool
		if points[i], some = found[b.key]; some && points[i].Visitors == 0 {
			points[i].Visitors = Unknowable // there were events, of somebody
		}
		points[i].Date = b.date
	}
	p := q.privacy(q.Range)
	markPoints(points, &p, c.interval)
	return points
}

func compileTimeseries(q Query, c *chart) statement {
	b := &builder{}
	p := newPlan(&q, q.Range, b)
	s := p.picked(false, people)
	s.text += " SELECT " + c.sql(b, "t") + " AS bucket, count(DISTINCT visitor_id), count(*) FILTER (pv) FROM picked GROUP BY bucket"
	s.args = b.args
	return s
}
