package salts

import (
	"time"
	_ "time/tzdata" // a minimal system has no zones of its own

	"github.com/eider-analytics/eider/shared"
)

// hour and day in µs.
const (
	hour = int64(time.Hour / time.Microsecond)
	day  = 24 * hour
)

// shortest is the shortest period: where a change of the zone would leave less
// until the next midnight, the period goes on to the one after.
const shortest = hour

// dayStart is the first moment at which it is a day of the calendar in a zone,
// µs since 1970. The date may be out of range, as for time.Date. Where the
// clocks skip midnight it is the moment of the change, where they strike it
// twice the first; a day that a zone left out begins when the next one does.
func dayStart(year int, month time.Month, dayOfMonth int, zone *time.Location) int64 {
	midnight := time.Date(year, month, dayOfMonth, 0, 0, 0, 0, time.UTC).UnixMicro()
	// Zones are at most 14 hours away from UTC, so this finds every candidate.
	for at := midnight - day; at < midnight+2*day; {
		t := time.UnixMicro(at).In(zone)
		_, east := t.Zone()
		end := midnight + 2*day
		if _, until := t.ZoneBounds(); !until.IsZero() {
			end = min(end, until.UnixMicro())
		}
		if end <= at { // what Go says of the last day of a leap year beyond the zone's table
			end = at + hour
		}
		offset := int64(east) * 1_000_000
		if start := max(midnight-offset, at); start < end && start+offset >= midnight {
			return start
		}
		at = end
	}
	return midnight
}

// periodStart is the begin of the period that a time is in.
func periodStart(at int64, kind string, zone *time.Location) int64 {
	y, m, d := time.UnixMicro(at).In(zone).Date()
	if kind == shared.IdentityMonth {
		d = 1
	}
	return dayStart(y, m, d, zone)
}

// periodEnd is the end of the period that a time is in: the local midnight at
// which the next day or month begins.
func periodEnd(at int64, kind string, zone *time.Location) int64 {
	y, m, d := time.UnixMicro(at).In(zone).Date()
	for n := 1; ; n++ {
		var end int64
		if kind == shared.IdentityMonth {
			end = dayStart(y, m+time.Month(n), 1, zone)
		} else {
			end = dayStart(y, m, d+n, zone)
		}
		if end > at { // a day that the zone left out has no length
			return end
		}
	}
}

// endAfter is periodEnd for a period that begins at a time.
func endAfter(from int64, kind string, zone *time.Location) int64 {
	end := periodEnd(from, kind, zone)
	if end-from < shortest {
		end = periodEnd(end, kind, zone)
	}
	return end
}
