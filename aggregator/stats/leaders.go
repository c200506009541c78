package stats

import (
	"cmp"
	"context"
	"slices"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// To count the visitors of every value is the dearest part of a table, and
// nearly all of it is for values that are not shown. A value can't have more
// visitors than rows, and rows are cheap to count: so the visitors are counted
// of the values with most rows, and then of every other value that has at least
// as many rows as the last shown one has visitors. The answer is exact.
const (
	// manyLeaders is up to how many rows an answer is made so.
	manyLeaders = 100
	// maxCandidates is how many values are looked at; where more could be among
	// the first, visitors are counted of all.
	maxCandidates = 500
)

// candidate is a value and the most visitors that it can have.
type candidate struct {
	value *string
	rows  int64
}

// leaders answers a breakdown by a dimension of events, if that is quicker than
// counting everything; ok says whether it did.
func (e *Engine) leaders(ctx context.Context, files []lake.File, q Query, d *Dimension) (rows []Row, ok bool, err error) {
	wanted := q.Offset + q.Limit
	if wanted > manyLeaders || d.ofVisits() || d.byRows() || q.Filter.ofVisits() {
		return nil, false, nil
	}
	list, err := e.candidates(ctx, files, q, d)
	first := 2*wanted + 10
	if err != nil || len(list) <= first { // few values: nothing to leave out
		return nil, false, err
	}
	found, err := e.visitorsOf(ctx, files, q, d, list[:first])
	if err != nil {
		return nil, false, err
	}
	least := int64(found[min(wanted, len(found))-1].Visitors)
	end := first
	for end < len(list) && list[end].rows >= least {
		end++
	}
	if end > maxCandidates {
		return nil, false, nil
	}
	if end > first {
		more, err := e.visitorsOf(ctx, files, q, d, list[first:end])
		if err != nil {
			return nil, false, err
		}
		found = append(found, more...)
		slices.SortFunc(found, compareLines)
	}
	rows = []Row{}
	for _, l := range found[q.Offset:wanted] {
		rows = append(rows, l.Row)
	}
	return rows, true, nil
}

// line is a row and whether its value is null, which comes last among equals.
type line struct {
	Row
	unknown bool
}

// compareLines orders as the SQL of a breakdown does.
func compareLines(a, b line) int {
	return cmp.Or(cmp.Compare(b.Visitors, a.Visitors), cmp.Compare(b.Pageviews, a.Pageviews),
		compareBool(a.unknown, b.unknown), cmp.Compare(a.Value, b.Value))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// candidates lists the values with most rows, one more than maxCandidates.
func (e *Engine) candidates(ctx context.Context, files []lake.File, q Query, d *Dimension) ([]candidate, error) {
	var list []candidate
	err := e.run(ctx, files, q.SiteID, compileCandidates(q, d), func(scan func(...any) error) error {
		var c candidate
		err := scan(&c.value, &c.rows)
		list = append(list, c)
		return err
	})
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(b.rows, a.rows) })
	return list, err
}

// visitorsOf counts the candidates' visitors and orders them.
func (e *Engine) visitorsOf(ctx context.Context, files []lake.File, q Query, d *Dimension, list []candidate) ([]line, error) {
	values, null := make([]string, 0, len(list)), false
	for _, c := range list {
		if c.value == nil {
			null = true
		} else {
			values = append(values, *c.value)
		}
	}
	var found []line
	err := e.run(ctx, files, q.SiteID, compileVisitorsOf(q, d, values, null), func(scan func(...any) error) error {
		var value *string
		var l line
		err := scan(&value, &l.Visitors, &l.Pageviews)
		l.Value, l.unknown = d.label(value), value == nil
		found = append(found, l)
		return err
	})
	slices.SortFunc(found, compareLines)
	return found, err
}

func compileCandidates(q Query, d *Dimension) statement {
	b := &builder{}
	p := newPlan(&q, q.Range, b, d)
	s := p.picked(false, d.whose())
	s.text += " SELECT " + p.column(d) + " AS value, count(*) AS n FROM picked" + d.onlyViews() +
		" GROUP BY value ORDER BY n DESC LIMIT " + b.arg(maxCandidates+1)
	s.args = b.args
	return s
}

// compileVisitorsOf counts like a breakdown, of the given values only. Null is
// one of them if null says so.
func compileVisitorsOf(q Query, d *Dimension, values []string, null bool) statement {
	b := &builder{}
	p := newPlan(&q, q.Range, b, d)
	s := p.picked(false, d.whose())
	wanted := "SELECT unnest(" + b.arg(values) + "::VARCHAR[]) AS candidate"
	same := " = "
	if null {
		wanted += " UNION ALL SELECT NULL"
		same = " IS NOT DISTINCT FROM "
	}
	s.text += " SELECT " + p.column(d) + " AS value, count(DISTINCT visitor_id), count(*) FILTER (pv)" +
		" FROM picked SEMI JOIN (" + wanted + ") ON " + p.column(d) + same + "candidate" + d.onlyViews() + " GROUP BY value"
	s.args = b.args
	return s
}

// onlyViews is the condition that leaves out what the dimension is not of.
func (d *Dimension) onlyViews() string {
	switch d.scope {
	case ofView:
		return " WHERE pv"
	case ofAction:
		return " WHERE NOT pv"
	}
	return ""
}
