package stats

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Answer is what a question of metrics by groups is answered by.
type Answer struct {
	Results []Result
	// Total is how many rows there are without limit and offset.
	Total int64
	// Labels name every bucket of the range, if that was asked for.
	Labels  []string
	Caveats []Caveat
}

// Result is one row: a value for each group, a number for each metric. Nil is
// what nobody knows.
type Result struct {
	Groups     []string
	Metrics    []*float64
	Comparison []*float64 // of the same groups in the other range; nil = none
	// Before are the groups in the other range: buckets of time are others there.
	// Nil is a bucket that it does not have.
	Before []*string
	keys   []*string // as they were found: of time the place in the range, else the value
}

// Ask answers a question of metrics by groups.
func (e *Engine) Ask(ctx context.Context, files []lake.File, q Query) (*Answer, error) {
	a := &Answer{Results: []Result{}}
	var err error
	if a.Results, a.Total, err = e.ask(ctx, files, &q, q.Range); err != nil {
		return nil, err
	}
	if len(a.Results) == 0 && q.Offset > 0 && q.TotalRows { // no row is there to say it
		first := q
		first.Limit, first.Offset = 1, 0
		if _, a.Total, err = e.ask(ctx, files, &first, q.Range); err != nil {
			return nil, err
		}
	}
	if q.Compare != nil {
		if err := e.compare(ctx, files, &q, a); err != nil {
			return nil, err
		}
	}
	for _, g := range q.Groups {
		if g.interval != "" && q.Labels {
			c := newChart(q.Range, g.interval)
			for _, b := range c.buckets {
				a.Labels = append(a.Labels, b.date)
			}
			break
		}
	}
	a.explain(&q)
	return a, nil
}

// ask finds the rows of one range.
func (e *Engine) ask(ctx context.Context, files []lake.File, q *Query, r Range) ([]Result, int64, error) {
	return e.scanAnswer(ctx, files, q, r, q.statement(files, r))
}

// scanAnswer reads the rows of a statement that compileAsk or compileRolled made.
func (e *Engine) scanAnswer(ctx context.Context, files []lake.File, q *Query, r Range, s statement) ([]Result, int64, error) {
	charts := make([]*chart, len(q.Groups))
	places := make([]map[int64]int, len(q.Groups)) // of buckets, by their keys
	for i, g := range q.Groups {
		if g.interval == "" {
			continue
		}
		c := newChart(r, g.interval)
		charts[i], places[i] = &c, map[int64]int{}
		for n, b := range c.buckets {
			places[i][b.key] = n
		}
	}
	results := []Result{}
	var total int64
	p := q.privacy(r)
	err := e.run(ctx, files, q.SiteID, s, func(scan func(...any) error) error {
		row := Result{Groups: make([]string, len(q.Groups)), Metrics: make([]*float64, len(q.Metrics)), keys: make([]*string, len(q.Groups))}
		buckets := make([]int64, len(q.Groups))
		into := make([]any, 0, len(q.Groups)+len(q.Metrics)+1)
		for i := range q.Groups {
			if charts[i] != nil {
				into = append(into, &buckets[i])
			} else {
				into = append(into, &row.keys[i])
			}
		}
		for i := range q.Metrics {
			into = append(into, &row.Metrics[i])
		}
		if err := scan(append(into, &total)...); err != nil {
			return err
		}
		for i, g := range q.Groups {
			if charts[i] == nil {
				row.Groups[i] = g.label(row.keys[i])
				continue
			}
			n := places[i][buckets[i]]
			key := place(n)
			row.keys[i], row.Groups[i] = &key, charts[i].buckets[n].date
		}
		q.mark(row.Metrics, p.NoVisitorID, p.HourTimes)
		results = append(results, row)
		return nil
	})
	return results, total, err
}

// place is the key of a bucket: its place in the range.
func place(n int) string { return strconv.Itoa(n) }

// label is how an answer calls the value.
func (g *Group) label(value *string) string {
	switch {
	case value != nil:
		return *value
	case g.dimension != nil:
		return g.dimension.none()
	}
	return Unknown
}

// mark makes null what the site's options leave out.
func (q *Query) mark(numbers []*float64, noVisitors, hourTimes bool) {
	for i, m := range q.Metrics {
		if noVisitors && m.people && numbers[i] != nil && *numbers[i] == 0 {
			numbers[i] = nil
		}
		if hourTimes && m.name == "visit_duration" {
			numbers[i] = nil
		}
	}
}

// compare finds the numbers of the other range. Buckets of time are compared by
// their place in the range, other groups by their values.
func (e *Engine) compare(ctx context.Context, files []lake.File, q *Query, a *Answer) error {
	other := *q
	other.Limit, other.Offset, other.Order = maxWideLimit, 0, nil
	rows, total, err := e.ask(ctx, files, &other, *q.Compare)
	if err != nil {
		return err
	}
	found := make(map[string][]*float64, len(rows))
	for i := range rows {
		found[rows[i].key()] = rows[i].Metrics
	}
	before := make([]chart, len(q.Groups))
	for i, g := range q.Groups {
		if g.interval != "" {
			before[i] = newChart(*q.Compare, g.interval)
		}
	}
	p := q.privacy(*q.Compare)
	for i := range a.Results {
		r := &a.Results[i]
		r.Before = r.in(before)
		r.Comparison = found[r.key()]
		if r.Comparison != nil {
			continue
		}
		r.Comparison = make([]*float64, len(q.Metrics))
		if slices.Contains(r.Before, nil) || total > int64(len(rows)) {
			continue // nobody looked for it
		}
		for n, m := range q.Metrics {
			if m.whole && m.name != "bytes" { // there was none of it
				r.Comparison[n] = new(float64)
			}
		}
		q.mark(r.Comparison, p.NoVisitorID, p.HourTimes)
	}
	return nil
}

// key names the row by its groups.
func (r *Result) key() string {
	var text strings.Builder
	for _, key := range r.keys {
		if key == nil {
			text.WriteString("\x00null")
		} else {
			text.WriteString(*key)
		}
		text.WriteByte(0)
	}
	return text.String()
}

// in gives the row's groups as the other range names them; charts are those of
// its groups that are intervals.
func (r *Result) in(charts []chart) []*string {
	labels := make([]*string, len(charts))
	for i := range charts {
		if charts[i].interval == "" {
			labels[i] = &r.Groups[i]
		} else if n, err := strconv.Atoi(*r.keys[i]); err == nil && n < len(charts[i].buckets) {
			labels[i] = &charts[i].buckets[n].date
		}
	}
	return labels
}

// explain says what to know of the answer.
func (a *Answer) explain(q *Query) {
	var numbers []string
	for _, m := range q.Metrics {
		if m.people {
			numbers = append(numbers, m.name)
		}
	}
	c := q.caution(q.Range, numbers...)
	for _, g := range q.Groups {
		if g.dimension != nil {
			c.asks(g.dimension)
		}
	}
	for _, m := range q.Metrics {
		if m.name == "visit_duration" {
			c.timed = append(c.timed, m.name)
		}
	}
	at := slices.IndexFunc(q.Metrics, func(m *Metric) bool { return m.people })
	for i := range a.Results {
		if at >= 0 {
			if v := a.Results[i].Metrics[at]; v == nil {
				c.saw(Unknowable)
			} else {
				c.saw(Count(*v))
			}
		}
	}
	if len(numbers) > 0 || len(c.asked) > 0 {
		a.Caveats = c.list()
	}
}
