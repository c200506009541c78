package stats

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// overview holds the answers that one pass over a range's events gives
// together: those that the dashboard asks for at once.
type overview struct {
	totals Totals
	series map[int64]Point // by bucket, of the range's default interval
	tables map[*Dimension][]Row
}

// overviewDimensions are the tables of an overview. A visitor has one value of
// each nearly always, which is what makes the one pass fast.
var overviewDimensions = []*Dimension{sources, browsers, systems, devices, countries}

// overviewRows is how many rows an overview keeps of each table.
const overviewRows = maxLimit

// overviewHas reports whether an overview answers the query, and the table of d
// if there is one.
func overviewHas(q *Query, d *Dimension) bool {
	return q.Filter == nil && (d == nil || slices.Contains(overviewDimensions, d) && q.Offset+q.Limit <= overviewRows)
}

// overview makes the overview of a range, or returns the one that is being
// made or was made of the same files.
func (e *Engine) overview(ctx context.Context, files []lake.File, q *Query, r Range, whole bool) (*overview, error) {
	from, to := q.visitSpan(r)
	relevant := Relevant(files, q.SiteID, from, to)
	key := fmt.Sprintf("%s %s %s %d %d %t %s", q.SiteID, q.zone(r), r.Zone, r.From, r.To, whole, digest(relevant))
	return e.overviews.Do(ctx, key, func(ctx context.Context) (*overview, error) {
		return e.makeOverview(ctx, relevant, &Query{SiteID: q.SiteID, site: q.site}, r, whole)
	})
}

func (e *Engine) makeOverview(ctx context.Context, files []lake.File, q *Query, r Range, whole bool) (*overview, error) {
	o := &overview{series: map[int64]Point{}, tables: map[*Dimension][]Row{}}
	lines := make([][]line, len(overviewDimensions))
	var visits visitSums
	somebody := false // has no visitor id
	err := e.run(ctx, files, q.SiteID, compileOverview(q, r, whole), func(scan func(...any) error) error {
		var part int
		var value *string
		var key, visitors, pageviews int64
		var sums visitSums
		if err := scan(&part, &value, &key, &visitors, &pageviews, &sums.visits, &sums.views, &sums.bounces, &sums.micros); err != nil {
			return err
		}
		switch part {
		case partTotals:
			somebody = somebody || Count(visitors) == Unknowable
			o.totals.Visitors += Count(max(visitors, 0))
			o.totals.Pageviews += pageviews
			visits.add(sums)
		case partSeries:
			o.series[key] = Point{Visitors: Count(visitors), Pageviews: Count(pageviews)}
		default:
			n := part - partTables
			lines[n] = append(lines[n], line{Row{Value: overviewDimensions[n].label(value), Visitors: Count(visitors), Pageviews: pageviews}, value == nil})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	visits.into(&o.totals)
	if somebody && o.totals.Visitors == 0 {
		o.totals.Visitors = Unknowable
	}
	// The parts come mixed, each in the order in which it was finished.
	for n, list := range lines {
		slices.SortFunc(list, compareLines)
		rows := make([]Row, len(list))
		for i := range list {
			rows[i] = list[i].Row
		}
		o.tables[overviewDimensions[n]] = rows
	}
	return o, nil
}

// table is the part of a table that a query asks for.
func (o *overview) table(q *Query, d *Dimension) []Row {
	rows := o.tables[d]
	rows = rows[min(q.Offset, len(rows)):]
	return append([]Row{}, rows[:min(q.Limit, len(rows))]...)
}

// The parts of an overview's rows.
const (
	partTotals = iota
	partSeries
	partTables // and the following ones, in the order of overviewDimensions
)

// compileOverview is the SQL of an overview; whole = false leaves out all but
// the totals.
//
// One pass groups the events by visitor. Most visitors made one visit (`one`),
// within one bucket of the chart (`bucketed`), and have one value of each
// dimension (`same`): for such a question such a visitor is one row, and no
// distinct count is needed. The events of the others are read a second time and
// counted by the definitions that every other question uses.
func compileOverview(q *Query, r Range, whole bool) statement {
	b := &builder{}
	p := newPlan(q, r, b)
	var dims []*Dimension
	var c chart
	bucketed := "true"
	if whole {
		dims = overviewDimensions
		for _, d := range dims {
			p.add(d)
		}
		c = newChart(r, defaultInterval(r))
		bucketed = "known AND (" + c.sql(b, "began") + ") = (" + c.sql(b, "ended") + ")"
	}
	values, same, combined := p.visitorValues()
	s := p.statement(true)
	s.text = "WITH seen AS NOT MATERIALIZED (SELECT visitor_id, " + ordinal + " AS k, epoch_us(time) AS t, kind = 'pageview' AS pv" +
		p.values() + combined + " FROM counted WHERE " + people + " AND " + window(b, s.from, s.to) + ")," +
		// known: somebody whose events all lie in the range.
		" visitors AS MATERIALIZED (SELECT *, known AND ended - began <= " + b.arg(visitGap.Microseconds()) + "::BIGINT AS one, " +
		bucketed + " AS bucketed FROM (SELECT *, visitor_id IS NOT NULL AND " + p.inRange("began") + " AND " + p.inRange("ended") +
		" AS known, " + same + " AS same FROM (SELECT visitor_id, min(t) AS began, max(t) AS ended, count(*) AS events," +
		" count(*) FILTER (pv) AS views" + values + " FROM seen GROUP BY visitor_id)))," +
		" others AS MATERIALIZED (SELECT seen.*, one, bucketed, known AND same AS same, " + p.inRange("t") + " AS hit FROM seen JOIN" +
		" (SELECT visitor_id AS visitor, known, same, one, bucketed FROM visitors WHERE NOT (known AND same AND one AND bucketed))" +
		" ON visitor_id IS NOT DISTINCT FROM visitor)," +
		" people AS (SELECT * FROM others WHERE NOT one)," +
		p.visitsOfPeople() + ", hits AS (SELECT visitor_id, visit, count(*) FILTER (pv) AS hit_views FROM numbered WHERE hit GROUP BY ALL)" +
		", chosen AS (SELECT v.*, hit_views FROM visits v JOIN hits h ON v.visitor_id IS NOT DISTINCT FROM h.visitor_id AND v.visit = h.visit)" +
		p.profiles() + " " + strings.Join(overviewParts(p, &c), " UNION ALL ")
	s.args = b.args
	return s
}

// visitorValues are the columns of a visitor's values: of a dimension of the
// visit the first one, of the others any. same tells whether the visitor has
// one combination of them, by the hash that combined adds to each event.
func (p *plan) visitorValues() (values, same, combined string) {
	var text strings.Builder
	var columns []string
	for _, d := range p.dims {
		col := p.column(d)
		if d.ofVisits() {
			text.WriteString(", arg_min_null(" + col + ", k) AS " + col)
			continue
		}
		text.WriteString(", first(" + col + ") AS " + col)
		columns = append(columns, "("+d.expr+")")
	}
	if len(columns) == 0 {
		return text.String(), "true", ""
	}
	return text.String() + ", min(combined) AS least, max(combined) AS greatest",
		"least = greatest", ", hash(" + strings.Join(columns, ", ") + ") AS combined"
}

// profiles defines how many visitors have which combination of values: some
// thousand rows, of which each table is made quickly.
func (p *plan) profiles() string {
	var columns []string
	for _, d := range p.dims {
		if !d.ofVisits() {
			columns = append(columns, p.column(d))
		}
	}
	if len(columns) == 0 {
		return ""
	}
	return ", profiles AS MATERIALIZED (SELECT " + strings.Join(columns, ", ") + ", count(*) AS visitors, sum(views) AS views" +
		" FROM visitors WHERE known AND same GROUP BY ALL)"
}

// overviewParts are the SELECTs whose rows make an overview: part, value, key,
// visitors, pageviews and the sums of the visits. Totals come in two rows, of
// visitors with one visit and of the others.
func overviewParts(p *plan, c *chart) []string {
	b := p.b
	const noSums = ", 0::BIGINT, 0::BIGINT, 0::BIGINT, 0::BIGINT"
	part := func(n int, value, key string) string { return fmt.Sprintf("SELECT %d, %s, %s", n, value, key) }
	parts := []string{
		part(partTotals, "NULL", "0::BIGINT") + ", count(*), coalesce(sum(views), 0)::BIGINT, count(*), coalesce(sum(views), 0)::BIGINT," +
			" count(*) FILTER (views = 1 AND events = 1), coalesce(sum(ended - began), 0)::BIGINT FROM visitors WHERE one",
		part(partTotals, "NULL", "0::BIGINT") + ", " + visitSumColumns(p.inRange("began")) + " FROM chosen",
	}
	if len(c.spans) > 0 {
		parts = append(parts, part(partSeries, "NULL", "key")+", sum(visitors)::BIGINT, sum(pageviews)::BIGINT"+noSums+
			" FROM (SELECT "+c.sql(b, "began")+" AS key, count(*) AS visitors, sum(views) AS pageviews FROM visitors WHERE bucketed GROUP BY key"+
			" UNION ALL SELECT "+c.sql(b, "t")+" AS key, count(DISTINCT visitor_id), count(*) FILTER (pv)"+
			" FROM others WHERE hit AND NOT bucketed GROUP BY key) GROUP BY key")
	}
	for n, d := range p.dims {
		value := p.column(d) + " AS value"
		rows := "SELECT " + value + ", sum(visitors) AS visitors, sum(views) AS pageviews FROM profiles GROUP BY value" +
			" UNION ALL SELECT " + value + ", count(DISTINCT visitor_id), count(*) FILTER (pv) FROM others WHERE hit AND NOT same GROUP BY value"
		if d.ofVisits() {
			rows = "SELECT " + value + ", count(*) AS visitors, sum(views) AS pageviews FROM visitors WHERE one GROUP BY value" +
				" UNION ALL SELECT " + value + ", count(DISTINCT visitor_id), sum(hit_views) FROM chosen GROUP BY value"
		}
		parts = append(parts, part(partTables+n, "value", "0::BIGINT")+", visitors, pageviews"+noSums+
			" FROM (SELECT value, sum(visitors)::BIGINT AS visitors, sum(pageviews)::BIGINT AS pageviews FROM ("+rows+")"+
			" GROUP BY value ORDER BY visitors DESC, pageviews DESC, value NULLS LAST LIMIT "+b.arg(overviewRows)+")")
	}
	return parts
}
