package stats

import (
	"net/url"
	"strconv"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/shared"
)

// Query is a question as data. Endpoints that answer one thing leave Metrics and
// Groups empty: they say what they count.
type Query struct {
	SiteID   string
	Range    Range
	Compare  *Range // nil = no comparison
	Interval Interval
	Filter   *Filter
	Limit    int
	Offset   int

	Metrics   []*Metric
	Groups    []Group
	Order     []Order
	TotalRows bool // how many groups there are is asked for, too
	Labels    bool // every bucket of the range is to be named

	site Site
}

// Bounds of a question.
const (
	defaultLimit = 10
	maxLimit     = 1000
	maxOffset    = 1_000_000
	maxMetrics   = 20
	maxGroups    = 6
	// wideLimit and maxWideLimit are those of questions in JSON, as Plausible's.
	wideLimit    = 10_000
	maxWideLimit = 10_000
)

// Site is what a question needs to know of a site.
type Site struct {
	ID    string
	Zone  *time.Location
	Began time.Time // its first event; zero = it has none
	// Privacy are its options now, and PrivacyChanged is since when, µs since
	// 1970; 0 = they never changed.
	Privacy        shared.Privacy
	PrivacyChanged int64
	Goals          []Goal
	// Identity is how long a visitor is known: shared.IdentityDay or IdentityMonth.
	Identity string
	// Days are the sealed days of the snapshot whose files are asked: see
	// lake.Snapshot.
	Days []*lake.Day
}

// Group is what an answer is broken down by: a dimension, an interval of time, or
// the site's goals.
type Group struct {
	name      string // as it was asked for
	dimension *Dimension
	interval  Interval
	goals     []Goal
}

// Timed reports whether the group is an interval of time.
func (g Group) Timed() bool { return g.interval != "" }

// Order sorts the rows of an answer by one of its metrics or groups.
type Order struct {
	metric     int // index; -1 = by a group
	group      int
	descending bool
}

// Parse reads the parameters that all questions have in common: period,
// start_date, end_date, timezone, compare, interval, filters, limit, offset. Others
// are left alone. The error is an [InvalidError].
func Parse(site Site, p url.Values, now time.Time) (Query, error) {
	q := Query{SiteID: site.ID, site: site}
	zone, err := parseZone(site.Zone, p.Get("timezone"))
	if err != nil {
		return Query{}, err
	}
	if q.Range, err = parseRange(zone, p.Get("period"), p.Get("start_date"), p.Get("end_date"), now, site.Began); err != nil {
		return Query{}, err
	}
	if q.Compare, err = parseCompare(q.Range, p); err != nil {
		return Query{}, err
	}
	if q.Interval, err = parseInterval(q.Range, p.Get("interval")); err != nil {
		return Query{}, err
	}
	if q.Filter, err = site.parseFilters(p.Get("filters")); err != nil {
		return Query{}, err
	}
	if q.Limit, err = parseCount("limit", p.Get("limit"), defaultLimit, 1, maxLimit); err != nil {
		return Query{}, err
	}
	if q.Offset, err = parseCount("offset", p.Get("offset"), 0, 0, maxOffset); err != nil {
		return Query{}, err
	}
	return q, nil
}

// parseZone reads the zone of an answer's days; none is the site's.
func parseZone(zone *time.Location, name string) (*time.Location, error) {
	if name == "" {
		return zone, nil
	}
	z, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, invalid("timezone", "must be a time zone of the IANA database, like Europe/Berlin")
	}
	return z, nil
}

func parseCount(field, text string, unset, lo, hi int) (int, error) {
	if text == "" {
		return unset, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < lo || n > hi {
		return 0, invalid(field, "must be a number from %d to %d", lo, hi)
	}
	return n, nil
}

// Span is the time that the question looks at, µs since 1970, the end excluded.
func (q *Query) Span() (from, to int64) {
	from, to = q.visitSpan(q.Range)
	if q.Compare != nil {
		f, t := q.visitSpan(*q.Compare)
		from, to = min(from, f), max(to, t)
	}
	return from, to
}
