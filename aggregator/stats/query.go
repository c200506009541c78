package stats

import (
	"net/url"
	"strconv"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// Query is a question as data.
type Query struct {
	SiteID   string
	Range    Range
	Compare  *Range // nil = no comparison
	Interval Interval
	Filters  []Filter
	Limit    int
	Offset   int

	site Site
}

// Bounds of the parameters limit and offset.
const (
	defaultLimit = 10
	maxLimit     = 1000
	maxOffset    = 1_000_000
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
}

// Parse reads the parameters that all questions have in common: period,
// start_date, end_date, compare, interval, filters, limit, offset. Others are
// left alone. The error is an [InvalidError].
func Parse(site Site, p url.Values, now time.Time) (Query, error) {
	q := Query{SiteID: site.ID, site: site}
	var err error
	if q.Range, err = parseRange(site.Zone, p.Get("period"), p.Get("start_date"), p.Get("end_date"), now, site.Began); err != nil {
		return Query{}, err
	}
	if q.Compare, err = parseCompare(q.Range, p.Get("compare")); err != nil {
		return Query{}, err
	}
	if q.Interval, err = parseInterval(q.Range, p.Get("interval")); err != nil {
		return Query{}, err
	}
	if q.Filters, err = parseFilters(p.Get("filters")); err != nil {
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
