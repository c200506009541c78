package erasure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/calendar"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// Request is what is to be erased. What it names is combined with "and": a
// visitor within dates, say.
type Request struct {
	Site       string `json:"site_id"`               // id, UUID or domain
	Start      string `json:"start_date,omitempty"`  // yyyy-mm-dd, by the site's calendar
	End        string `json:"end_date,omitempty"`    // likewise, included
	VisitorID  string `json:"visitor_id,omitempty"`  // decimal, or hexadecimal with 0x
	DistinctID string `json:"distinct_id,omitempty"` // as the site gave it
	Everything bool   `json:"everything,omitempty"`  // of the site
	DryRun     bool   `json:"dry_run,omitempty"`
	By         string `json:"by,omitempty"` // who asks; set by who let them in
}

// InvalidError says which part of a request can't be, and what to change.
type InvalidError struct {
	Field   string
	Message string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }

func invalid(field, format string, args ...any) error {
	return &InvalidError{field, fmt.Sprintf(format, args...)}
}

// subject is a request that was understood.
type subject struct {
	site     string
	from, to int64 // µs since 1970, to excluded
	visitor  uint64
	distinct string
}

// parse understands a request for a site.
func (r *Request) parse(site *state.Site) (s subject, err error) {
	s = subject{site: site.ID, to: math.MaxInt64, distinct: r.DistinctID}
	switch dates, ids := r.Start != "" || r.End != "", r.VisitorID != "" || r.DistinctID != ""; {
	case r.Everything && (dates || ids):
		return s, invalid("everything", "it is all of the site: leave out dates and ids, or leave out everything")
	case !r.Everything && !dates && !ids:
		return s, invalid("start_date", "say what to erase: start_date and end_date, visitor_id, distinct_id, or everything=true")
	}
	if r.Start != "" || r.End != "" {
		if s.from, s.to, err = span(r.Start, r.End, site.Zone); err != nil {
			return s, err
		}
	}
	if r.VisitorID != "" {
		if s.visitor, err = ParseVisitor(r.VisitorID); err != nil {
			return s, err
		}
	}
	if len(r.DistinctID) > shared.MaxShort || strings.ContainsFunc(r.DistinctID, func(c rune) bool { return c < ' ' || c == '\uFFFD' }) {
		return s, invalid("distinct_id", "at most %d bytes of text, without control characters", shared.MaxShort)
	}
	return s, nil
}

// ParseVisitor reads a visitor's id as answers, exports and SQL show it.
func ParseVisitor(text string) (uint64, error) {
	digits, base := text, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		digits, base = hex, 16
	}
	id, err := strconv.ParseUint(digits, base, 64)
	if err != nil || id == 0 || strings.ContainsAny(digits, "+_") {
		return 0, invalid("visitor_id", "it is a number from 1 to %d, as answers show it, or hexadecimal with 0x before it", uint64(math.MaxUint64))
	}
	return id, nil
}

// span is the time of days of a zone's calendar.
func span(start, end, zone string) (from, to int64, err error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		loc = time.UTC
	}
	first, err := date("start_date", start)
	if err != nil {
		return 0, 0, err
	}
	last, err := date("end_date", end)
	if err != nil {
		return 0, 0, err
	}
	if last.Before(first) {
		return 0, 0, invalid("end_date", "it is before start_date")
	}
	from = calendar.DayStart(first.Year(), first.Month(), first.Day(), loc)
	return from, calendar.DayStart(last.Year(), last.Month(), last.Day()+1, loc), nil
}

func date(field, text string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	switch {
	case text == "":
		return t, invalid(field, "give both start_date and end_date, as 2026-11-22")
	case err != nil || t.Year() < 1970 || t.Year() > 9000:
		return t, invalid(field, "a day such as 2026-11-22 is wanted")
	}
	return t, nil
}
