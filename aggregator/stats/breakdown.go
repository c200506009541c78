package stats

import (
	"context"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Row is one line of a table.
type Row struct {
	Value     string `json:"value"`
	Visitors  int64  `json:"visitors"`
	Pageviews int64  `json:"pageviews"`
}

// Breakdown answers with the dimension's values, those with most visitors
// first, then most pageviews, then in the order of their bytes.
func (e *Engine) Breakdown(ctx context.Context, files []lake.File, q Query, d *Dimension) ([]Row, error) {
	if overviewHas(&q, d) {
		o, err := e.overview(ctx, files, &q, q.Range, true)
		if err != nil {
			return nil, err
		}
		return o.table(&q, d), nil
	}
	if rows, ok, err := e.leaders(ctx, files, q, d); ok || err != nil {
		return rows, err
	}
	rows := []Row{} // an empty table is [] in JSON
	err := e.run(ctx, files, q.SiteID, compileBreakdown(q, d), func(scan func(...any) error) error {
		var value *string
		var r Row
		err := scan(&value, &r.Visitors, &r.Pageviews)
		r.Value = d.label(value)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

func compileBreakdown(q Query, d *Dimension) statement {
	b := &builder{}
	p := newPlan(q, q.Range)
	var s statement
	if d.ofVisits() {
		s = p.visitRows(b, d)
		s.text += " SELECT " + d.column() + " AS value, count(DISTINCT visitor_id) AS visitors," +
			" sum(hit_views)::BIGINT AS pageviews FROM visits WHERE " + p.visitHit(b)
	} else {
		s = p.chosen(b, d)
		s.text += " SELECT " + d.column() + " AS value, count(DISTINCT visitor_id) AS visitors," +
			" count(*) FILTER (pv) AS pageviews FROM chosen" + d.onlyViews()
	}
	s.text += " GROUP BY value ORDER BY visitors DESC, pageviews DESC, value NULLS LAST" +
		" LIMIT " + b.arg(q.Limit) + " OFFSET " + b.arg(q.Offset)
	s.args = b.args
	return s
}
