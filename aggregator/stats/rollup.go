package stats

import "strings"

// A rollup is what a day's people did, summed up by the values of one dimension
// after the other, so that sums of days are the answers of ranges. It is written
// when a day is sealed, and computed by the same SQL for days that are not: one
// definition, whichever gives the answer. Its rows are
//
//	dim      the dimension's name; "" = all together, "~" = a link of two names
//	value    null is a value
//	day      local day, in days since 1970
//	spill    the visits of the row began the day before, which had no event with
//	         the value: they count where that day is in the range, too
//	visitor  null, or the id of one who is seen on other days as well
//	prev     of a link: the id before visitor
//	visitors who are seen on this day alone
//	pageviews, events
//	visits   begun on the day (of a spill, the day before)
//	own, bounced, lasted (µs), views, exits
//	         of those that entered by the value, if it is a page, else of all;
//	         exits are visits that ended with it
//
// Whoever is seen on several days is a row of their own, without any other number,
// for each value: of a range they are counted once.
type rollup struct {
	*plan
	days chart
	// dims are the names of what is summed up; "" among them is everything.
	by []*Dimension
}

// rollupDimensions are what rollups have, besides all together.
var rollupDimensions = func() (list []*Dimension) {
	for _, d := range dimensions {
		if d.rows == "" && !d.filled {
			list = append(list, d)
		}
	}
	return list
}()

// together stands for all values of all dimensions.
var together = &Dimension{}

// Names of columns of a rollup that add up.
const (
	rollupKeys = "dim, value, day, spill, visitor, prev"
	rollupSums = "visitors, pageviews, events, visits, own, bounced, lasted, views, exits"
)

// newRollup sums up the days of r, which are the site's, by dimensions.
func newRollup(q *Query, r Range, b *builder, by ...*Dimension) *rollup {
	ru := &rollup{plan: newPlan(q, r, b), by: by}
	for _, d := range by {
		if d != together {
			ru.add(d)
		}
		if d == pages {
			ru.add(entryPages)
			ru.add(exitPages)
		}
	}
	ru.days = newChart(Range{Zone: q.zone(r), From: r.From, To: r.To}, Day)
	return ru
}

// define is the SQL that defines people, visits and rolled: the rows of the
// rollup.
func (r *rollup) define() string {
	b := r.b
	from, to := r.q.visitSpan(r.rng)
	// One row for each event of a visit, with the day that it is of.
	text := "people AS (SELECT visitor_id, named_so, " + ordinal + " AS k, epoch_us(time) AS t, kind = 'pageview' AS pv," +
		" coalesce(identity IN ('day', 'day+import'), false) AS daily" + r.values() +
		" FROM counted WHERE " + people + " AND " + window(b, from, to) + ")," + r.visitsOfPeople() +
		// Whose rows are of one day, under an identity that no other day has.
		", crossing AS (SELECT visitor_id AS crosser FROM numbered WHERE visitor_id IS NOT NULL GROUP BY visitor_id" +
		" HAVING min(day) <> max(day) OR NOT bool_and(daily))" +
		", rolling AS MATERIALIZED (SELECT n.visitor_id, n.named_so, n.visit, n.t, n.pv, n.day, crosser IS NOT NULL AS crosses, " + r.inRange("n.t") + " AS inside," +
		" v.began, v.day AS began_on, v.views, v.others, v.ended" + r.columns() +
		" FROM numbered n JOIN (SELECT *, " + r.dayOf("began") + " AS day FROM visits) v ON n.visitor_id IS NOT DISTINCT FROM v.visitor_id AND n.visit = v.visit" +
		" LEFT JOIN crossing ON n.visitor_id = crosser)"
	parts := make([]string, 0, 3*len(r.by))
	for _, d := range r.by {
		parts = append(parts, r.sums(d), r.crossers(d), r.visitsBy(d))
	}
	return text + ", rolled AS (" + strings.Join(parts, " UNION ALL ") + ")"
}

// dayOf is the local day of a time that the visits' span has.
func (r *rollup) dayOf(t string) string {
	from, to := r.q.visitSpan(r.rng)
	c := newChart(Range{Zone: r.q.zone(r.rng), From: from - Margin.Microseconds(), To: to}, Day)
	return c.sql(r.b, t)
}

// columns lists the dimensions' columns, of the event or of its visit.
func (r *rollup) columns() string {
	var text strings.Builder
	for _, d := range r.dims {
		from := ", n."
		if d.ofVisits() {
			from = ", v."
		}
		text.WriteString(from + r.column(d))
	}
	return text.String()
}

// value is the SQL of a dimension's value, and name of what it is called.
func (r *rollup) value(d *Dimension) (name, value, only string) {
	if d == together {
		return "''", "NULL::VARCHAR", ""
	}
	switch d.scope {
	case ofView:
		only = " AND pv"
	case ofAction:
		only = " AND NOT pv"
	}
	return "'" + d.name + "'", r.column(d), only
}

// sums are the rows that count events.
func (r *rollup) sums(d *Dimension) string {
	name, value, only := r.value(d)
	return "SELECT " + name + " AS dim, " + value + " AS value, day::INTEGER AS day, false AS spill, NULL::UBIGINT AS visitor, NULL::UBIGINT AS prev," +
		" count(DISTINCT visitor_id) FILTER (NOT crosses) AS visitors, count(*) FILTER (pv) AS pageviews, count(*) AS events," +
		" 0::BIGINT AS visits, 0::BIGINT AS own, 0::BIGINT AS bounced, 0::BIGINT AS lasted, 0::BIGINT AS views, 0::BIGINT AS exits FROM rolling WHERE inside" + only + " GROUP BY ALL"
}

// crossers are the rows of those who are seen on several days.
func (r *rollup) crossers(d *Dimension) string {
	name, value, only := r.value(d)
	return "SELECT DISTINCT " + name + ", " + value + ", day::INTEGER, false, named_so, NULL::UBIGINT," + zeros(9) +
		" FROM rolling WHERE inside AND crosses" + only
}

// visitsBy are the rows that count visits: on the day of the first event that has
// the value.
func (r *rollup) visitsBy(d *Dimension) string {
	name, value, only := r.value(d)
	own, exits := "true", "false"
	if d == pages {
		own = "any_value(" + r.column(entryPages) + ") IS NOT DISTINCT FROM value"
		exits = "any_value(" + r.column(exitPages) + ") IS NOT DISTINCT FROM value"
	}
	columns := "any_value(views) AS views, any_value(others) AS others, any_value(ended) - any_value(began) AS lasted," +
		" any_value(began_on) AS began_on, min(day) AS day, " + own + " AS own, " + exits + " AS exits"
	entry, exit := "", ""
	if d == pages {
		entry, exit = ", "+r.column(entryPages), ", "+r.column(exitPages)
	}
	firsts := "SELECT value, visitor_id, visit, " + columns + " FROM (SELECT " + value + " AS value, visitor_id, visit, views, others, ended, began, began_on, day" +
		entry + exit + " FROM rolling WHERE visitor_id IS NOT NULL" + only + ") GROUP BY value, visitor_id, visit"
	first, last := r.b.arg(r.firstDay())+"::BIGINT", r.b.arg(r.lastDay())+"::BIGINT"
	return "SELECT " + name + ", value, day::INTEGER, day > began_on, NULL::UBIGINT, NULL::UBIGINT," + zeros(3) + ", count(*)," +
		" count(*) FILTER (own), count(*) FILTER (own AND views = 1 AND others = 0), coalesce(sum(lasted) FILTER (own), 0)::BIGINT," +
		" coalesce(sum(views) FILTER (own), 0)::BIGINT, count(*) FILTER (exits)" +
		" FROM (" + firsts + ") WHERE day BETWEEN " + first + " AND " + last + " GROUP BY ALL"
}

// zeros are that many columns in which a row counts nothing.
func zeros(n int) string { return strings.TrimPrefix(strings.Repeat(", 0::BIGINT", n), ",") }

// firstDay and lastDay are those of the range, in days since 1970.
func (r *rollup) firstDay() int64 { return r.days.buckets[0].key }

func (r *rollup) lastDay() int64 { return r.days.buckets[len(r.days.buckets)-1].key }

// links are the rows that say which ids are one visitor's.
func (r *rollup) links() string {
	from, to := r.q.visitSpan(r.rng)
	return "SELECT DISTINCT '~', NULL, 0, false, visitor_id, prev_visitor_id, " + zeros(9) +
		" FROM events WHERE prev_visitor_id IS NOT NULL AND visitor_id <> prev_visitor_id AND " + window(r.b, from, to)
}
