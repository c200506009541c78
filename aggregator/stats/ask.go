package stats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// compileAsk is the SQL of a question of metrics by groups. Its rows have a
// column for each group (an integer for an interval, else a text), one for each
// metric, and last how many rows there are without limit and offset.
//
//	counted -> people -> visits -> picked -> one SELECT a facet -> parts -> rows
func compileAsk(q *Query, r Range) statement {
	b := &builder{}
	a := &asker{plan: newPlan(q, r, b)}
	rows := a.gather()
	s := a.picked(a.has(ofSessions), rows)
	a.text = append(a.text, s.text)
	a.grouped()
	var selects []string
	for _, f := range a.facets {
		selects = append(selects, a.facet(f))
	}
	s.text = strings.Join(a.text, ", ") + ", parts AS (" + strings.Join(selects, " UNION ALL ") + ")" + a.rows()
	s.args = b.args
	return s
}

// asker writes the SQL of one question.
type asker struct {
	*plan
	text   []string
	parts  []*part
	facets []facet
}

// gather lists the parts that the metrics need, their facets, and the dimensions
// that rows must have. It returns the condition on the rows that are picked from.
func (a *asker) gather() (rows string) {
	rows = people
	for _, g := range a.q.Groups {
		if g.dimension != nil {
			a.add(g.dimension)
			if g.dimension.rows != "" {
				rows = g.dimension.rows
			}
		}
		for i := range g.goals {
			g.goals[i].filter().each(func(c *comparison) { a.add(c.dimension) })
		}
	}
	a.q.Filter.each(func(c *comparison) { a.add(c.dimension) })
	for _, m := range a.q.Metrics {
		for _, p := range m.parts {
			if !slices.Contains(a.parts, p) {
				a.parts = append(a.parts, p)
			}
			if !slices.Contains(a.facets, p.facet) {
				a.facets = append(a.facets, p.facet)
			}
		}
	}
	if a.has(ofSessions) && slices.ContainsFunc(a.q.Groups, func(g Group) bool { return g.dimension == pages }) {
		a.add(entryPages)
		a.add(exitPages)
	}
	return rows
}

func (a *asker) has(f facet) bool { return slices.Contains(a.facets, f) }

// group is the SQL of a group's value over a relation with the dimensions'
// columns and the time t.
func (a *asker) group(g *Group, t string) string {
	switch {
	case g.interval != "":
		c := newChart(a.rng, g.interval)
		return c.sql(a.b, t)
	case g.goals != nil:
		var cases []string
		for i := range g.goals {
			cases = append(cases, "CASE WHEN "+a.filter(g.goals[i].filter(), a.ofColumn)+" THEN "+a.b.arg(g.goals[i].Name)+"::VARCHAR END")
		}
		return "unnest(list_filter([" + strings.Join(cases, ", ") + "]::VARCHAR[], lambda met: met IS NOT NULL))"
	}
	return a.column(g.dimension)
}

// ofColumn is the value of a dimension as its column has it.
func (p *plan) ofColumn(d *Dimension, _ *builder) string { return p.column(d) }

// grouped defines hits: picked with its groups g0, g1 …, without what they leave
// out.
func (a *asker) grouped() {
	a.text = append(a.text, "hits AS (SELECT *"+a.groups("t")+" FROM picked"+a.only()+")")
}

func (a *asker) groups(t string) string {
	var text strings.Builder
	for i := range a.q.Groups {
		text.WriteString(", " + a.group(&a.q.Groups[i], t) + " AS g" + strconv.Itoa(i))
	}
	return text.String()
}

// only leaves out what none of the groups is of: a table of pages is about
// pageviews, one of names about custom events.
func (a *asker) only() string {
	views, events := false, false
	for _, g := range a.q.Groups {
		if g.dimension != nil {
			views = views || g.dimension.scope == ofView
			events = events || g.dimension.scope == ofAction
		}
	}
	switch {
	case events:
		return " WHERE NOT pv"
	case views:
		return " WHERE pv"
	}
	return ""
}

// keys lists the groups' columns.
func (a *asker) keys(prefix string) []string {
	keys := make([]string, len(a.q.Groups))
	for i := range keys {
		keys[i] = prefix + strconv.Itoa(i)
	}
	return keys
}

// facet is the SELECT of one facet's parts by group.
func (a *asker) facet(f facet) string {
	var relation string
	keys := a.keys("g")
	switch f {
	case ofPicked:
		relation = "hits"
	case ofSessions:
		relation = a.sessions()
	case ofAnswers:
		relation = a.others("answers", answered, "status, bytes_sent, ttfb_us, cache_status")
	case ofBots:
		relation = a.others("bots", bots, "")
	case ofVitals:
		relation = a.others("vitals", "kind = 'vitals' AND "+peoples, "lcp_ms, inp_ms, cls, fcp_ms, nav_ttfb_ms")
	case ofReading:
		relation = a.reading()
	case ofTotal:
		relation, keys = "(SELECT * FROM picked)", nil
	case ofPeers, ofEveryone:
		relation = a.withoutGoals(f)
		if f == ofEveryone {
			keys = nil
		}
	}
	return a.parted(f, relation, keys)
}

// parted selects the parts of a facet, and null for the others. What is of all
// groups together stands in a row of its own, which rows joins.
func (a *asker) parted(f facet, relation string, keys []string) string {
	columns := a.keys("g")
	if keys == nil {
		for i, g := range a.q.Groups {
			columns[i] = "NULL::" + g.kind() + " AS g" + strconv.Itoa(i)
		}
	}
	together := keys == nil && len(a.q.Groups) > 0
	// Who could have met a goal makes no row of the answer.
	columns = append(columns, fmt.Sprintf("%t AS together, %t AS found", together, !together && f != ofPeers))
	for _, p := range a.parts {
		kind := "DOUBLE"
		if p.whole {
			kind = "BIGINT"
		}
		expr := "NULL"
		if p.facet == f {
			expr = p.expr
		}
		columns = append(columns, "("+expr+")::"+kind+" AS "+p.name)
	}
	text := "SELECT " + strings.Join(columns, ", ") + " FROM " + relation
	if len(keys) > 0 {
		text += " GROUP BY " + strings.Join(keys, ", ")
	}
	return text
}

// kind is the SQL type of the group's value.
func (g *Group) kind() string {
	if g.interval != "" {
		return "BIGINT"
	}
	return "VARCHAR"
}

// sessions are the visits of the range with a hit, once for each group that they
// have a hit in. In a table of pages, what is measured of a visit is the page's by
// which it entered: else every page would have the same bounce rate.
func (a *asker) sessions() string {
	var keys, columns []string
	for i, g := range a.q.Groups {
		key := "g" + strconv.Itoa(i)
		if g.interval != "" { // a visit is of the moment at which it began
			columns = append(columns, a.group(&a.q.Groups[i], "began")+" AS "+key)
			continue
		}
		keys, columns = append(keys, key), append(columns, key)
	}
	own, left := "true", "true"
	for i, g := range a.q.Groups {
		if g.dimension == pages {
			key := "g" + strconv.Itoa(i)
			own = "v." + a.column(entryPages) + " IS NOT DISTINCT FROM " + key
			left = "v." + a.column(exitPages) + " IS NOT DISTINCT FROM " + key
		}
	}
	columns = append(columns, "v.visitor_id", "views", "ended - began AS lasted", "views = 1 AND others = 0 AS bounced", own+" AS own", left+" AS left_here")
	return "(SELECT " + strings.Join(columns, ", ") + " FROM (SELECT DISTINCT " + strings.Join(append(keys, "visitor_id", "visit"), ", ") +
		" FROM hits WHERE visitor_id IS NOT NULL) h JOIN visits v ON h.visitor_id = v.visitor_id AND h.visit = v.visit WHERE " + a.inRange("began") + ")"
}

// others is a relation of rows that are no interactions, with the groups. Where a
// group or filter is of the visit, it is that of the visit in which the row lies.
func (a *asker) others(name, rows, columns string) string {
	if columns != "" {
		columns = ", " + columns
	}
	for _, g := range a.q.Groups {
		if g.dimension != nil && g.dimension.rows != "" { // the table's own requests
			rows += " AND " + g.dimension.rows
		}
	}
	b := a.b
	text := "rows_" + name + " AS (SELECT visitor_id, epoch_us(time) AS t, kind = 'pageview' AS pv" + columns + a.values() +
		" FROM counted WHERE " + rows + " AND " + window(b, a.rng.From, a.rng.To) + ")"
	relation := "rows_" + name
	if a.visits() {
		var visit []string
		for _, d := range a.dims {
			if d.ofVisits() {
				c := a.column(d)
				visit = append(visit, "CASE WHEN r.t <= v.ended + "+b.arg(visitGap.Microseconds())+"::BIGINT THEN v."+c+" END AS "+c)
			}
		}
		replaced := ""
		if len(visit) > 0 {
			replaced = " REPLACE (" + strings.Join(visit, ", ") + ")"
		}
		text += ", in_visits_" + name + " AS (SELECT r.*" + replaced + " FROM rows_" + name +
			" r ASOF LEFT JOIN visits v ON r.visitor_id = v.visitor_id AND r.t >= v.began)"
		relation = "in_visits_" + name
	}
	a.text = append(a.text, text)
	return "(SELECT *" + a.groups("t") + " FROM " + relation + " WHERE " + a.filter(a.q.Filter, a.ofColumn) + ")"
}

// visits reports whether visits are told apart.
func (a *asker) visits() bool {
	return a.has(ofSessions) || a.q.Filter.ofVisits() || slices.ContainsFunc(a.dims, (*Dimension).ofVisits)
}

// reading sums up what beacons say of each view: times add up, of depths the
// largest counts.
func (a *asker) reading() string {
	relation := a.others("reading", "kind = 'engagement' AND "+peoples, "pathname AS page, view_id, load_id, engaged_ms, scroll_depth")
	keys := append(a.keys("g"), "visitor_id", "page")
	list := strings.Join(keys, ", ")
	return "(SELECT " + list + ", sum(engaged_ms) AS engaged, max(scroll_depth) AS scrolled FROM " + relation +
		" GROUP BY " + list + ", view_id, load_id)"
}

// withoutGoals is who could have met the goals that are asked for.
func (a *asker) withoutGoals(f facet) string {
	name := "peers"
	var groups []string
	if f == ofEveryone {
		name = "everyone"
	} else {
		for i, g := range a.q.Groups {
			key := " AS g" + strconv.Itoa(i)
			if g.goals != nil { // each of them could have been met
				var names []string
				for i := range g.goals {
					names = append(names, a.b.arg(g.goals[i].Name))
				}
				groups = append(groups, "unnest(["+strings.Join(names, ", ")+"]::VARCHAR[])"+key)
				continue
			}
			groups = append(groups, a.group(&a.q.Groups[i], "t")+key)
		}
	}
	columns := strings.Join(append([]string{"visitor_id"}, groups...), ", ")
	source := "inside"
	if !a.visits() {
		source = "(SELECT visitor_id, epoch_us(time) AS t, kind = 'pageview' AS pv" + a.values() + " FROM counted WHERE " + people +
			" AND " + window(a.b, a.rng.From, a.rng.To) + ")"
	}
	only := a.only()
	if f == ofEveryone {
		only = ""
	}
	a.text = append(a.text, name+" AS (SELECT "+columns+" FROM (SELECT * FROM "+source+only+") WHERE "+a.filter(a.q.Filter.without(), a.ofColumn)+")")
	return name
}

// rows joins the parts of each group and makes the metrics of them.
func (a *asker) rows() string {
	var parts, finals, together []string
	for _, p := range a.parts {
		parts = append(parts, "any_value("+p.name+") AS "+p.name)
	}
	for i, m := range a.q.Metrics {
		finals = append(finals, m.final()+" AS m"+strconv.Itoa(i))
	}
	keys := a.keys("g")
	source := "(SELECT " + strings.Join(append(slices.Clone(keys), parts...), ", ") + " FROM parts"
	if a.alone(&together) {
		source = "(SELECT " + strings.Join(append(slices.Clone(keys), parts...), ", ") + " FROM (SELECT * REPLACE (" + strings.Join(together, ", ") + ") FROM parts) WHERE NOT together"
	}
	if len(keys) > 0 {
		source += " GROUP BY " + strings.Join(keys, ", ") + " HAVING bool_or(found)"
	}
	text := " SELECT " + strings.Join(append(append(slices.Clone(keys), finals...), "count(*) OVER () AS every"), ", ") + " FROM " + source + ")"
	return text + " ORDER BY " + a.order() + " LIMIT " + a.b.arg(a.q.Limit) + " OFFSET " + a.b.arg(a.q.Offset)
}

// alone lists the parts that are of all groups together, each as every row is to
// have it.
func (a *asker) alone(list *[]string) bool {
	if len(a.q.Groups) == 0 {
		return false
	}
	for _, p := range a.parts {
		if p.facet == ofTotal || p.facet == ofEveryone {
			*list = append(*list, "(SELECT max("+p.name+") FROM parts WHERE together) AS "+p.name)
		}
	}
	return len(*list) > 0
}

// order is by what was asked for, then by the first metric and by the groups, so
// that it is always the same.
func (a *asker) order() string {
	var by []string
	for _, o := range a.q.Order {
		column, direction := "m"+strconv.Itoa(o.metric), " ASC NULLS LAST"
		if o.metric < 0 {
			column = "g" + strconv.Itoa(o.group)
		}
		if o.descending {
			direction = " DESC NULLS LAST"
		}
		by = append(by, column+direction)
	}
	if len(a.q.Order) == 0 {
		for i, g := range a.q.Groups {
			if g.interval != "" {
				by = append(by, "g"+strconv.Itoa(i))
			}
		}
		by = append(by, "m0 DESC NULLS LAST")
	}
	for _, k := range a.keys("g") {
		by = append(by, k+" NULLS LAST")
	}
	if len(by) == 0 {
		by = []string{"m0"}
	}
	return strings.Join(by, ", ")
}
