package stats

import (
	"context"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Row is one line of a table.
type Row struct {
	Value     string `json:"value"`
	Visitors  Count  `json:"visitors"`
	Pageviews int64  `json:"pageviews"`
	// Events are the rows of a table that is not about pageviews: custom events,
	// downloads, errors, requests of bots.
	Events int64 `json:"events,omitempty"`
}

// byRows reports whether the table counts rows, and is ordered by them.
func (d *Dimension) byRows() bool { return d.rows != "" || d.scope == ofAction }

// ByRows reports whether tables of the dimension count rows, as events.
func (d *Dimension) ByRows() bool { return d.byRows() }

// Breakdown answers with the dimension's values, those with most visitors
// first, then most pageviews, then in the order of their bytes. Tables that are
// not about pageviews begin with the values that have most rows.
func (e *Engine) Breakdown(ctx context.Context, files []lake.File, q Query, d *Dimension) ([]Row, error) {
	if d.rows != "" && q.Filter.ofVisits() {
		return nil, invalid("filters", "%s are of no visit, so that they can't be filtered by one: leave sources, channels, campaigns, entry and exit pages out", d.name)
	}
	rows, err := e.table(ctx, files, q, d)
	markRows(rows)
	return rows, err
}

// table finds the rows of a breakdown the quickest way that there is.
func (e *Engine) table(ctx context.Context, files []lake.File, q Query, d *Dimension) ([]Row, error) {
	if rows, ok, err := e.summedTable(ctx, files, q, d); ok || err != nil {
		return rows, err
	}
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
		err := scan(&value, &r.Visitors, &r.Pageviews, &r.Events)
		r.Value = d.label(value)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// summedTable makes the table from rollups.
func (e *Engine) summedTable(ctx context.Context, files []lake.File, q Query, d *Dimension) ([]Row, bool, error) {
	asked := q.asked(tableAsked, Group{name: d.name, dimension: d})
	asked.Order = []Order{{metric: 0, descending: true}, {metric: 1, descending: true}}
	if d.byRows() {
		asked.Order = append([]Order{{metric: 2, descending: true}}, asked.Order...)
	}
	found, ok, err := e.sumsOf(ctx, files, &asked, q.Range)
	if !ok || err != nil {
		return nil, ok, err
	}
	rows := make([]Row, len(found))
	for i, r := range found {
		rows[i] = Row{Value: r.Groups[0], Visitors: max(countOf(r.Metrics[0]), 0), Pageviews: int64(countOf(r.Metrics[1]))}
		if d.byRows() {
			rows[i].Events = int64(countOf(r.Metrics[2]))
		}
	}
	return rows, true, nil
}

// tableAsked are the metrics that a table is made of.
var tableAsked = named("visitors", "pageviews", "events")

func compileBreakdown(q Query, d *Dimension) statement {
	b := &builder{}
	p := newPlan(&q, q.Range, b, d)
	s := p.picked(false, d.whose())
	s.text += " SELECT " + p.column(d) + " AS value, count(DISTINCT visitor_id) AS visitors," +
		" count(*) FILTER (pv) AS pageviews, " + d.count() + " AS n FROM picked" + d.onlyViews() +
		" GROUP BY value ORDER BY n DESC, visitors DESC, pageviews DESC, value NULLS LAST" +
		" LIMIT " + b.arg(q.Limit) + " OFFSET " + b.arg(q.Offset)
	s.args = b.args
	return s
}

// count is what Row.Events counts.
func (d *Dimension) count() string {
	if d.byRows() {
		return "count(*)"
	}
	return "0::BIGINT"
}
