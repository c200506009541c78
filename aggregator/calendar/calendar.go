// Package calendar tells when the days of a zone begin, and how far its clocks
// are from UTC. Times are µs since 1970.
//
// It promises to come to an end for any date and zone, also where Go's
// [time.Time.ZoneBounds] names a bound that lies behind. It refuses to know what
// days are for: periods of identities, ranges and charts are their packages'.
package calendar

import (
	"time"
	_ "time/tzdata" // a minimal system has no zones of its own
)

const (
	hour = int64(time.Hour / time.Microsecond)
	day  = 24 * hour
)

// Offset is a span of time in which a zone keeps one distance from UTC.
type Offset struct {
	From, To int64 // To is excluded
	East     int64 // µs to add to UTC
}

// Offsets cuts [from, to) at the changes of the zone's clocks.
//
// ZoneBounds names more bounds than there are changes, and of the last day of a
// leap year beyond the zone's table (from 2040 on) one that lies before it: Go
// takes every year for 365 days there. So such a day is gone over by hours.
func Offsets(zone *time.Location, from, to int64) []Offset {
	var out []Offset
	for at := from; at < to; {
		t := time.UnixMicro(at).In(zone)
		_, seconds := t.Zone()
		end := to
		if _, until := t.ZoneBounds(); !until.IsZero() && until.UnixMicro() < to {
			end = until.UnixMicro()
		}
		if end <= at {
			end = min(at+hour, to)
		}
		east := int64(seconds) * 1e6
		if n := len(out); n > 0 && out[n-1].East == east {
			out[n-1].To = end
		} else {
			out = append(out, Offset{From: at, To: end, East: east})
		}
		at = end
	}
	return out
}

// DayStart is the first moment at which it is a day of the calendar in a zone.
// The date may be out of range, as for time.Date. Where the clocks skip midnight
// it is the moment of the change, where they strike it twice the first; a day
// that a zone left out begins when the next one does.
func DayStart(year int, month time.Month, dayOfMonth int, zone *time.Location) int64 {
	midnight := time.Date(year, month, dayOfMonth, 0, 0, 0, 0, time.UTC).UnixMicro()
	// Zones are at most 14 hours away from UTC, so this finds every candidate.
	for _, o := range Offsets(zone, midnight-day, midnight+2*day) {
		if at := max(midnight-o.East, o.From); at < o.To && at+o.East >= midnight {
			return at
		}
	}
	return midnight
}
