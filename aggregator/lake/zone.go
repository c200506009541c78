package lake

import (
	"time"
	_ "time/tzdata" // a minimal system has no zones of its own

	"go.uber.org/zap"
)

// day is a civil date.
type day struct {
	year  int
	month time.Month
	day   int
}

func dayOf(micros int64, loc *time.Location) day {
	y, m, d := time.UnixMicro(micros).In(loc).Date()
	return day{y, m, d}
}

// String is the date as in paths and in the manifest.
func (d day) String() string {
	return time.Date(d.year, d.month, d.day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

// margin is how far from a local midnight a time must be for the cached bounds
// of a day to decide: clocks that change at midnight move the bounds.
const margin = int64(3 * time.Hour / time.Microsecond)

// bounds returns the span of times (µs) that are certainly within the day.
func (d day) bounds(loc *time.Location) (from, to int64) {
	from = time.Date(d.year, d.month, d.day, 0, 0, 0, 0, loc).UnixMicro()
	to = time.Date(d.year, d.month, d.day+1, 0, 0, 0, 0, loc).UnixMicro()
	return from + margin, to - margin
}

// zones turns zone names into locations. The caller guards it.
type zones struct {
	log    *zap.Logger
	loaded map[string]*time.Location
}

// load returns the location and the name that is in force: UTC for a name that
// is not known.
func (z *zones) load(name string) (*time.Location, string) {
	if name == "" || name == "UTC" {
		return time.UTC, "UTC"
	}
	loc, ok := z.loaded[name]
	if !ok {
		var err error
		if loc, err = time.LoadLocation(name); err != nil || name == "Local" {
			z.log.Warn("time zone is not known, UTC is used", zap.String("zone", name), zap.Error(err))
			loc = nil
		}
		z.loaded[name] = loc
	}
	if loc == nil {
		return time.UTC, "UTC"
	}
	return loc, name
}
