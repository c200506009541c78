package stats

import (
	"fmt"
	"slices"
	"strings"
)

// Questions whose answers are sums of days are asked of rollups: those that lie
// beside sealed days, and for the other days of the range the same rows made of
// their events.

// rolledParts are the parts of metrics that rollups have.
var rolledParts = map[string]string{
	"n_visitors":  "", // see visitorsRolled
	"n_pageviews": "sum(pageviews)",
	"n_events":    "sum(events)",
	"n_visits":    "sum(visits)",
	"bounce":      "sum(bounced) / nullif(sum(own), 0)",
	"lasting":     "sum(lasted) / nullif(sum(own), 0) / 1e6",
	"per_visit":   "sum(views) / nullif(sum(own), 0)",
	"n_left":      "sum(exits)",
	"n_total":     "",
}

// visitorsRolled is the number of visitors: as countVisitors has it.
const visitorsRolled = "CASE WHEN sum(events) > 0 AND sum(visitors) + count(visitor) = 0 THEN -1 ELSE sum(visitors) + count(DISTINCT visitor) END"

// adds reports whether the answer to a question about r is a sum of days: it is
// about whole days of the site, without filters, by one dimension or by an
// interval of whole days.
func (q *Query) adds(r Range) bool {
	if q.Filter != nil || r.Now || r.Zone.String() != q.zone(r).String() || r != newRange(r.Zone, r.First, r.Last) || len(q.Groups) > 1 {
		return false
	}
	for _, g := range q.Groups {
		switch {
		case g.goals != nil, g.interval == Hour, g.interval == Minute:
			return false
		case g.dimension != nil && !slices.Contains(rollupDimensions, g.dimension):
			return false
		}
	}
	for _, m := range q.Metrics {
		for _, p := range m.parts {
			if _, ok := rolledParts[p.name]; !ok {
				return false
			}
		}
	}
	return true
}

// compileRolled is compileAsk for a question that adds: of the rollups in the
// relation rollup_files, if there are any, and of the events of other days of the
// range.
func compileRolled(q *Query, r Range, stored []string, others []Range) statement {
	b := &builder{}
	a := &asker{plan: newPlan(q, r, b)}
	a.gather()
	by := []*Dimension{together}
	if len(q.Groups) == 1 && q.Groups[0].dimension != nil {
		by = append(by, q.Groups[0].dimension)
		if !a.has(ofTotal) {
			by = by[1:]
		}
	}
	s := statement{zone: q.zone(r), raw: len(others) == 0, rollups: stored}
	text := recursive + "rows_of AS (" + rolledRows(b, q, r, by, others, &s) + ")" + namedRows + ", parts AS (" + a.rolledParts() + ")" + a.rows()
	s.text, s.args = text, b.args
	return s
}

// rolledRows selects the rows of rollups that a question is about.
func rolledRows(b *builder, q *Query, r Range, by []*Dimension, others []Range, s *statement) string {
	var sources []string
	first := dayNumber(r.First)
	if len(s.rollups) > 0 {
		names := make([]string, len(by))
		for i, d := range by {
			names[i] = d.name
		}
		sources = append(sources, "SELECT "+rollupKeys+", "+rollupSums+" FROM rollup_files WHERE dim = '~' OR dim IN (SELECT unnest("+b.arg(names)+
			"::VARCHAR[])) AND day BETWEEN "+b.arg(first)+"::BIGINT AND "+b.arg(dayNumber(r.Last))+"::BIGINT AND NOT (spill AND day = "+b.arg(first)+"::BIGINT)")
	}
	for i, o := range others {
		ru := newRollup(q, o, b, by...)
		from, to := q.visitSpan(o)
		if i == 0 {
			s.from, s.to = from, to
		}
		s.from, s.to = min(s.from, from), max(s.to, to)
		s.spans = append(s.spans, [2]int64{from, to})
		sources = append(sources, "SELECT * FROM (WITH "+ru.define()+" SELECT "+rollupKeys+", "+rollupSums+
			" FROM rolled WHERE NOT (spill AND day = "+b.arg(first)+"::BIGINT) UNION ALL "+ru.links()+")")
	}
	s.first, s.last = s.from, s.to
	return strings.Join(sources, " UNION ALL ")
}

// namedRows gives those who are seen on several days one name.
var namedRows = ", name_links AS (SELECT visitor, min(prev) AS prev FROM rows_of WHERE dim = '~' GROUP BY visitor), " +
	rootsOf("name_roots", "name_links") +
	", summed AS (SELECT o.* REPLACE (coalesce(root, o.visitor) AS visitor) FROM rows_of o LEFT JOIN name_roots n ON o.visitor = n.visitor WHERE dim <> '~')"

// rolledParts selects the question's parts from summed.
func (a *asker) rolledParts() string {
	key, name := "", "''"
	if len(a.q.Groups) == 1 {
		g := &a.q.Groups[0]
		key = "value"
		if g.interval != "" {
			key = "(" + g.interval.ofUnit("day") + ")::BIGINT"
		} else {
			name = a.b.arg(g.dimension.name) + "::VARCHAR"
		}
	}
	one := func(together bool) string {
		var columns []string
		if key != "" {
			columns = append(columns, key+" AS g0")
			if together {
				columns[0] = "NULL AS g0"
			}
		}
		columns = append(columns, fmt.Sprintf("%t AS together, %t AS found", together, !together))
		for _, p := range a.parts {
			expr, kind := rolledParts[p.name], "DOUBLE"
			if p.whole {
				kind = "BIGINT"
			}
			total := p.facet == ofTotal
			switch {
			case total != together && !(total && key == ""): // the whole is its own total
				expr = "NULL"
			case expr == "":
				expr = visitorsRolled
			}
			columns = append(columns, "("+expr+")::"+kind+" AS "+p.name)
		}
		return "SELECT " + strings.Join(columns, ", ") + " FROM summed WHERE dim = "
	}
	if key == "" {
		return one(false) + name
	}
	text := one(false) + name + " GROUP BY g0"
	if a.has(ofTotal) {
		text += " UNION ALL " + one(true) + "''"
	}
	return text
}

func dayNumber(d Date) int64 { return d.utc().Unix() / (24 * 60 * 60) }
