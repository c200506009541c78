package stats

import (
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/calendar"
)

// Interval is the width of a chart's buckets.
type Interval string

// The intervals.
const (
	Minute Interval = "minute"
	Hour   Interval = "hour"
	Day    Interval = "day"
	Week   Interval = "week" // from Monday, ISO 8601
	Month  Interval = "month"
)

var intervals = []Interval{Minute, Hour, Day, Week, Month}

// maxBuckets bounds the answer, so that nobody asks for each minute of a year.
const maxBuckets = 10_000

const (
	minuteMicros = 60 * 1e6
	hourMicros   = 60 * minuteMicros
	dayMicros    = 24 * hourMicros
)

func parseInterval(r Range, text string) (Interval, error) {
	if text == "" {
		return defaultInterval(r), nil
	}
	var names []string
	for _, i := range intervals {
		if string(i) != text {
			names = append(names, string(i))
			continue
		}
		if (r.To-r.From)/i.atLeast() > maxBuckets {
			return "", invalid("interval", "%s makes more than %d buckets of this range: choose a wider one", text, maxBuckets)
		}
		return i, nil
	}
	return "", invalid("interval", "must be one of %s", strings.Join(names, ", "))
}

// defaultInterval makes some 7 to 100 buckets of most ranges.
func defaultInterval(r Range) Interval {
	switch days := r.days(); {
	case days <= 1:
		return Hour
	case days <= 92:
		return Day
	case days <= 183:
		return Week
	default:
		return Month
	}
}

// atLeast is the least width of a bucket in µs, for bounds.
func (i Interval) atLeast() int64 {
	switch i {
	case Minute:
		return minuteMicros
	case Hour:
		return hourMicros / 2 // zones change their clocks by half hours at least
	default:
		return dayMicros
	}
}

// clockLayout is how a local time is written: without a zone, the site's is meant.
const clockLayout = "2006-01-02T15:04:05"

// bucket is one point of a chart. key is what the compiled SQL computes from an
// event's time: unique and rising within a chart, not always by one.
type bucket struct {
	key  int64
	date string
}

// span is an offset with what makes keys of it: key = (t + east) / width + bias.
type span struct {
	calendar.Offset
	bias int64
}

// chart is a range cut into buckets.
//
// Minutes and hours are those of the local clock within one offset from UTC: a
// day of 25 hours has 25 buckets, of which two have the same name, and a day of
// 23 has 23. Days, weeks and months are those of the calendar.
type chart struct {
	interval Interval
	width    int64 // µs of the unit that SQL divides by: minute, hour or day
	spans    []span
	buckets  []bucket
}

func newChart(r Range, interval Interval) chart {
	c := chart{interval: interval, width: dayMicros}
	switch interval {
	case Minute:
		c.width = minuteMicros
	case Hour:
		c.width = hourMicros
	}
	next := int64(0) // key of the next bucket, for clock units
	for _, o := range calendar.Offsets(r.Zone, r.From, r.To) {
		first, last := (o.From+o.East)/c.width, (o.To-1+o.East)/c.width
		s := span{Offset: o}
		if c.width < dayMicros {
			s.bias = next - first
			next += last - first + 1
		}
		c.spans = append(c.spans, s)
		for unit := first; unit <= last; unit++ {
			c.add(unit, s.bias)
		}
	}
	return c
}

// add appends the bucket that a unit falls into, unless it is there: days on
// both sides of a change of the clocks, days of one week or month. Where a week
// or month begins before the range, its bucket is named after the range's
// first day.
func (c *chart) add(unit, bias int64) {
	at := time.UnixMicro(unit * c.width).UTC()
	b := bucket{key: unit + bias, date: at.Format(time.DateOnly)}
	switch c.interval {
	case Minute, Hour:
		b.date = at.Format(clockLayout)
	case Week:
		b.key = (unit + 3) / 7 // 1970-01-01 was a Thursday
	case Month:
		b.key = int64(at.Year())*12 + int64(at.Month())
	}
	if n := len(c.buckets); n == 0 || c.buckets[n-1].key != b.key {
		c.buckets = append(c.buckets, b)
	}
}

// sql is the expression that gives the key of the bucket in which t, µs since
// 1970, lies.
func (c *chart) sql(b *builder, t string) string {
	unit := func(s span) string {
		return "(" + t + " + " + b.arg(s.East+s.bias*c.width) + "::BIGINT) // " + b.arg(c.width) + "::BIGINT"
	}
	if len(c.spans) == 0 { // a day that the zone left out has no time
		return "0::BIGINT"
	}
	expr := unit(c.spans[len(c.spans)-1])
	if len(c.spans) > 1 {
		var text strings.Builder
		text.WriteString("CASE")
		for _, s := range c.spans[:len(c.spans)-1] {
			text.WriteString(" WHEN " + t + " < " + b.arg(s.To) + "::BIGINT THEN " + unit(s))
		}
		expr = text.String() + " ELSE " + expr + " END"
	}
	return c.interval.ofUnit(expr)
}

// ofUnit is the key of the bucket of the interval in which a unit lies: a day, of
// intervals that are made of days.
func (i Interval) ofUnit(unit string) string {
	switch i {
	case Week:
		return "((" + unit + ") + 3) // 7"
	case Month:
		date := "(DATE '1970-01-01' + CAST(" + unit + " AS INTEGER))"
		return "year(" + date + ") * 12 + month(" + date + ")"
	}
	return unit
}

// next is the expression that gives the key after one of a chart of days: mostly
// one more, but a zone can leave days out.
func (c *chart) next(b *builder, key string) string {
	expr := key + " + 1"
	for i := 1; i < len(c.buckets); i++ {
		if before, after := c.buckets[i-1].key, c.buckets[i].key; after != before+1 {
			expr = "CASE " + key + " WHEN " + b.arg(before) + "::BIGINT THEN " + b.arg(after) + "::BIGINT ELSE " + expr + " END"
		}
	}
	return expr
}
