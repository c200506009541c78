package salts

import (
	"time"

	"github.com/eider-analytics/eider/aggregator/calendar"
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

// periodStart is the begin of the period that a time is in.
func periodStart(at int64, kind string, zone *time.Location) int64 {
	y, m, d := time.UnixMicro(at).In(zone).Date()
	if kind == shared.IdentityMonth {
		d = 1
	}
	return calendar.DayStart(y, m, d, zone)
}

// periodEnd is the end of the period that a time is in: the local midnight at
// which the next day or month begins.
func periodEnd(at int64, kind string, zone *time.Location) int64 {
	y, m, d := time.UnixMicro(at).In(zone).Date()
	for n := 1; ; n++ {
		var end int64
		if kind == shared.IdentityMonth {
			end = calendar.DayStart(y, m+time.Month(n), 1, zone)
		} else {
			end = calendar.DayStart(y, m, d+n, zone)
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
