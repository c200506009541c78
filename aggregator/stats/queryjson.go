package stats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// body is a question in JSON, in the words of Plausible's stats API v2
// (https://plausible.io/docs/stats-api).
type body struct {
	SiteID     string            `json:"site_id"`
	Metrics    []string          `json:"metrics"`
	DateRange  json.RawMessage   `json:"date_range"`
	Timezone   string            `json:"timezone"`
	Dimensions []string          `json:"dimensions"`
	Filters    json.RawMessage   `json:"filters"`
	OrderBy    []json.RawMessage `json:"order_by"`
	Include    struct {
		Imports     bool            `json:"imports"` // there are no others: what was imported is an event
		TimeLabels  bool            `json:"time_labels"`
		TotalRows   bool            `json:"total_rows"`
		Comparisons json.RawMessage `json:"comparisons"`
	} `json:"include"`
	Pagination struct {
		Limit  *int `json:"limit"`
		Offset *int `json:"offset"`
	} `json:"pagination"`
}

// SiteOf reads which site a question in JSON is about, before the site is known.
func SiteOf(text []byte) (string, error) {
	var b body
	if err := decodeBody(text, &b); err != nil {
		return "", err
	}
	return b.SiteID, nil
}

func decodeBody(text []byte, b *body) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(b)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			return invalid("body", "must be one JSON object")
		}
		return nil
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return invalid(kind.Field, "can't be a %s", kind.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid("body", "has the unknown field %s; there are site_id, metrics, date_range, timezone, dimensions, filters, order_by, include and pagination", name)
	}
	return invalid("body", "must be a JSON object")
}

// ParseJSON reads a question of metrics by groups. The error is an
// [InvalidError] that names the field.
func ParseJSON(site Site, text []byte, now time.Time) (Query, error) {
	var b body
	if err := decodeBody(text, &b); err != nil {
		return Query{}, err
	}
	q := Query{SiteID: site.ID, site: site, Limit: wideLimit, TotalRows: b.Include.TotalRows, Labels: b.Include.TimeLabels}
	zone, err := parseZone(site.Zone, b.Timezone)
	if err != nil {
		return Query{}, err
	}
	if q.Range, err = rangeOfJSON("date_range", zone, b.DateRange, now, site.Began); err != nil {
		return Query{}, err
	}
	if err := q.parseMetrics(b.Metrics); err != nil {
		return Query{}, err
	}
	if err := q.parseGroups(&site, b.Dimensions); err != nil {
		return Query{}, err
	}
	if len(b.Filters) > 0 && string(b.Filters) != "null" {
		if q.Filter, err = site.filtersOfJSON("filters", b.Filters); err != nil {
			return Query{}, err
		}
	}
	if err := q.parseOrder(b.OrderBy); err != nil {
		return Query{}, err
	}
	if q.Compare, err = compareOfJSON(q.Range, b.Include.Comparisons); err != nil {
		return Query{}, err
	}
	for i, g := range q.Groups {
		if q.Compare != nil && g.interval != "" && (q.Compare.To-q.Compare.From)/g.interval.atLeast() > maxBuckets {
			return Query{}, invalid(fmt.Sprintf("dimensions[%d]", i), "makes more than %d buckets of the range that is compared with: choose a shorter one", maxBuckets)
		}
	}
	if n := b.Pagination.Limit; n != nil {
		if q.Limit = *n; q.Limit < 1 || q.Limit > maxWideLimit {
			return Query{}, invalid("pagination.limit", "must be a number from 1 to %d", maxWideLimit)
		}
	}
	if n := b.Pagination.Offset; n != nil {
		if q.Offset = *n; q.Offset < 0 || q.Offset > maxOffset {
			return Query{}, invalid("pagination.offset", "must be a number from 0 to %d", maxOffset)
		}
	}
	return q, q.check()
}

func (q *Query) parseMetrics(names []string) error {
	if len(names) == 0 || len(names) > maxMetrics {
		return invalid("metrics", "must be a list of 1 to %d names", maxMetrics)
	}
	for i, name := range names {
		m, err := ParseMetric(fmt.Sprintf("metrics[%d]", i), name)
		if err != nil {
			return err
		}
		if slices.Contains(q.Metrics, m) {
			return invalid(fmt.Sprintf("metrics[%d]", i), "%s is there already", name)
		}
		q.Metrics = append(q.Metrics, m)
	}
	return nil
}

func (q *Query) parseGroups(site *Site, names []string) error {
	if len(names) > maxGroups {
		return invalid("dimensions", "at most %d are allowed", maxGroups)
	}
	for i, name := range names {
		field := fmt.Sprintf("dimensions[%d]", i)
		if slices.Contains(names[:i], name) {
			return invalid(field, "%s is there already", name)
		}
		g := Group{name: name}
		interval, timed := strings.CutPrefix(name, "time:")
		switch {
		case name == "time":
			g.interval = defaultInterval(q.Range)
		case timed:
			var err error
			if g.interval, err = parseInterval(q.Range, interval); err != nil {
				return invalid(field, "must be time or one of time:minute, time:hour, time:day, time:week and time:month, with at most %d buckets", maxBuckets)
			}
		case name == goalDimension:
			if g.goals = site.Goals; len(g.goals) == 0 {
				return invalid(field, "the site has no goals; add some by POST /api/goals")
			}
		default:
			var err error
			if g.dimension, err = ParseDimension(field, name); err != nil {
				return err
			}
		}
		q.Groups = append(q.Groups, g)
	}
	return nil
}

// parseOrder reads [[metric or dimension, "asc" or "desc"], …].
func (q *Query) parseOrder(list []json.RawMessage) error {
	for i, text := range list {
		field := fmt.Sprintf("order_by[%d]", i)
		var pair []string
		if json.Unmarshal(text, &pair) != nil || len(pair) != 2 || pair[1] != "asc" && pair[1] != "desc" {
			return invalid(field, "must be [name, \"asc\" or \"desc\"]")
		}
		o := Order{descending: pair[1] == "desc", group: -1}
		o.metric = slices.IndexFunc(q.Metrics, func(m *Metric) bool { return m.name == pair[0] })
		if o.metric < 0 {
			if o.group = slices.IndexFunc(q.Groups, func(g Group) bool { return g.name == pair[0] }); o.group < 0 {
				return invalid(field, "%s is none of the metrics and dimensions that are asked for", quoted(pair[0]))
			}
		}
		q.Order = append(q.Order, o)
	}
	return nil
}

// quoted shows a name from outside, cut.
func quoted(name string) string {
	const most = 60
	if len(name) > most {
		name = name[:most] + "…"
	}
	return fmt.Sprintf("%q", name)
}

// check refuses what can't be known together.
func (q *Query) check() error {
	tables := 0
	for i, g := range q.Groups {
		if g.dimension == nil || g.dimension.rows == "" {
			continue
		}
		tables++
		if q.Filter.ofVisits() || q.Filter.hasGoal() || slices.ContainsFunc(q.Groups, func(g Group) bool { return g.dimension != nil && g.dimension.ofVisits() }) {
			return invalid(fmt.Sprintf("dimensions[%d]", i), "%s are of no visit: ask for them without dimensions and filters of visits and goals", g.name)
		}
		for n, m := range q.Metrics {
			if slices.ContainsFunc(m.parts, func(p *part) bool { return p.facet == ofSessions || p.facet == ofReading || p.facet == ofVitals }) {
				return invalid(fmt.Sprintf("metrics[%d]", n), "%s is not known of %s", m.name, g.name)
			}
		}
	}
	if tables > 1 {
		return invalid("dimensions", "two of them are tables of different requests: ask for one of them")
	}
	converts := q.Filter.hasGoal() || slices.ContainsFunc(q.Groups, func(g Group) bool { return g.goals != nil })
	for i, m := range q.Metrics {
		field := fmt.Sprintf("metrics[%d]", i)
		if m.needs != nil && !slices.ContainsFunc(q.Groups, func(g Group) bool { return g.dimension == m.needs }) {
			return invalid(field, "%s is known by the dimension %s alone", m.name, m.needs.api)
		}
		if strings.HasSuffix(m.name, "conversion_rate") && !converts {
			return invalid(field, "%s needs a filter on %s or that dimension", m.name, goalDimension)
		}
	}
	return nil
}

// namedRanges are those of Plausible that the parameter period does not have.
var namedRanges = map[string]func(today Date) (first, last Date){
	"24h":   func(today Date) (Date, Date) { return today.add(0, 0, -1), today },
	"28d":   func(today Date) (Date, Date) { return today.add(0, 0, -27), today },
	"91d":   func(today Date) (Date, Date) { return today.add(0, 0, -90), today },
	"month": func(today Date) (Date, Date) { return Date{today.Year, today.Month, 1}, today },
	"6mo":   func(today Date) (Date, Date) { return Date{today.Year, today.Month, 1}.add(0, -5, 0), today },
	"year":  func(today Date) (Date, Date) { return Date{today.Year, time.January, 1}, today },
}

// rangeOfJSON reads a named range, two dates, or two times, of which the last is
// excluded.
func rangeOfJSON(field string, zone *time.Location, text json.RawMessage, now, began time.Time) (Range, error) {
	wrong := invalid(field, "must be one of %s, 24h, 28d, 91d, month, 6mo, year, or two dates like [\"2026-01-01\",\"2026-01-31\"], or two times with a zone", periodNames())
	var name string
	if json.Unmarshal(text, &name) == nil {
		if of := namedRanges[name]; of != nil {
			first, last := of(dateOf(now.In(zone)))
			return newRange(zone, first, last), nil
		}
		r, err := parseRange(zone, name, "", "", now, began)
		if err != nil || name == "" {
			return Range{}, wrong
		}
		return r, nil
	}
	var dates []string
	if json.Unmarshal(text, &dates) != nil || len(dates) != 2 {
		return Range{}, wrong
	}
	if !strings.Contains(dates[0], "T") {
		r, err := parseDates(zone, "", dates[0], dates[1])
		if err != nil {
			return Range{}, invalid(field, "must be two dates from 2000 to 2200 in order, at most %d years apart", maxYears)
		}
		return r, nil
	}
	from, err := time.Parse(time.RFC3339, dates[0])
	if err != nil {
		return Range{}, wrong
	}
	to, err := time.Parse(time.RFC3339, dates[1])
	if err != nil || !to.After(from) || from.Year() < 2000 || to.Year() > 2200 || to.Year()-from.Year() > maxYears {
		return Range{}, wrong
	}
	return Range{Zone: zone, First: dateOf(from.In(zone)), Last: dayIn(zone, to.UnixMicro()-1), From: from.UnixMicro(), To: to.UnixMicro()}, nil
}

// compareOfJSON reads {"mode": …, "date_range": …}; nothing is no comparison.
func compareOfJSON(r Range, text json.RawMessage) (*Range, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	var c struct {
		Mode      string          `json:"mode"`
		DateRange json.RawMessage `json:"date_range"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	wrong := invalid("include.comparisons", "must be {\"mode\": \"previous_period\", \"previous_year\" or \"year_over_year\"} or {\"mode\": \"custom\", \"date_range\": [first, last]}")
	if d.Decode(&c) != nil {
		return nil, wrong
	}
	switch c.Mode {
	case "year_over_year":
		c.Mode = "previous_year"
	case "custom":
		other, err := rangeOfJSON("include.comparisons.date_range", r.Zone, c.DateRange, time.Time{}, time.Time{})
		if err != nil {
			return nil, err
		}
		return &other, nil
	}
	for _, o := range others {
		if o.name == c.Mode {
			other := o.of(r)
			return &other, nil
		}
	}
	return nil, wrong
}
