package stats_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// seen is a row with the visit that it lies in; nil = in none.
type seen struct {
	row
	in *visit
}

// asked is a random question: its JSON, and what the oracle needs of it.
type asked struct {
	metrics, groups []string
	filter          *node
	order           [][2]string
	limit, offset   int
	ranges          [2][2]string // dates; the second is compared with
	zone            *time.Location
	compare         bool
}

// node is a filter. Its meaning is written down here a second time, in loops.
type node struct {
	json  any
	join  string // and, or, not, has_done; "" = test
	goal  bool
	below []*node
	test  func(seen) bool
}

var oracleGoals = []stats.Goal{
	{Name: "Read", Page: "/p/*"},
	{Name: "Bought", Event: "buy", Props: map[string]string{"plan": "pro"}},
	{Name: "Start", Page: "/a"},
}

func meets(g *stats.Goal, s seen) bool {
	if g.Page != "" {
		below, ok := strings.CutPrefix(value(s.Pathname), "/p/")
		return s.Name == nil && (g.Page == value(s.Pathname) || g.Page == "/p/*" && ok && !strings.Contains(below, "/"))
	}
	return eq(s.Name, g.Event) && s.Props["plan"] == g.Props["plan"]
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// dims are the dimensions of the oracle; null is nil.
var dims = map[string]func(seen) *string{
	"event:page":       func(s seen) *string { return s.Pathname },
	"event:name":       func(s seen) *string { return s.Name },
	"event:currency":   func(s seen) *string { return s.RevenueCurrency },
	"event:props:plan": func(s seen) *string { return prop(s, "plan") },
	"event:props:n":    func(s seen) *string { return prop(s, "n") },
	"visit:browser":    func(s seen) *string { return s.Browser },
	"visit:country":    func(s seen) *string { return s.CountryCode },
	"visit:source":     ofVisit(func(v *visit) *string { return v.rows[0].Source }),
	"visit:entry_page": ofVisit(func(v *visit) *string { return entry(*v) }),
	"visit:exit_page":  ofVisit(exit),
}

func ofVisit(f func(*visit) *string) func(seen) *string {
	return func(s seen) *string {
		if s.in == nil {
			return nil
		}
		return f(s.in)
	}
}

func exit(v *visit) *string {
	w := visit{v.visitor, slices.Clone(v.rows)}
	slices.Reverse(w.rows)
	return entry(w)
}

func prop(s seen, key string) *string {
	if v, ok := s.Props[key]; ok {
		return &v
	}
	return nil
}

// asker is the oracle of one range.
type asker struct {
	*asked
	o      *oracle
	people []seen // interactions in the range
	others []seen // all rows in the range, each in the visit that it lies in
	visits []*visit
	done   map[*node]map[uint64]bool
	spans  map[string][]int64 // beginnings of buckets
	names  map[string][]string
}

func newAsker(q *asked, rows []row, site *time.Location, dates [2]string) *asker {
	from, to := beginningOf(dates[0], 0, q.zone), beginningOf(dates[1], 1, q.zone)
	a := &asker{asked: q, done: map[*node]map[uint64]bool{}, spans: map[string][]int64{}, names: map[string][]string{}}
	everything := func(row) bool { return true }
	a.o = &oracle{rows: rows, from: math.MinInt64, to: math.MaxInt64, zone: site, event: everything, visit: whole}
	lasts := map[uint64][]*visit{}
	for _, v := range a.o.visits() {
		v := &v
		a.visits = append(a.visits, v)
		lasts[v.visitor] = append(lasts[v.visitor], v)
		for _, r := range v.rows {
			if inside(r, from, to) {
				a.people = append(a.people, seen{r, v})
			}
		}
	}
	for _, r := range rows {
		if !inside(r, from, to) {
			continue
		}
		s := seen{row: r}
		for _, v := range lasts[idOf(r)] {
			if v.visitor != 0 && !v.rows[0].Time.After(r.Time) && (s.in == nil || v.rows[0].Time.After(s.in.rows[0].Time)) {
				s.in = v
			}
		}
		if s.in != nil && r.Time.Sub(s.in.rows[len(s.in.rows)-1].Time) > 30*time.Minute {
			s.in = nil
		}
		a.others = append(a.others, s)
	}
	a.o.from, a.o.to = from.UnixMicro(), to.UnixMicro()
	a.cut("time:hour", "2006-01-02T15:00:00")
	a.cut("time:day", time.DateOnly)
	return a
}

// beginningOf is the first moment of a date, or of one some days after it: some
// zones have no midnight on some days.
func beginningOf(date string, days int, zone *time.Location) time.Time {
	at, err := time.ParseInLocation(time.DateOnly+" 15", date+" 12", zone)
	if err != nil {
		panic(err)
	}
	at = at.AddDate(0, 0, days)
	for day := at.Day(); at.Add(-time.Minute).Day() == day; {
		at = at.Add(-time.Minute)
	}
	return at
}

func idOf(r row) uint64 {
	if r.VisitorID == nil {
		return 0
	}
	return *r.VisitorID
}

func inside(r row, from, to time.Time) bool { return !r.Time.Before(from) && r.Time.Before(to) }

// cut walks the range quarter by quarter and begins a bucket where the local
// name changes.
func (a *asker) cut(name, layout string) {
	last := ""
	for at := a.o.from; at < a.o.to; at += 15 * 60e6 {
		t := time.UnixMicro(at).In(a.zone)
		now := t.Format(layout)
		if name == "time:hour" { // the same hour before and after a change is two
			now += t.Format("Z07:00")
		}
		if now != last {
			last = now
			a.spans[name] = append(a.spans[name], at)
			a.names[name] = append(a.names[name], t.Format(layout))
		}
	}
}

func (a *asker) bucket(name string, at time.Time) *string {
	n := 0
	for i, from := range a.spans[name] {
		if from <= at.UnixMicro() {
			n = i
		}
	}
	text := strconv.Itoa(n)
	return &text
}

// selects evaluates the filter.
func (a *asker) selects(f *node, s seen) bool {
	if f == nil {
		return true
	}
	switch f.join {
	case "and":
		return !slices.ContainsFunc(f.below, func(b *node) bool { return !a.selects(b, s) })
	case "or":
		return slices.ContainsFunc(f.below, func(b *node) bool { return a.selects(b, s) })
	case "not":
		return !a.selects(f.below[0], s)
	case "has_done":
		who := a.done[f]
		if who == nil {
			who = map[uint64]bool{}
			for _, p := range a.people {
				if a.selects(f.below[0], p) {
					who[idOf(p.row)] = true
				}
			}
			a.done[f] = who
		}
		return s.VisitorID != nil && who[*s.VisitorID]
	}
	return f.test(s)
}

func (f *node) hasGoal() bool {
	return f != nil && (f.goal || slices.ContainsFunc(f.below, (*node).hasGoal))
}

// without is the filter as if goals selected everything; nil = all.
func (f *node) without() *node {
	switch {
	case !f.hasGoal():
		return f
	case f.goal || f.join == "has_done":
		return nil
	}
	out := &node{join: f.join}
	for _, b := range f.below {
		w := b.without()
		if w == nil && f.join != "and" {
			return nil
		}
		if w != nil {
			out.below = append(out.below, w)
		}
	}
	if len(out.below) == 0 {
		return nil
	}
	return out
}

// keys are the groups that a row is in. With goals it may be several, or none;
// could says that each goal counts that could have been met.
func (a *asker) keys(s seen, at time.Time, could bool) [][]*string {
	list := [][]*string{nil}
	for _, g := range a.groups {
		var values []*string
		switch {
		case strings.HasPrefix(g, "time:"):
			values = append(values, a.bucket(g, at))
		case g == "event:goal":
			for i := range oracleGoals {
				if could || meets(&oracleGoals[i], s) {
					values = append(values, &oracleGoals[i].Name)
				}
			}
		default:
			values = append(values, dims[g](s))
		}
		var next [][]*string
		for _, have := range list {
			for _, v := range values {
				next = append(next, append(slices.Clone(have), v))
			}
		}
		list = next
	}
	return list
}

// grouped reports whether the row is of what the groups are about.
func (a *asker) grouped(s seen) bool {
	switch {
	case slices.Contains(a.groups, "event:name"):
		return s.Kind == "event"
	case slices.Contains(a.groups, "event:page"):
		return s.Kind == "pageview"
	}
	return true
}

// cell is what there is of one group.
type cell struct {
	keys                                []*string
	found                               bool
	hits, peers, answers, reading, bots []seen
	vitals                              []seen
	visits                              map[*visit]bool
	own, left                           []*visit
}

func text(keys []*string) string {
	var b strings.Builder
	for _, k := range keys {
		if k == nil {
			b.WriteString("\x00")
		} else {
			b.WriteString("=" + *k)
		}
		b.WriteByte(1)
	}
	return b.String()
}

func human(r row) bool { return !eq(r.Verdict, "bot") }

func (a *asker) cells() (cells map[string]*cell, all, everyone []seen) {
	cells = map[string]*cell{}
	at := func(keys []*string) *cell {
		c := cells[text(keys)]
		if c == nil {
			c = &cell{keys: keys, visits: map[*visit]bool{}}
			cells[text(keys)] = c
		}
		return c
	}
	if len(a.groups) == 0 {
		at(nil).found = true
	}
	needs := func(metrics ...string) bool {
		return slices.ContainsFunc(metrics, func(m string) bool { return slices.Contains(a.metrics, m) })
	}
	sessions := needs("visits", "bounce_rate", "visit_duration", "views_per_visit", "exit_rate")
	picked := needs("visitors", "visits", "bounce_rate", "visit_duration", "views_per_visit", "exit_rate", "pageviews", "events", "conversion_rate",
		"group_conversion_rate", "percentage", "total_revenue", "average_revenue", "transactions", "paying_visitors")
	for _, p := range a.people {
		if a.selects(a.filter.without(), p) {
			everyone = append(everyone, p)
			if a.grouped(p) {
				for _, keys := range a.keys(p, p.Time, true) {
					c := at(keys)
					c.peers = append(c.peers, p)
				}
			}
		}
		if !a.selects(a.filter, p) {
			continue
		}
		all = append(all, p)
		if !a.grouped(p) {
			continue
		}
		if picked {
			for _, keys := range a.keys(p, p.Time, false) {
				c := at(keys)
				c.hits, c.found = append(c.hits, p), true
			}
		}
		began := p.in.rows[0].Time
		if sessions && p.VisitorID != nil && began.UnixMicro() >= a.o.from && began.UnixMicro() < a.o.to {
			for _, keys := range a.keys(p, began, false) {
				c := at(keys)
				c.found = true
				if !c.visits[p.in] {
					c.visits[p.in] = true
					a.place(c, p.in)
				}
			}
		}
	}
	for _, s := range a.others {
		if !a.selects(a.filter, s) {
			continue
		}
		for _, keys := range a.keys(s, s.Time, false) {
			add := func(list func(*cell) *[]seen) {
				c := at(keys)
				c.found = true
				*list(c) = append(*list(c), s)
			}
			switch s.Kind {
			case "pageview", "error", "download", "feed":
				if human(s.row) && needs("requests", "status_4xx", "bytes", "ttfb_p95", "cache_hit_rate") {
					add(func(c *cell) *[]seen { return &c.answers })
				}
			case "engagement":
				if human(s.row) && needs("time_on_page", "scroll_depth") {
					add(func(c *cell) *[]seen { return &c.reading })
				}
			case "vitals":
				if human(s.row) && needs("lcp_p75") {
					add(func(c *cell) *[]seen { return &c.vitals })
				}
			}
			if !human(s.row) && s.Kind != "engagement" && s.Kind != "vitals" && needs("bot_requests") {
				add(func(c *cell) *[]seen { return &c.bots })
			}
		}
	}
	maps.DeleteFunc(cells, func(_ string, c *cell) bool { return !c.found })
	return cells, all, everyone
}

// place says which numbers of a table of pages are the visit's.
func (a *asker) place(c *cell, v *visit) {
	own, left := true, true
	for i, g := range a.groups {
		if g == "event:page" {
			own, left = same(entry(*v), c.keys[i]), same(exit(v), c.keys[i])
		}
	}
	if own {
		c.own = append(c.own, v)
	}
	if left {
		c.left = append(c.left, v)
	}
}

func same(a, b *string) bool { return (a == nil) == (b == nil) && value(a) == value(b) }

// visitors counts them; null where all rows are of nobody.
func countOf(rows []seen) *float64 {
	ids := map[uint64]bool{}
	for _, r := range rows {
		if r.VisitorID != nil {
			ids[*r.VisitorID] = true
		}
	}
	if len(rows) > 0 && len(ids) == 0 {
		return nil
	}
	return num(float64(len(ids)))
}

func num(v float64) *float64 { return &v }

func mean[T any](list []T, of func(T) (float64, bool)) *float64 {
	sum, n := 0.0, 0.0
	for _, x := range list {
		if v, ok := of(x); ok {
			sum, n = sum+v, n+1
		}
	}
	if n == 0 {
		return nil
	}
	return num(sum / n)
}

func number[T any](list []T, of func(T) bool) *float64 {
	n := 0.0
	for _, x := range list {
		if of(x) {
			n++
		}
	}
	return num(n)
}

// quantile is between the two nearest values.
func quantile(list []float64, q float64) *float64 {
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	at := q * float64(len(list)-1)
	lo := int(at)
	hi := min(lo+1, len(list)-1)
	return num(list[lo] + (list[hi]-list[lo])*(at-float64(lo)))
}

func ratio(part, of *float64) *float64 {
	if part == nil || of == nil || *of == 0 {
		return nil
	}
	return num(*part / *of)
}

func (a *asker) metric(name string, c *cell, all, everyone []seen) *float64 {
	visitors := countOf(c.hits)
	of := func(v *float64) *float64 { // nobody knows it of nobody's rows
		if visitors == nil {
			return nil
		}
		return v
	}
	paid := func(s seen) bool { return s.RevenueAmount != nil }
	sums := func() (sum, n float64, ok bool) {
		currencies := map[string]bool{}
		for _, s := range c.hits {
			if s.RevenueCurrency != nil {
				currencies[*s.RevenueCurrency] = true
			}
			if s.RevenueAmount != nil {
				sum, n = sum+float64(*s.RevenueAmount)/1e4, n+1
			}
		}
		return sum, n, len(currencies) == 1 && n > 0
	}
	inRange := slices.Collect(maps.Keys(c.visits))
	switch name {
	case "visitors":
		return visitors
	case "visits":
		return of(num(float64(len(inRange))))
	case "pageviews":
		return number(c.hits, func(s seen) bool { return s.Kind == "pageview" })
	case "events":
		return num(float64(len(c.hits)))
	case "bounce_rate":
		return of(mean(c.own, func(v *visit) (float64, bool) {
			return float64(btoi(len(v.rows) == 1 && v.rows[0].Kind == "pageview")), true
		}))
	case "visit_duration":
		return of(mean(c.own, func(v *visit) (float64, bool) {
			return v.rows[len(v.rows)-1].Time.Sub(v.rows[0].Time).Seconds(), true
		}))
	case "views_per_visit":
		return of(mean(c.own, func(v *visit) (float64, bool) {
			return *number(v.rows, func(r row) bool { return r.Kind == "pageview" }), true
		}))
	case "exit_rate":
		return of(ratio(num(float64(len(c.left))), number(c.hits, func(s seen) bool { return s.Kind == "pageview" })))
	case "conversion_rate", "group_conversion_rate", "percentage":
		if len(c.hits) == 0 && len(a.groups) > 0 {
			return nil // the group is none of people
		}
		return ratio(visitors, countOf(map[string][]seen{"conversion_rate": everyone, "group_conversion_rate": c.peers, "percentage": all}[name]))
	case "total_revenue":
		if sum, _, ok := sums(); ok {
			return num(sum)
		}
	case "average_revenue":
		if sum, n, ok := sums(); ok {
			return num(sum / n)
		}
	case "transactions":
		return number(c.hits, paid)
	case "paying_visitors":
		payers := map[uint64]bool{}
		for _, s := range c.hits {
			if paid(s) && s.VisitorID != nil {
				payers[*s.VisitorID] = true
			}
		}
		return of(num(float64(len(payers))))
	case "requests":
		return num(float64(len(c.answers)))
	case "status_4xx":
		return number(c.answers, func(s seen) bool { return s.Status != nil && *s.Status/100 == 4 })
	case "bytes":
		sum, some := 0.0, false
		for _, s := range c.answers {
			if s.BytesSent != nil {
				sum, some = sum+float64(*s.BytesSent), true
			}
		}
		if some {
			return num(sum)
		}
	case "ttfb_p95":
		var list []float64
		for _, s := range c.answers {
			if s.TTFBUS != nil {
				list = append(list, float64(*s.TTFBUS)/1e3)
			}
		}
		return quantile(list, 0.95)
	case "cache_hit_rate":
		return mean(c.answers, func(s seen) (float64, bool) { return float64(btoi(eq(s.CacheStatus, "hit"))), s.CacheStatus != nil })
	case "lcp_p75":
		var list []float64
		for _, s := range c.vitals {
			if s.LCPMS != nil {
				list = append(list, *s.LCPMS)
			}
		}
		return quantile(list, 0.75)
	case "bot_requests":
		return num(float64(len(c.bots)))
	case "time_on_page", "scroll_depth":
		return readingOf(name, c.reading)
	}
	return nil
}

// readingOf sums up what is said of each view.
func readingOf(name string, rows []seen) *float64 {
	type view struct {
		visitor, view, load uint64
		page                string
	}
	depth := map[view]float64{}
	readers := map[string]bool{}
	total := 0.0
	for _, s := range rows {
		v := view{idOf(s.row), idOf(row{VisitorID: s.ViewID}), idOf(row{VisitorID: s.LoadID}), value(s.Pathname)}
		if s.ScrollDepth != nil {
			depth[v] = max(depth[v], float64(*s.ScrollDepth))
		}
		if s.EngagedMS != nil {
			total += float64(*s.EngagedMS) / 1e3
			readers[fmt.Sprint(v.visitor, v.page)] = true
		}
	}
	if name == "scroll_depth" {
		return mean(slices.Collect(maps.Values(depth)), func(v float64) (float64, bool) { return v, true })
	}
	return ratio(num(total), num(float64(len(readers))))
}

// line is a row of the answer as the oracle has it.
type line struct {
	keys    []*string
	labels  []string
	metrics []*float64
}

func (a *asker) answer() []*line {
	cells, all, everyone := a.cells()
	var lines []*line
	for _, c := range cells {
		l := &line{keys: c.keys}
		for i, g := range a.groups {
			l.labels = append(l.labels, a.label(g, c.keys[i]))
		}
		for _, m := range a.metrics {
			l.metrics = append(l.metrics, a.metric(m, c, all, everyone))
		}
		lines = append(lines, l)
	}
	return lines
}

func (a *asker) label(group string, key *string) string {
	switch {
	case strings.HasPrefix(group, "time:"):
		n, _ := strconv.Atoi(*key)
		return a.names[group][n]
	case key != nil:
		return *key
	case group == "visit:source":
		return "Direct / None"
	}
	return stats.Unknown
}

func (a *asker) sort(lines []*line) {
	order := a.order
	if len(order) == 0 {
		for _, g := range a.groups {
			if strings.HasPrefix(g, "time:") {
				order = append(order, [2]string{g, "asc"})
			}
		}
		order = append(order, [2]string{a.metrics[0], "desc"})
	}
	for _, g := range a.groups {
		order = append(order, [2]string{g, "asc"})
	}
	slices.SortFunc(lines, func(x, y *line) int {
		for _, o := range order {
			c := 0
			if i := slices.Index(a.metrics, o[0]); i >= 0 {
				c = compareNull(x.metrics[i], y.metrics[i], o[1] == "desc", cmp.Compare[float64])
			} else {
				i := slices.Index(a.groups, o[0])
				c = compareNull(x.keys[i], y.keys[i], o[1] == "desc", func(p, q string) int {
					if strings.HasPrefix(o[0], "time:") {
						return cmp.Or(cmp.Compare(len(p), len(q)), cmp.Compare(p, q))
					}
					return cmp.Compare(p, q)
				})
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

// compareNull puts null last, whatever the direction.
func compareNull[T any](a, b *T, descending bool, order func(T, T) int) int {
	switch {
	case a == nil || b == nil:
		return btoi(a == nil) - btoi(b == nil)
	case descending:
		return order(*b, *a)
	}
	return order(*a, *b)
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// randomFilter makes a tree.
func randomFilter(r *rand.Rand, depth int) *node {
	if depth > 0 && r.IntN(3) > 0 {
		switch join := pick(r, "and", "or", "not", "has_done", "has_not_done"); join {
		case "and", "or":
			n := &node{join: join}
			var list []any
			for range 1 + r.IntN(3) {
				b := randomFilter(r, depth-1)
				n.below, list = append(n.below, b), append(list, b.json)
			}
			n.json = []any{join, list}
			return n
		case "has_not_done":
			b := randomFilter(r, depth-1)
			return &node{join: "not", below: []*node{{join: "has_done", below: []*node{b}}}, json: []any{join, b.json}}
		default:
			b := randomFilter(r, depth-1)
			return &node{join: join, below: []*node{b}, json: []any{join, b.json}}
		}
	}
	return randomLeaf(r)
}

func randomLeaf(r *rand.Rand) *node {
	if r.IntN(8) == 0 {
		g := &oracleGoals[r.IntN(len(oracleGoals))]
		n := &node{goal: true, test: func(s seen) bool { return meets(g, s) }, json: []any{"is", "event:goal", []string{g.Name}}}
		if r.IntN(3) == 0 {
			return &node{join: "not", below: []*node{n}, json: []any{"is_not", "event:goal", []string{g.Name}}}
		}
		return n
	}
	name := pick(r, slices.Sorted(maps.Keys(dims))...)
	of := dims[name]
	values := map[string][]string{
		"event:page": {"/", "/a", "/b/c", "/ä'\";--", "/p/1", "/P/2"}, "event:name": {"buy", "Look"}, "event:currency": {"EUR", "USD"},
		"event:props:plan": {"pro", "Free"}, "event:props:n": {"1", "2.5", "10"}, "visit:browser": {"Chrome", "safari"},
		"visit:country": {"DE", "us"}, "visit:source": {"Google", "bing"}, "visit:entry_page": {"/", "/a", "/p/1"}, "visit:exit_page": {"/", "/b/c"},
	}[name]
	v := pick(r, values...)
	folded := r.IntN(2) == 0
	fold := func(s string) string {
		if folded {
			return strings.ToLower(s)
		}
		return s
	}
	var test func(string) bool
	var list []any
	op := pick(r, "is", "contains", "matches", "matches_wildcard")
	none := false
	switch op {
	case "is":
		other := pick(r, values...)
		none = r.IntN(3) == 0
		list = []any{v, other}
		if none {
			list = []any{v, other, nil}
		}
		test = func(s string) bool { return fold(s) == fold(v) || fold(s) == fold(other) }
	case "contains":
		letters := []rune(v)
		v = string(letters[:min(len(letters), 1+r.IntN(2))])
		list = []any{v}
		test = func(s string) bool { return strings.Contains(fold(s), fold(v)) }
	case "matches":
		v = pick(r, "^/.$", "o", "^[A-Z]", "e$|b")
		list = []any{v}
		re := regexp.MustCompile(map[bool]string{true: "(?is)", false: "(?s)"}[folded] + v)
		test = re.MatchString
	case "matches_wildcard":
		v = pick(r, "/*", "/**", "*o*", "/p/*")
		list = []any{v}
		test = func(s string) bool { return fits(fold(v), fold(s)) }
	}
	if name == "event:props:n" && r.IntN(2) == 0 {
		v = pick(r, values...)
		op, list, none = pick(r, ">", ">=", "<", "<="), []any{v}, false
		limit, _ := strconv.ParseFloat(v, 64)
		sign := op
		test = func(s string) bool {
			x, err := strconv.ParseFloat(s, 64)
			return err == nil && (x > limit && sign[0] == '>' || x < limit && sign[0] == '<' || x == limit && len(sign) == 2)
		}
	} else if r.IntN(3) == 0 {
		plain := test
		op += "_not"
		if op == "is_not" {
			none = !none
			if none != (len(list) == 2) {
				panic("the oracle is confused")
			}
		} else {
			none = true
		}
		test = func(s string) bool { return !plain(s) }
	}
	n := &node{test: func(s seen) bool {
		if x := of(s); x != nil {
			return test(*x)
		}
		return none
	}}
	n.json = []any{op, name, list}
	if folded {
		n.json = []any{op, name, list, map[string]bool{"case_sensitive": false}}
	}
	return n
}

// fits compares with a pattern of * and **, letter by letter.
func fits(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case strings.HasPrefix(pattern, "**"):
		return fits(pattern[2:], s) || s != "" && fits(pattern, s[1:])
	case pattern[0] == '*':
		return fits(pattern[1:], s) || s != "" && s[0] != '/' && fits(pattern, s[1:])
	}
	return s != "" && s[0] == pattern[0] && fits(pattern[1:], s[1:])
}

// enrich gives random rows what metrics are of.
func enrich(r *rand.Rand, rows []row) {
	for i := range rows {
		v := &rows[i]
		if v.Kind == "request" {
			v.Kind = pick(r, "request", "download", "feed", "engagement", "engagement", "vitals")
		}
		v.Status, v.BytesSent, v.TTFBUS = some(pick[int16](r, 0, 200, 304, 404, 503)), some(r.Int64N(1000)), some(r.Int64N(1e6))
		v.CacheStatus = some(pick(r, "", "hit", "miss"))
		switch v.Kind {
		case "event":
			v.Name = some(pick(r, "buy", "buy", "look"))
			v.Props = map[string]string{"n": pick(r, "1", "2.5", "7", "10", "x")}
			if r.IntN(3) > 0 {
				v.Props["plan"] = pick(r, "pro", "free")
			}
			if r.IntN(2) == 0 {
				v.RevenueAmount, v.RevenueCurrency = some(1+r.Int64N(1e7)), some(pick(r, "EUR", "EUR", "EUR", "USD"))
			}
		case "engagement":
			v.ViewID, v.LoadID = some(uint64(r.IntN(4))), some(uint64(r.IntN(2)))
			v.EngagedMS, v.ScrollDepth = some(r.Int32N(90_000)), some(int16(r.IntN(101)))
		case "vitals":
			v.LCPMS = some(r.Float64() * 4000)
		}
	}
}

var oracleMetrics = []string{
	"visitors", "visits", "pageviews", "events", "bounce_rate", "visit_duration", "views_per_visit", "exit_rate", "time_on_page", "scroll_depth",
	"conversion_rate", "group_conversion_rate", "percentage", "total_revenue", "average_revenue", "transactions", "paying_visitors", "requests",
	"status_4xx", "bytes", "ttfb_p95", "cache_hit_rate", "lcp_p75", "bot_requests",
}

// randomAsked makes a question that can be answered.
func randomAsked(r *rand.Rand, first time.Time, days int, zones []string) *asked {
	q := &asked{limit: 1 + r.IntN(30), offset: r.IntN(3), compare: r.IntN(3) == 0}
	q.zone, _ = time.LoadLocation(pick(r, zones...))
	from := first.AddDate(0, 0, r.IntN(days))
	to := from.AddDate(0, 0, r.IntN(days))
	before := from.AddDate(0, 0, -r.IntN(days))
	q.ranges[0] = [2]string{from.Format(time.DateOnly), to.Format(time.DateOnly)}
	q.ranges[1] = [2]string{before.Format(time.DateOnly), before.AddDate(0, 0, r.IntN(days)).Format(time.DateOnly)}
	for range r.IntN(3) {
		g := pick(r, append(slices.Sorted(maps.Keys(dims)), "time:day", "time:hour", "event:goal")...)
		if !slices.Contains(q.groups, g) {
			q.groups = append(q.groups, g)
		}
	}
	if r.IntN(3) > 0 {
		q.filter = randomFilter(r, 3)
	}
	for len(q.metrics) == 0 {
		for range 1 + r.IntN(5) {
			m := pick(r, oracleMetrics...)
			converts := q.filter.hasGoal() || slices.Contains(q.groups, "event:goal")
			if !slices.Contains(q.metrics, m) && (converts || !strings.HasSuffix(m, "conversion_rate")) &&
				(m != "exit_rate" || slices.Contains(q.groups, "event:page")) {
				q.metrics = append(q.metrics, m)
			}
		}
	}
	for range r.IntN(2) {
		q.order = append(q.order, [2]string{pick(r, append(slices.Clone(q.groups), q.metrics...)...), pick(r, "asc", "desc")})
	}
	if q.loose() {
		q.limit, q.offset = 10_000, 0
	}
	return q
}

// loose reports whether rows are in the order of a sum or mean of fractions: what
// is equal differs there in the last bits, by the order of adding up. All rows are
// asked for then, and compared without their order.
func (q *asked) loose() bool {
	by := [][2]string{{q.metrics[0], ""}}
	if len(q.order) > 0 {
		by = q.order
	}
	return slices.ContainsFunc(by, func(o [2]string) bool {
		return slices.Contains([]string{
			"visit_duration", "views_per_visit", "bounce_rate", "exit_rate", "time_on_page", "scroll_depth", "conversion_rate", "group_conversion_rate", "percentage",
			"total_revenue", "average_revenue", "ttfb_p95", "cache_hit_rate", "lcp_p75",
		}, o[0])
	})
}

func (q *asked) body(t *testing.T) []byte {
	t.Helper()
	include := map[string]any{"total_rows": true}
	if q.compare {
		include["comparisons"] = map[string]any{"mode": "custom", "date_range": q.ranges[1]}
	}
	body := map[string]any{
		"site_id": site, "metrics": q.metrics, "date_range": q.ranges[0], "dimensions": q.groups, "order_by": q.order,
		"timezone": q.zone.String(), "include": include, "pagination": map[string]int{"limit": q.limit, "offset": q.offset},
	}
	if q.filter != nil {
		body["filters"] = []any{q.filter.json}
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestAskOracle compares random questions of metrics by groups with loops over
// random rows.
func TestAskOracle(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"}
	rounds, questions := 10, 25
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		zone, err := time.LoadLocation(pick(r, zones...))
		if err != nil {
			t.Fatal(err)
		}
		first := time.Date(2026, pick[time.Month](r, 3, 4, 10, 11), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
		days := 1 + r.IntN(5)
		rows := randomRows(r, first.AddDate(0, 0, -days-1), 3*days+3)
		enrich(r, rows)
		dir := t.TempDir()
		e := open(t, dir)
		half := len(rows) / 2
		files := []lake.File{write(t, dir, "0.parquet", rows[:half]), write(t, dir, "1.parquet", rows[half:])}
		for n := range questions {
			q := randomAsked(r, first, days, zones)
			body := q.body(t)
			name := fmt.Sprintf("seed %d, round %d.%d: zone %s: %s", seed, round, n, zone, body)
			query, err := stats.ParseJSON(stats.Site{ID: site, Zone: zone, Goals: oracleGoals}, body, time.Now())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := e.Ask(context.Background(), files, query)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want, total := q.answer(rows, zone)
			lines := linesOf(got)
			if q.loose() {
				slices.Sort(lines)
				slices.Sort(want)
			}
			if g, w := fmt.Sprint(got.Total, lines), fmt.Sprint(total, want); g != w {
				t.Fatalf("%s:\n got %s\nwant %s", name, g, w)
			}
		}
	}
}

// answer is what the oracle says, as linesOf writes it.
func (q *asked) answer(rows []row, zone *time.Location) (out []string, total int64) {
	a := newAsker(q, rows, zone, q.ranges[0])
	lines := a.answer()
	a.sort(lines)
	total = int64(len(lines))
	lines = lines[min(q.offset, len(lines)):]
	lines = lines[:min(q.limit, len(lines))]
	var before *asker
	other := map[string]*line{}
	if q.compare {
		before = newAsker(q, rows, zone, q.ranges[1])
		for _, l := range before.answer() {
			other[text(l.keys)] = l
		}
	}
	for _, l := range lines {
		s := fmt.Sprintf("\n%q %s", l.labels, numbers(l.metrics))
		if q.compare {
			s += before.against(l, other[text(l.keys)])
		}
		out = append(out, s)
	}
	return out, total
}

// against is the comparison with a line of this range, if there is one.
func (a *asker) against(l, other *line) string {
	var labels []string
	gone := false
	for i, g := range a.groups {
		label := l.labels[i]
		if strings.HasPrefix(g, "time:") {
			if n, _ := strconv.Atoi(*l.keys[i]); n < len(a.names[g]) {
				label = a.names[g][n]
			} else {
				label, gone = "gone", true
			}
		}
		labels = append(labels, label)
	}
	if other != nil {
		return fmt.Sprintf(" before %q %s", labels, numbers(other.metrics))
	}
	list := make([]*float64, len(a.metrics))
	for i, m := range a.metrics {
		switch m {
		case "visitors", "visits", "pageviews", "events", "transactions", "paying_visitors", "requests", "status_4xx", "bot_requests":
			if !gone {
				list[i] = num(0)
			}
		}
	}
	return fmt.Sprintf(" before %q %s", labels, numbers(list))
}

func linesOf(a *stats.Answer) []string {
	var out []string
	for _, r := range a.Results {
		s := fmt.Sprintf("\n%q %s", r.Groups, numbers(r.Metrics))
		if r.Comparison != nil {
			var labels []string
			for _, b := range r.Before {
				if b == nil {
					labels = append(labels, "gone")
				} else {
					labels = append(labels, *b)
				}
			}
			s += fmt.Sprintf(" before %q %s", labels, numbers(r.Comparison))
		}
		out = append(out, s)
	}
	return out
}

// numbers makes means comparable: sums in another order differ in the last bits.
func numbers(list []*float64) string {
	var out []string
	for _, v := range list {
		if v == nil {
			out = append(out, "null")
		} else {
			out = append(out, strings.TrimSuffix(fmt.Sprintf("%.6f", *v), ".000000"))
		}
	}
	return strings.Join(out, " ")
}
