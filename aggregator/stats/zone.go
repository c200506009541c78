package stats

import "time"

// offset is a span of time in which a zone keeps one distance from UTC. Times
// are µs since 1970.
type offset struct {
	from, to int64 // to is excluded
	east     int64 // µs to add to UTC
}

// offsetsOf cuts [from, to) at the changes of the zone's clocks.
//
// ZoneBounds names more bounds than there are changes, and of the last day of a
// leap year beyond the zone's table (from 2040 on) one that lies before it: Go
// takes every year for 365 days there. So such a day is gone over by hours.
func offsetsOf(zone *time.Location, from, to int64) []offset {
	var out []offset
	for at := from; at < to; {
		t := time.UnixMicro(at).In(zone)
		_, seconds := t.Zone()
		end := to
		if _, until := t.ZoneBounds(); !until.IsZero() && until.UnixMicro() < to {
			end = until.UnixMicro()
		}
		if end <= at {
			end = min(at+hourMicros, to)
		}
		east := int64(seconds) * 1e6
		if n := len(out); n > 0 && out[n-1].east == east {
			out[n-1].to = end
		} else {
			out = append(out, offset{from: at, to: end, east: east})
		}
		at = end
	}
	return out
}

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
// Where the clocks skip midnight it is the moment of the change, where they
// strike it twice the first; a day that a zone left out begins when the next
// one does.
func (d Date) start(zone *time.Location) int64 {
	const day = 24 * 3600 * 1e6
	midnight := d.utc().UnixMicro()
	// Zones are at most 14 hours away from UTC, so this finds every candidate.
	for _, o := range offsetsOf(zone, midnight-day, midnight+2*day) {
		if at := max(midnight-o.east, o.from); at < o.to && at+o.east >= midnight {
			return at
		}
	}
	return midnight
}
