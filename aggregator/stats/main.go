package stats

import (
	"context"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Totals are the numbers of a range. Null is what can't be computed.
type Totals struct {
	Visitors      Count    `json:"visitors"`
	Pageviews     int64    `json:"pageviews"`
	Visits        Count    `json:"visits"`
	BounceRate    *float64 `json:"bounce_rate"`    // 0 to 1
	VisitDuration *float64 `json:"visit_duration"` // mean, seconds
	ViewsPerVisit *float64 `json:"views_per_visit"`
}

// Main is the answer to [Engine.Main].
type Main struct {
	Totals
	Comparison *Totals `json:"comparison,omitempty"`
	Meta       *Meta   `json:"meta,omitempty"` // nil = there is nothing to know
}

// Main answers with the totals of the range, and of the one to compare with.
func (e *Engine) Main(ctx context.Context, files []lake.File, q Query) (Main, error) {
	var m Main
	var err error
	if m.Totals, err = e.totals(ctx, files, q, q.Range); err != nil {
		return m, err
	}
	p := q.privacy(q.Range)
	m.mark(&p)
	if q.Compare != nil {
		other, err := e.totals(ctx, files, q, *q.Compare)
		if err != nil {
			return m, err
		}
		p := q.privacy(*q.Compare)
		other.mark(&p)
		m.Comparison = &other
	}
	m.explain(&q)
	return m, nil
}

// visitSums are what the numbers of visits are made of.
type visitSums struct{ visits, views, bounces, micros int64 }

func (s *visitSums) add(t visitSums) {
	s.visits += t.visits
	s.views += t.views
	s.bounces += t.bounces
	s.micros += t.micros
}

// into fills in the means, which no visits have none of.
func (s visitSums) into(t *Totals) {
	t.Visits = Count(s.visits)
	if s.visits == 0 {
		return
	}
	mean := func(sum float64) *float64 { v := sum / float64(s.visits); return &v }
	t.BounceRate = mean(float64(s.bounces))
	t.VisitDuration = mean(float64(s.micros) / 1e6)
	t.ViewsPerVisit = mean(float64(s.views))
}

// totalsAsked are the metrics that totals are made of.
var totalsAsked = named("visitors", "pageviews", "visits", "bounce_rate", "visit_duration", "views_per_visit")

// asked is the query with metrics, by groups.
func (q Query) asked(list []*Metric, groups ...Group) Query {
	q.Metrics, q.Groups = list, groups
	return q
}

// sumsOf answers a question from rollups, if that is the quicker way.
func (e *Engine) sumsOf(ctx context.Context, files []lake.File, q *Query, r Range) (results []Result, ok bool, err error) {
	s, ok := q.rolled(files, r)
	if ok {
		results, _, err = e.scanAnswer(ctx, files, q, r, s)
	}
	return results, ok, err
}

// countOf is a number of people that was answered.
func countOf(v *float64) Count {
	if v == nil {
		return Unknowable
	}
	return Count(*v)
}

func (e *Engine) totals(ctx context.Context, files []lake.File, q Query, r Range) (Totals, error) {
	asked := q.asked(totalsAsked)
	asked.Limit, asked.Offset, asked.Order = 1, 0, nil
	if found, ok, err := e.sumsOf(ctx, files, &asked, r); ok || err != nil {
		var t Totals
		if err == nil {
			m := found[0].Metrics
			t = Totals{Visitors: countOf(m[0]), Pageviews: int64(countOf(m[1])), Visits: countOf(m[2]), BounceRate: m[3], VisitDuration: m[4], ViewsPerVisit: m[5]}
		}
		return t, err
	}
	if overviewHas(&q, nil) {
		o, err := e.overview(ctx, files, &q, r, r == q.Range)
		if err != nil {
			return Totals{}, err
		}
		return o.totals, nil
	}
	var t Totals
	var sums visitSums
	err := e.run(ctx, files, q.SiteID, compileTotals(q, r), func(scan func(...any) error) error {
		return scan(&t.Visitors, &t.Pageviews, &sums.visits, &sums.views, &sums.bounces, &sums.micros)
	})
	sums.into(&t)
	return t, err
}

func compileTotals(q Query, r Range) statement {
	b := &builder{}
	p := newPlan(&q, r, b)
	s := p.picked(true, people)
	s.text += ", chosen AS (SELECT v.*, hit_views FROM visits v JOIN (SELECT visitor_id, visit, count(*) FILTER (pv) AS hit_views FROM picked GROUP BY ALL) h" +
		" ON v.visitor_id IS NOT DISTINCT FROM h.visitor_id AND v.visit = h.visit)" +
		" SELECT " + visitSumColumns(p.inRange("began")) + " FROM chosen"
	s.args = b.args
	return s
}

// countVisitors is the number of a relation's visitors: of rows of which none has
// one, Unknowable.
const countVisitors = "CASE WHEN count(*) > 0 AND count(visitor_id) = 0 THEN -1 ELSE count(DISTINCT visitor_id) END"

// visitSumColumns are visitors, pageviews and the visitSums over visits, of
// which those count that began in the range.
func visitSumColumns(inRange string) string {
	counted := "FILTER (visitor_id IS NOT NULL AND " + inRange + ")"
	return countVisitors + ", coalesce(sum(hit_views), 0)::BIGINT, count(*) " + counted + "," +
		" coalesce(sum(views) " + counted + ", 0)::BIGINT," +
		" coalesce(sum((views = 1 AND others = 0)::INTEGER) " + counted + ", 0)::BIGINT," +
		" coalesce(sum(ended - began) " + counted + ", 0)::BIGINT"
}
