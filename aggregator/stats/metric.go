package stats

import (
	"slices"
	"strings"
)

// Metric is one entry of the closed list of numbers that can be asked for.
type Metric struct {
	name  string
	parts []*part
	// sql makes the number of the parts' columns, which have their names.
	sql   string
	whole bool // an integer
	// people says that nobody knows it of rows without a visitor id.
	people bool
	// needs is the only dimension that it is known by; nil = any.
	needs *Dimension
}

// part is an aggregate that metrics are made of.
type part struct {
	name  string
	facet facet
	expr  string // over the facet's relation, grouped by the dimensions
	whole bool
}

// facet is a relation that parts are aggregates of. Their columns, besides those
// of the dimensions, are:
//
//	picked    visitor_id, pv, amount, currency: selected interactions
//	sessions  visitor_id, views, lasted, bounced, own, left: visits begun in the
//	          range that have one
//	answers   status, bytes_sent, ttfb_us, cache_status: requests of people
//	reading   visitor_id, page, engaged, scrolled: views that beacons told of
//	vitals    lcp_ms, inp_ms, cls, fcp_ms, nav_ttfb_ms
//	bots      requests of bots
//	peers     as picked, had no goal been asked for
//	everyone  as peers, of all groups together
//	total     as picked, of all groups together
//
// own says that the visit entered by the page that it is broken down by, or that
// it is broken down by none; left, that it ended there.
type facet uint8

const (
	ofPicked facet = iota
	ofSessions
	ofAnswers
	ofReading
	ofVitals
	ofBots
	ofPeers
	ofEveryone
	ofTotal
)

func count(name string, of facet, expr string) *part {
	return &part{name: name, facet: of, expr: expr, whole: true}
}

func measure(name string, of facet, expr string) *part {
	return &part{name: name, facet: of, expr: expr}
}

// The parts that several metrics are made of.
var (
	partVisitors  = count("n_visitors", ofPicked, countVisitors)
	partPageviews = count("n_pageviews", ofPicked, "count(*) FILTER (pv)")
	partVisits    = count("n_visits", ofSessions, "count(*)")
)

// single is a metric of one part.
func single(name string, p *part) *Metric {
	return &Metric{name: name, parts: []*part{p}, sql: p.name, whole: p.whole}
}

// ofPeople is one that is null where no row has a visitor id.
func ofPeople(m *Metric) *Metric {
	if !slices.Contains(m.parts, partVisitors) {
		m.parts = append(m.parts, partVisitors)
	}
	m.people = true
	return m
}

func share(name, of string, p *part) *Metric {
	return ofPeople(&Metric{name: name, parts: []*part{partVisitors, p}, sql: of + " / nullif(greatest(" + p.name + ", 0), 0)"})
}

// metrics is the registry. Its expressions are the only source of aggregates in
// compiled SQL.
var metrics = []*Metric{
	ofPeople(single("visitors", partVisitors)),
	ofPeople(single("visits", partVisits)),
	single("pageviews", partPageviews),
	single("events", count("n_events", ofPicked, "count(*)")),
	ofPeople(single("bounce_rate", measure("bounce", ofSessions, "avg(bounced::INTEGER) FILTER (own)"))),
	ofPeople(single("visit_duration", measure("lasting", ofSessions, "avg(lasted) FILTER (own) / 1e6"))),
	ofPeople(single("views_per_visit", measure("per_visit", ofSessions, "avg(views) FILTER (own)"))),
	ofPeople(&Metric{
		name: "exit_rate", parts: []*part{partPageviews, count("n_left", ofSessions, "count(*) FILTER (left_here)")},
		sql: "coalesce(n_left, 0) / nullif(n_pageviews, 0)", needs: pages,
	}),
	single("time_on_page", measure("reading_time", ofReading, "sum(engaged) / 1e3 / nullif(count(DISTINCT hash(visitor_id, page)) FILTER (engaged IS NOT NULL), 0)")),
	single("scroll_depth", measure("scrolling", ofReading, "avg(scrolled)")),
	share("conversion_rate", "n_visitors", count("n_everyone", ofEveryone, countVisitors)),
	share("group_conversion_rate", "n_visitors", count("n_peers", ofPeers, countVisitors)),
	share("percentage", "n_visitors", count("n_total", ofTotal, countVisitors)),
	single("total_revenue", measure("revenue", ofPicked, "CASE WHEN count(DISTINCT currency) = 1 THEN sum(amount)::DOUBLE END")),
	single("average_revenue", measure("mean_revenue", ofPicked, "CASE WHEN count(DISTINCT currency) = 1 THEN avg(amount)::DOUBLE END")),
	single("transactions", count("n_paid", ofPicked, "count(amount)")),
	ofPeople(&Metric{
		name: "paying_visitors", whole: true, sql: "CASE WHEN n_payers < 0 THEN NULL ELSE coalesce(n_payers, 0) END",
		parts: []*part{count("n_payers", ofPicked, "CASE WHEN count(amount) > 0 AND count(visitor_id) FILTER (amount IS NOT NULL) = 0 THEN -1"+
			" ELSE count(DISTINCT visitor_id) FILTER (amount IS NOT NULL) END")},
	}),
	single("requests", count("n_answers", ofAnswers, "count(*)")),
	single("status_2xx", count("n_2xx", ofAnswers, "count(*) FILTER (status BETWEEN 200 AND 299)")),
	single("status_3xx", count("n_3xx", ofAnswers, "count(*) FILTER (status BETWEEN 300 AND 399)")),
	single("status_4xx", count("n_4xx", ofAnswers, "count(*) FILTER (status BETWEEN 400 AND 499)")),
	single("status_5xx", count("n_5xx", ofAnswers, "count(*) FILTER (status BETWEEN 500 AND 599)")),
	{name: "bytes", parts: []*part{{name: "n_bytes", facet: ofAnswers, expr: "sum(bytes_sent)::BIGINT"}}, sql: "n_bytes", whole: true},
	single("ttfb_p50", measure("ttfb50", ofAnswers, "quantile_cont(ttfb_us, 0.5) / 1e3")),
	single("ttfb_p75", measure("ttfb75", ofAnswers, "quantile_cont(ttfb_us, 0.75) / 1e3")),
	single("ttfb_p95", measure("ttfb95", ofAnswers, "quantile_cont(ttfb_us, 0.95) / 1e3")),
	single("ttfb_p99", measure("ttfb99", ofAnswers, "quantile_cont(ttfb_us, 0.99) / 1e3")),
	single("cache_hit_rate", measure("cache_hits", ofAnswers, "avg((cache_status = 'hit')::INTEGER)")),
	single("lcp_p75", measure("lcp75", ofVitals, "quantile_cont(lcp_ms, 0.75)")),
	single("inp_p75", measure("inp75", ofVitals, "quantile_cont(inp_ms, 0.75)")),
	single("cls_p75", measure("cls75", ofVitals, "quantile_cont(cls, 0.75)")),
	single("fcp_p75", measure("fcp75", ofVitals, "quantile_cont(fcp_ms, 0.75)")),
	single("nav_ttfb_p75", measure("nav75", ofVitals, "quantile_cont(nav_ttfb_ms, 0.75)")),
	single("bot_requests", count("n_bots", ofBots, "count(*)")),
}

// Name is the metric as the API calls it.
func (m *Metric) Name() string { return m.name }

// ParseMetric finds a metric by its name. field names the parameter in the error.
func ParseMetric(field, name string) (*Metric, error) {
	names := make([]string, len(metrics))
	for i, m := range metrics {
		if m.name == name {
			return m, nil
		}
		names[i] = m.name
	}
	return nil, invalid(field, "unknown metric; there are %s", strings.Join(names, ", "))
}

// named lists metrics of the registry.
func named(names ...string) []*Metric {
	list := make([]*Metric, len(names))
	for i, name := range names {
		m, err := ParseMetric("metrics", name)
		if err != nil {
			panic(err)
		}
		list[i] = m
	}
	return list
}

// final is the metric's number, of the columns of its parts. Nothing that was
// counted is 0; what was measured of nothing, and what needs visitors that
// nobody knows, is null.
func (m *Metric) final() string {
	sql := m.sql
	if m.whole && m.sql == m.parts[0].name && m.name != "bytes" {
		sql = "coalesce(" + sql + ", 0)"
	}
	if m.people {
		sql = "CASE WHEN n_visitors = -1 THEN NULL ELSE " + sql + " END"
	}
	if m.whole {
		return "(" + sql + ")::BIGINT"
	}
	return "(" + sql + ")::DOUBLE"
}
