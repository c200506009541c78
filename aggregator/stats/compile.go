package stats

import (
	"strconv"
	"strings"
	"time"
)

// people is the condition on rows that count at all: interactions of people.
const people = "kind IN ('pageview', 'event') AND " + peoples

// peoples is the condition on rows of people.
const peoples = "(verdict IS NULL OR verdict <> 'bot')"

// ordinal orders a visitor's events by time, at the same microsecond by
// sequence, in one integer that sorts fast: µs since 1970 fit into 53 bits
// until the year 2200.
const ordinal = "(epoch_us(time) * 1024 + seq % 1024)"

// plan is a question about one range, on its way to SQL.
type plan struct {
	q   *Query
	rng Range
	b   *builder
	// dims are the dimensions that rows are to have; their columns are numbered
	// in this order.
	dims []*Dimension
}

func newPlan(q *Query, r Range, b *builder, dims ...*Dimension) *plan {
	p := &plan{q: q, rng: r, b: b}
	for _, d := range dims {
		p.add(d)
	}
	return p
}

// add makes sure that rows have the dimension.
func (p *plan) add(d *Dimension) {
	if p.index(d) < 0 {
		p.dims = append(p.dims, d)
	}
}

func (p *plan) index(d *Dimension) int {
	for i, have := range p.dims {
		if have == d || have.name == d.name {
			return i
		}
	}
	return -1
}

// column is the name of the dimension's column: nothing from outside.
func (p *plan) column(d *Dimension) string { return "d" + strconv.Itoa(p.index(d)) }

// statement begins one about the plan's range; wide looks at the visits that
// have events in it as a whole.
func (p *plan) statement(wide bool) statement {
	s := statement{from: p.rng.From, to: p.rng.To, zone: p.q.zone(p.rng), now: p.rng.Now}
	s.first, s.last = p.q.visitSpan(p.rng)
	if wide {
		s.from, s.to = s.first, s.last
	}
	for _, d := range p.dims {
		s.fill = s.fill || d.filled
	}
	s.fill = s.fill || p.q.Filter.filled()
	return s
}

// inRange is the condition that t lies in the plan's range.
func (p *plan) inRange(t string) string {
	return "(" + t + " >= " + p.b.arg(p.rng.From) + "::BIGINT AND " + t + " < " + p.b.arg(p.rng.To) + "::BIGINT)"
}

// window is the condition on the column time, as the files' statistics know it.
func window(b *builder, from, to int64) string {
	at := func(us int64) string { return b.arg(time.UnixMicro(us).UTC()) + "::TIMESTAMPTZ" }
	return "time >= " + at(from) + " AND time < " + at(to)
}

// picked is the SQL of the plan's selected interactions. It defines
//
//	picked: visitor_id, t, pv, amount and currency, the dimensions and, where visits are
//	        told apart, visit
//	visits: only then; see visitsOfPeople
//
// visits tells that the question needs them for more than its dimensions and
// filters. rows is the condition on what is looked at.
func (p *plan) picked(visits bool, rows string) statement {
	visits = visits || p.q.Filter.ofVisits()
	for _, d := range p.dims {
		visits = visits || d.ofVisits()
	}
	s := p.statement(visits)
	b := p.b
	if !visits {
		s.text = "WITH " + p.doers("counted", (*Dimension).sql, func() string { return people + " AND " + window(b, s.from, s.to) }) +
			"picked AS (SELECT visitor_id, epoch_us(time) AS t, kind = 'pageview' AS pv" + p.amount() + p.values() +
			" FROM counted WHERE " + rows + " AND " + window(b, s.from, s.to) + " AND " + p.filter(p.q.Filter, (*Dimension).sql) + ")"
		return s
	}
	p.q.Filter.each(func(c *comparison) { p.add(c.dimension) })
	s.text = "WITH people AS (SELECT visitor_id, " + ordinal + " AS k, epoch_us(time) AS t, kind = 'pageview' AS pv" + p.amount() + p.values() +
		" FROM counted WHERE " + rows + " AND " + window(b, s.from, s.to) + ")," + p.visitsOfPeople() +
		", inside AS (SELECT " + p.joined() + " FROM numbered n JOIN visits v ON n.visitor_id IS NOT DISTINCT FROM v.visitor_id AND n.visit = v.visit" +
		" WHERE " + p.inRange("n.t") + "), " +
		p.doers("inside", p.ofColumn, func() string { return "true" }) +
		"picked AS (SELECT * FROM inside WHERE " + p.filter(p.q.Filter, p.ofColumn) + ")"
	return s
}

// amount is what an event brought in, if a metric asks for it.
func (p *plan) amount() string {
	for _, m := range p.q.Metrics {
		for _, part := range m.parts {
			if strings.Contains(part.expr, "amount") {
				return ", revenue_amount AS amount, revenue_currency AS currency"
			}
		}
	}
	return ""
}

// values lists the dimensions' values under the names of their columns.
func (p *plan) values() string {
	var text strings.Builder
	for _, d := range p.dims {
		text.WriteString(", " + d.sql(p.b) + " AS " + p.column(d))
	}
	return text.String()
}

// joined lists the columns of an event beside those of its visit.
func (p *plan) joined() string {
	var text strings.Builder
	text.WriteString("n.visitor_id, n.visit, n.t, n.pv")
	if p.amount() != "" {
		text.WriteString(", n.amount, n.currency")
	}
	for _, d := range p.dims {
		from := ", n."
		if d.ofVisits() {
			from = ", v."
		}
		text.WriteString(from + p.column(d))
	}
	return text.String()
}

// valueOf gives the SQL of a dimension's value.
type valueOf func(*Dimension, *builder) string

// filter is the condition that an event is selected.
func (p *plan) filter(f *Filter, value valueOf) string {
	return f.sql(p.b, func(d *Dimension) string { return value(d, p.b) }, func(below *Filter) string {
		return "coalesce(visitor_id IN (SELECT visitor_id FROM doers" + strconv.Itoa(p.doer(below)) + "), false)"
	})
}

// doers defines for each has_done of the question who has, of the rows of a
// relation.
func (p *plan) doers(relation string, value valueOf, rows func() string) string {
	var text strings.Builder
	for i, f := range p.q.Filter.doing(nil) {
		text.WriteString("doers" + strconv.Itoa(i) + " AS MATERIALIZED (SELECT DISTINCT visitor_id FROM " + relation +
			" WHERE visitor_id IS NOT NULL AND " + rows() + " AND " + p.filter(f, value) + "), ")
	}
	return text.String()
}

// doer is the number of a has_done.
func (p *plan) doer(f *Filter) int {
	for i, have := range p.q.Filter.doing(nil) {
		if have == f {
			return i
		}
	}
	panic("stats: a has_done of another question")
}

// doing lists what is below every has_done, the innermost first.
func (f *Filter) doing(list []*Filter) []*Filter {
	if f == nil {
		return list
	}
	for _, below := range f.of {
		list = below.doing(list)
		if f.join == done {
			list = append(list, below)
		}
	}
	return list
}

// The rules of a visit.
const (
	visitGap = 30 * time.Minute
	// Margin is how long after the end of the day in which it began a visit may
	// go on.
	Margin = 2 * time.Hour
)

// zone is that of the site's days: visits are what they are, whatever zone is
// asked for.
func (q *Query) zone(r Range) *time.Location {
	if q.site.Zone != nil {
		return q.site.Zone
	}
	return r.Zone
}

// visitSpan is the span of time that holds all events of the visits which have
// an event in the range or begin in it, and before them what tells where they
// begin: a visit ends Margin after its day at the latest.
//
// The present is about who is there, and does not look back further than Margin.
func (q *Query) visitSpan(r Range) (from, to int64) {
	if r.Now {
		return r.From - Margin.Microseconds(), r.To + Margin.Microseconds()
	}
	zone := q.zone(r)
	from = dayIn(zone, r.From).before(zone).start(zone) - visitGap.Microseconds()
	to = dayIn(zone, r.To-1).add(0, 0, 1).start(zone) + Margin.Microseconds()
	return min(from, r.From-Margin.Microseconds()), max(to, r.To+Margin.Microseconds())
}

// visitsOfPeople is the one definition of a visit, over the relation people. It
// defines
//
//	numbered: each interaction with visit, the number of its visit among its
//	          visitor's
//	visits:   each visit with its first and last time, views and other events,
//	          and its values of the visit's dimensions
//
// A row without a visitor is a visit of its own there, so that it has a source
// and its like; it is no visit in any number, and has no entry and exit page.
//
// A run is a visitor's events with no gap above the limit. It is one visit until
// two o'clock, as it were, of the day after that of its beginning, and then a
// visit a day, from two to two. turn is the day of an event whose hours begin at
// two.
//
// Runs are numbered by a sum: a running count with a FILTER makes DuckDB look at
// all rows of the visitor for each of them, and all rows without a visitor are
// one visitor's there.
func (p *plan) visitsOfPeople() string {
	b := p.b
	var values strings.Builder
	for _, d := range p.dims {
		c := p.column(d)
		switch d.scope {
		case ofVisit:
			values.WriteString(", arg_min_null(" + c + ", k) AS " + c)
		case ofEntry: // nobody knows what came before a view without a visitor
			values.WriteString(", arg_min_null(" + c + ", k) FILTER (pv AND visitor_id IS NOT NULL) AS " + c)
		case ofExit:
			values.WriteString(", arg_max_null(" + c + ", k) FILTER (pv AND visitor_id IS NOT NULL) AS " + c)
		}
	}
	from, to := p.q.visitSpan(p.rng)
	margin := Margin.Microseconds()
	days := newChart(Range{Zone: p.q.zone(p.rng), From: from - margin, To: to}, Day)
	gap := b.arg(visitGap.Microseconds()) + "::BIGINT"
	return " marked AS (SELECT *, " + days.sql(b, "t") + " AS day, " + days.sql(b, "(t - "+b.arg(margin)+"::BIGINT)") + " AS turn," +
		" visitor_id IS NULL OR coalesce(t - lag(t) OVER w > " + gap + ", true) AS fresh FROM people WINDOW w AS (PARTITION BY visitor_id ORDER BY k))," +
		" runs AS (SELECT *, sum(fresh::INTEGER) OVER r AS run, max(CASE WHEN fresh THEN day END) OVER r AS began_on" +
		" FROM marked WINDOW r AS (PARTITION BY visitor_id ORDER BY k ROWS UNBOUNDED PRECEDING))," +
		" numbered AS (SELECT *, (run * 65536 + greatest(turn, began_on) - " + b.arg((from-margin)/dayMicros-2) + "::BIGINT)::BIGINT AS visit FROM runs)," +
		" visits AS (SELECT visitor_id, visit, min(t) AS began, max(t) AS ended," +
		" count(*) FILTER (pv) AS views, count(*) FILTER (NOT pv) AS others" + values.String() +
		" FROM numbered GROUP BY visitor_id, visit)"
}

// begun is the condition that a row of visits is a visit of the range: of
// somebody who is known, and begun in it.
func (p *plan) begun() string { return "visitor_id IS NOT NULL AND " + p.inRange("began") }
