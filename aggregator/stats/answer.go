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
	keys       []*string  // as they were found, before they were named
}

// Ask answers a question of metrics by groups.
func (e *Engine) Ask(ctx context.Context, files []lake.File, q Query) (*Answer, error) {
	a := &Answer{Results: []Result{}}
	var err error
	if a.Results, a.Total, err = e.ask(ctx, files, &q, q.Range); err != nil {
		return nil, err
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
	charts := make([]map[int64]string, len(q.Groups))
	for i, g := range q.Groups {
		if g.interval != "" {
			charts[i] = map[int64]string{}
			c := newChart(r, g.interval)
			for _, b := range c.buckets {
				charts[i][b.key] = b.date
			}
		}
	}
	results := []Result{}
	var total int64
	p := q.privacy(r)
	err := e.run(ctx, files, q.SiteID, compileAsk(q, r), func(scan func(...any) error) error {
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
			if charts[i] != nil {
				label := charts[i][buckets[i]]
				row.keys[i] = &label
			}
			row.Groups[i] = g.label(row.keys[i])
		}
		q.mark(row.Metrics, p.NoVisitorID, p.HourTimes)
		results = append(results, row)
		return nil
	})
	return results, total, err
}

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
	rows, _, err := e.ask(ctx, files, &other, *q.Compare)
	if err != nil {
		return err
	}
	places := func(r Range) map[string]string {
		place := map[string]string{}
		for _, g := range q.Groups {
			if g.interval != "" {
				c := newChart(r, g.interval)
				for i, b := range c.buckets {
					place[b.date] = strconv.Itoa(i)
				}
			}
		}
		return place
	}
	before, now := places(*q.Compare), places(q.Range)
	key := func(r *Result, place map[string]string) string {
		var text strings.Builder
		for i, g := range q.Groups {
			switch {
			case r.keys[i] == nil:
				text.WriteString("\x00null")
			case g.interval != "":
				text.WriteString(place[*r.keys[i]])
			default:
				text.WriteString(*r.keys[i])
			}
			text.WriteByte(0)
		}
		return text.String()
	}
	found := make(map[string][]*float64, len(rows))
	for i := range rows {
		found[key(&rows[i], before)] = rows[i].Metrics
	}
	for i := range a.Results {
		r := &a.Results[i]
		if r.Comparison = found[key(r, now)]; r.Comparison == nil {
			r.Comparison = make([]*float64, len(q.Metrics))
			for n, m := range q.Metrics {
				if m.whole { // there was none of it
					r.Comparison[n] = new(float64)
				}
			}
		}
	}
	return nil
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
