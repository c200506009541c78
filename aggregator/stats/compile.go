package stats

import (
	"strings"
	"time"
)

// The rules of a visit.
const (
	visitGap = 30 * time.Minute
	// Margin is how far around its range a question about visits looks, so that
	// visits which cross the range's ends are seen whole.
	Margin = 2 * time.Hour
)

// people is the condition on rows that count at all: interactions of people.
const people = "kind IN ('pageview', 'event') AND " + peoples

// peoples is the condition on rows of people.
const peoples = "(verdict IS NULL OR verdict <> 'bot')"

// ordinal orders a visitor's events by time, at the same microsecond by
// sequence, in one integer that sorts fast: µs since 1970 fit into 53 bits
// until the year 2200.
const ordinal = "(epoch_us(time) * 1024 + seq % 1024)"

// plan is a question about one range, taken apart by what it needs.
type plan struct {
	rng    Range
	events []Filter // filters on dimensions of the event
	visit  []Filter // filters on dimensions of the visit
}

func newPlan(q Query, r Range) plan {
	p := plan{rng: r}
	for _, f := range q.Filters {
		if f.dimension.ofVisits() {
			p.visit = append(p.visit, f)
		} else {
			p.events = append(p.events, f)
		}
	}
	return p
}

// statement begins one about the plan's range with a margin around it.
func (p *plan) statement(margin time.Duration, dims []*Dimension) statement {
	m := margin.Microseconds()
	s := statement{from: p.rng.From - m, to: p.rng.To + m, margin: m, zone: p.rng.Zone, now: p.rng.Now}
	for _, d := range dims {
		s.fill = s.fill || d.filled
	}
	for _, f := range p.events {
		s.fill = s.fill || f.dimension.filled
	}
	return s
}

// inRange is the condition that t lies in the plan's range.
func (p *plan) inRange(b *builder, t string) string {
	return "(" + t + " >= " + b.arg(p.rng.From) + "::BIGINT AND " + t + " < " + b.arg(p.rng.To) + "::BIGINT)"
}

// hit is the condition that an event was selected by the event filters.
func (p *plan) hit(b *builder) string {
	conditions := make([]string, 0, len(p.events))
	for _, f := range p.events {
		conditions = append(conditions, "("+f.sql(b, f.dimension.sql(b))+")")
	}
	if len(conditions) == 0 {
		return "true"
	}
	return strings.Join(conditions, " AND ")
}

// window is the condition on the column time, as the files' statistics know it.
func window(b *builder, from, to int64) string {
	at := func(us int64) string { return b.arg(time.UnixMicro(us).UTC()) + "::TIMESTAMPTZ" }
	return "time >= " + at(from) + " AND time < " + at(to)
}

// chosen is the SQL of the plan's selected interactions with the columns
// visitor_id, t, pv, and for each dimension asked for its value. Where visits
// are filtered, only rows of selected visits are in it.
func (p *plan) chosen(b *builder, dims ...*Dimension) statement {
	if len(p.visit) == 0 {
		s := p.statement(0, dims)
		s.text = "WITH chosen AS (SELECT visitor_id, epoch_us(time) AS t, kind = 'pageview' AS pv" + exprs(b, dims) +
			" FROM counted WHERE " + whose(dims) + " AND " + window(b, s.from, s.to) + " AND " + p.hit(b) + ")"
		return s
	}
	s := p.visitRows(b, dims...)
	s.text += ", chosen AS (SELECT n.* FROM numbered n JOIN (SELECT visitor_id, visit FROM visits WHERE " + p.visitHit(b) +
		") k ON n.visitor_id IS NOT DISTINCT FROM k.visitor_id AND n.visit = k.visit WHERE n.hit)"
	return s
}

// exprs lists the dimensions' values under the aliases that column gives.
func exprs(b *builder, dims []*Dimension) string {
	var text strings.Builder
	for _, d := range dims {
		text.WriteString(", " + d.sql(b) + " AS " + d.column())
	}
	return text.String()
}

// whose is the condition on the rows that a table of these dimensions counts.
func whose(dims []*Dimension) string {
	if len(dims) == 1 {
		return dims[0].whose()
	}
	return people
}

// column is the alias of the dimension's value in compiled SQL.
func (d *Dimension) column() string {
	if d.key != "" {
		return "d_prop" // nothing from outside in a name
	}
	return "d_" + strings.ReplaceAll(d.name, "-", "_")
}

// visitRows is the SQL of the one definition of a visit. It defines
//
//	numbered: each interaction with t, pv, hit (selected and in the range) and
//	          visit, the number of its visit among its visitor's
//	visits:   each visit with its first and last time, views and other events,
//	          those of them that hit, and its values of the visit's dimensions
//
// A row without a visitor is a visit of its own there, so that it has a source
// and its like; it is no visit in any number, and has no entry and exit page.
func (p *plan) visitRows(b *builder, dims ...*Dimension) statement {
	s := p.statement(Margin, dims)
	all := dims
	for _, f := range p.visit {
		all = appendNew(all, f.dimension)
	}
	s.text = "WITH people AS (SELECT visitor_id, " + ordinal + " AS k, epoch_us(time) AS t, kind = 'pageview' AS pv, " +
		p.hit(b) + " AS selected" + exprs(b, all) + " FROM counted WHERE " + people + " AND " + window(b, s.from, s.to) + ")," +
		p.visitsOfPeople(b, all)
	return s
}

// visitsOfPeople defines numbered and visits over the relation people.
//
// Visits are numbered by a sum: a running count with a FILTER makes DuckDB look
// at all rows of the visitor for each of them, and all rows without a visitor are
// one visitor's there.
func (p *plan) visitsOfPeople(b *builder, dims []*Dimension) string {
	var values strings.Builder
	for _, d := range dims {
		switch d.scope {
		case ofVisit:
			values.WriteString(", any_value(" + d.column() + ") FILTER (starts) AS " + d.column())
		case ofEntry: // nobody knows what came before a view without a visitor
			values.WriteString(", arg_min_null(" + d.column() + ", k) FILTER (pv AND visitor_id IS NOT NULL) AS " + d.column())
		case ofExit:
			values.WriteString(", arg_max_null(" + d.column() + ", k) FILTER (pv AND visitor_id IS NOT NULL) AS " + d.column())
		}
	}
	gap := b.arg(visitGap.Microseconds()) + "::BIGINT"
	return " marked AS (SELECT *, selected AND " + p.inRange(b, "t") + " AS hit," +
		" visitor_id IS NULL OR coalesce(t - lag(t) OVER w > " + gap + ", true) AS starts FROM people WINDOW w AS (PARTITION BY visitor_id ORDER BY k))," +
		" numbered AS (SELECT *, sum(starts::INTEGER) OVER (PARTITION BY visitor_id ORDER BY k ROWS UNBOUNDED PRECEDING)::BIGINT AS visit FROM marked)," +
		" visits AS (SELECT visitor_id, visit, min(t) AS began, max(t) AS ended," +
		" count(*) FILTER (pv) AS views, count(*) FILTER (NOT pv) AS others," +
		" count(*) FILTER (hit) AS hits, count(*) FILTER (hit AND pv) AS hit_views" + values.String() +
		" FROM numbered GROUP BY visitor_id, visit)"
}

// visitHit is the condition on a row of visits that the visit was selected.
func (p *plan) visitHit(b *builder) string {
	conditions := []string{"hits > 0"}
	for _, f := range p.visit {
		conditions = append(conditions, "("+f.sql(b, f.dimension.column())+")")
	}
	return strings.Join(conditions, " AND ")
}

func appendNew(dims []*Dimension, d *Dimension) []*Dimension {
	for _, have := range dims {
		if have == d {
			return dims
		}
	}
	return append(dims[:len(dims):len(dims)], d)
}
