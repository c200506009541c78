package stats

import (
	"context"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// everyPath is that of any event, where [pages] are of pageviews alone.
var everyPath = &Dimension{name: "paths", api: "event:path", expr: "pathname"}

// By makes a question of parameters one of metrics by dimensions. The error is
// an [InvalidError].
func (q Query) By(metrics []string, dimensions ...string) (Query, error) {
	q.Metrics, q.Groups, q.Order = nil, nil, nil
	if err := q.parseMetrics(metrics); err != nil {
		return q, err
	}
	if err := q.parseGroups(&q.site, dimensions); err != nil {
		return q, err
	}
	return q, q.check()
}

// ByTime is By with the question's own interval, every bucket of it.
func (q Query) ByTime(metrics []string) (Query, error) {
	q, err := q.By(metrics, "time:"+string(q.Interval))
	q.Limit, q.Offset, q.Labels = maxWideLimit, 0, true
	return q, err
}

// First puts rows in the order of a metric, the largest first.
func (q Query) First(metric string) Query {
	for i, m := range q.Metrics {
		if m.name == metric {
			q.Order = []Order{{metric: i, group: -1, descending: true}}
		}
	}
	return q
}

// Known leaves out events of which a dimension is not known.
func (q Query) Known(dimension string) (Query, error) {
	d, err := filterDimension("dimension", dimension)
	if err != nil {
		return q, err
	}
	q.Filter = both(q.Filter, &Filter{comparison: &comparison{dimension: d, negated: true, values: []*string{nil}}})
	return q, nil
}

// Only leaves out events of which a dimension has another value.
func (q Query) Only(dimension, value string) (Query, error) {
	d, err := filterDimension("dimension", dimension)
	if err != nil {
		return q, err
	}
	v, err := filterValue(dimension, d, value)
	if err != nil {
		return q, err
	}
	q.Filter = both(q.Filter, &Filter{comparison: &comparison{dimension: d, values: []*string{v}}})
	return q, nil
}

// Filled are the results with every bucket of a question by time alone: of those
// that nothing was found of, numbers are 0 and measures null.
func (a *Answer) Filled(q *Query) []Result {
	found := make(map[string]*Result, len(a.Results))
	for i := range a.Results {
		found[*a.Results[i].keys[0]] = &a.Results[i]
	}
	p := q.privacy(q.Range)
	c := newChart(q.Range, q.Groups[0].interval)
	list := make([]Result, len(c.buckets))
	for i, b := range c.buckets {
		if r := found[place(i)]; r != nil {
			list[i] = *r
			continue
		}
		list[i] = Result{Groups: []string{b.date}, Metrics: make([]*float64, len(q.Metrics))}
		for n, m := range q.Metrics {
			if m.whole && m.name != "bytes" {
				list[i].Metrics[n] = new(float64)
			}
		}
		q.mark(list[i].Metrics, p.NoVisitorID, p.HourTimes)
	}
	return list
}

// GoalNames are the site's goals, in the order in which they were added.
func (q *Query) GoalNames() []string {
	names := make([]string, len(q.site.Goals))
	for i := range q.site.Goals {
		names[i] = q.site.Goals[i].Name
	}
	return names
}

// Revenue is what events brought in. Sums of different currencies are never added
// up.
type Revenue struct {
	ByCurrency []Takings `json:"by_currency"`
	ByEvent    []Takings `json:"by_event"`
	ByPage     []Takings `json:"by_page"`
	BySource   []Takings `json:"by_source"`
}

// Takings are those of one currency, and of one value of what they are broken
// down by.
type Takings struct {
	Value        *string  `json:"value,omitempty"`
	Currency     string   `json:"currency"`
	Total        *float64 `json:"total"`
	Transactions *float64 `json:"transactions"`
	Payers       *float64 `json:"paying_visitors"`
	Average      *float64 `json:"average_order_value"`
}

// Revenue answers about the events of the range that have an amount.
func (e *Engine) Revenue(ctx context.Context, files []lake.File, q Query) (Revenue, []Caveat, error) {
	var r Revenue
	q, err := q.Known("event:currency")
	if err != nil {
		return r, nil, err
	}
	if q, err = q.By([]string{"total_revenue", "transactions", "paying_visitors", "average_revenue"}, "event:currency"); err != nil {
		return r, nil, err
	}
	q.Compare = nil
	var caveats []Caveat
	for _, table := range []struct {
		by   *Dimension
		into *[]Takings
	}{{nil, &r.ByCurrency}, {actions, &r.ByEvent}, {everyPath, &r.ByPage}, {sources, &r.BySource}} {
		of := q
		if table.by != nil {
			of.Groups = append([]Group{{name: table.by.api, dimension: table.by}}, q.Groups...)
		}
		a, err := e.Ask(ctx, files, of.First("transactions"))
		if err != nil {
			return r, nil, err
		}
		if table.by == nil {
			caveats = a.Caveats
		}
		*table.into = []Takings{}
		for i := range a.Results {
			row := &a.Results[i]
			t := Takings{
				Currency: row.Groups[len(row.Groups)-1],
				Total:    row.Metrics[0], Transactions: row.Metrics[1], Payers: row.Metrics[2], Average: row.Metrics[3],
			}
			if table.by != nil {
				t.Value = &row.Groups[0]
			}
			*table.into = append(*table.into, t)
		}
	}
	return r, caveats, nil
}
