package stats

import (
	"time"

	"github.com/eider-analytics/eider/aggregator/calendar"
)

// Date is a day of the calendar, in whatever zone.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// dateOf is the day that it is at t in t's own zone.
func dateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// dayIn is the day that it is in the zone at a time in µs since 1970.
func dayIn(zone *time.Location, us int64) Date { return dateOf(time.UnixMicro(us).In(zone)) }

// utc is the date's midnight in UTC: for arithmetic, where no zone disturbs.
func (d Date) utc() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// add moves by years, months and days, normalised as time.Time.AddDate does it.
func (d Date) add(years, months, days int) Date { return dateOf(d.utc().AddDate(years, months, days)) }

// before is the last day that the zone had before d.
func (d Date) before(zone *time.Location) Date { return dayIn(zone, d.start(zone)-1) }

// days is the number of days from d to e.
func (d Date) days(e Date) int { return int(e.utc().Sub(d.utc()) / (24 * time.Hour)) }

// String is yyyy-mm-dd.
func (d Date) String() string { return d.utc().Format(time.DateOnly) }

// start is the first moment at which it is this day in the zone, µs since 1970.
// A day that the zone left out begins when the next one does.
func (d Date) start(zone *time.Location) int64 {
	return calendar.DayStart(d.Year, d.Month, d.Day, zone)
}
