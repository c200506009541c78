package stats

import (
	"net/url"
	"strings"
	"time"
)

// Range is a run of whole days of a site.
type Range struct {
	Zone     *time.Location
	First    Date  // included
	Last     Date  // included
	From, To int64 // the same as µs since 1970, To excluded
	Now      bool  // no days, but the moments that lead up to now
}

// newRange is the range of the days first to last, both included.
func newRange(zone *time.Location, first, last Date) Range {
	return Range{Zone: zone, First: first, Last: last, From: first.start(zone), To: last.add(0, 0, 1).start(zone)}
}

// days is how many days the range has, skipped ones included.
func (r Range) days() int { return r.First.days(r.Last) + 1 }

// period is one of the closed list of named ranges that end today. first gives
// the first day; began is the day of the site's first event.
type period struct {
	name  string
	first func(today, began Date) Date
}

var periods = []period{
	{"today", func(today, _ Date) Date { return today }},
	{"day", func(today, _ Date) Date { return today }},
	{"7d", func(today, _ Date) Date { return today.add(0, 0, -6) }},
	{"30d", func(today, _ Date) Date { return today.add(0, 0, -29) }},
	{"90d", func(today, _ Date) Date { return today.add(0, 0, -89) }},
	// The month that runs and the eleven before it, whole.
	{"12mo", func(today, _ Date) Date { return Date{today.Year, today.Month, 1}.add(0, -11, 0) }},
	{"all", func(_, began Date) Date { return began }},
}

const defaultPeriod = "30d"

// maxYears bounds a range, and with it the work of cutting it into buckets.
const maxYears = 100

// parseRange reads period or start_date and end_date.
func parseRange(zone *time.Location, name, start, end string, now, began time.Time) (Range, error) {
	today := dateOf(now.In(zone))
	if start != "" || end != "" {
		return parseDates(zone, name, start, end)
	}
	if name == "" {
		name = defaultPeriod
	}
	for _, p := range periods {
		if p.name != name {
			continue
		}
		first := today
		if !began.IsZero() {
			first = dateOf(began.In(zone))
		}
		if first.days(today) < 0 { // an event's clock ran ahead
			first = today
		}
		return newRange(zone, p.first(today, first), today), nil
	}
	return Range{}, invalid("period", "must be one of %s, or give start_date and end_date", periodNames())
}

func parseDates(zone *time.Location, period, start, end string) (Range, error) {
	// `day` with start_date is Mallard's way to ask for one day.
	if period == "day" && end == "" {
		end = start
	}
	first, err := parseDate("start_date", start)
	if err != nil {
		return Range{}, err
	}
	last, err := parseDate("end_date", end)
	if err != nil {
		return Range{}, err
	}
	if first.days(last) < 0 {
		return Range{}, invalid("end_date", "is before start_date")
	}
	if last.Year-first.Year > maxYears {
		return Range{}, invalid("start_date", "the range is longer than %d years", maxYears)
	}
	return newRange(zone, first, last), nil
}

func parseDate(field, text string) (Date, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 2000 || t.Year() > 2200 {
		return Date{}, invalid(field, "must be a date like 2026-01-31; start_date and end_date go together")
	}
	return dateOf(t), nil
}

func periodNames() string {
	names := make([]string, len(periods))
	for i, p := range periods {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}

// counterpart is one of the closed list of ranges to compare with.
type counterpart struct {
	name string
	of   func(Range) Range
}

var others = []counterpart{
	{"previous_period", func(r Range) Range {
		if r != newRange(r.Zone, r.First, r.Last) { // between two moments
			length := r.To - r.From
			return Range{Zone: r.Zone, First: dayIn(r.Zone, r.From-length), Last: dayIn(r.Zone, r.From-1), From: r.From - length, To: r.From}
		}
		return newRange(r.Zone, r.First.add(0, 0, -r.days()), r.First.add(0, 0, -1))
	}},
	{"previous_year", func(r Range) Range {
		return newRange(r.Zone, r.First.add(-1, 0, 0), r.Last.add(-1, 0, 0))
	}},
}

func parseCompare(r Range, p url.Values) (*Range, error) {
	name := p.Get("compare")
	switch name {
	case "":
		return nil, nil
	case "custom":
		other, err := parseCompareDates(r.Zone, p.Get("compare_start_date"), p.Get("compare_end_date"))
		return other, err
	}
	names := []string{"custom"}
	for _, c := range others {
		if c.name == name {
			other := c.of(r)
			return &other, nil
		}
		names = append(names, c.name)
	}
	return nil, invalid("compare", "must be one of %s", strings.Join(names, ", "))
}

// parseCompareDates reads the range of a comparison of its own.
func parseCompareDates(zone *time.Location, start, end string) (*Range, error) {
	first, err := parseDate("compare_start_date", start)
	if err != nil {
		return nil, err
	}
	last, err := parseDate("compare_end_date", end)
	if err != nil {
		return nil, err
	}
	if first.days(last) < 0 || last.Year-first.Year > maxYears {
		return nil, invalid("compare_end_date", "must be from compare_start_date to %d years later", maxYears)
	}
	other := newRange(zone, first, last)
	return &other, nil
}
