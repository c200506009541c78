package stats

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// compileAll is the SQL of every question that a query can be.
func compileAll(q Query) []statement {
	list := []statement{compileTotals(q, q.Range), compileCount(q), compileOverview(q.Range, true), compileOverview(q.Range, false)}
	c := newChart(q.Range, q.Interval)
	list = append(list, compileTimeseries(q, &c))
	for _, d := range dimensions {
		list = append(list, compileBreakdown(q, d))
		if !d.ofVisits() {
			var values []string
			for _, f := range q.Filters {
				if f.value != nil {
					values = append(values, *f.value)
				}
			}
			list = append(list, compileCandidates(q, d), compileVisitorsOf(q, d, values, false), compileVisitorsOf(q, d, values, true))
		}
	}
	return list
}

// FuzzCompile: SQL is the same whatever stands in the values of a question, so
// nothing of them is in it, and it has an argument for each placeholder.
func FuzzCompile(f *testing.F) {
	f.Add("browsers==Chrome;countries!=US", "30d", "", "", "", "10")
	f.Add("pages==/a' OR 1=1 --;sources!=(unknown)", "", "2026-03-01", "2026-03-31", "hour", "1")
	f.Add(`cities==a\;b\\;os!="$1"`, "12mo", "", "", "month", "1000")
	f.Add("entry-pages==\x00\xff\u202e;exit-pages!=$2;utm-campaigns==?", "all", "", "", "week", "")
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, filters, period, start, end, interval, limit string) {
		p := url.Values{
			"filters": {filters}, "period": {period}, "start_date": {start}, "end_date": {end}, "interval": {interval}, "limit": {limit},
		}
		q, err := Parse(Site{ID: "s", Zone: zone}, p, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
		if err != nil {
			return
		}
		plain := q
		plain.Filters = slices.Clone(q.Filters)
		for i := range plain.Filters {
			if plain.Filters[i].value != nil {
				value := "x"
				plain.Filters[i].value = &value
			}
		}
		plain.Limit = 1
		want := compileAll(plain)
		for i, s := range compileAll(q) {
			if s.text != want[i].text {
				t.Fatalf("the values changed the SQL:\n%s\n%s", s.text, want[i].text)
			}
			for n := range s.args {
				if !strings.Contains(s.text, placeholder(n)) {
					t.Fatalf("argument %s is not used in %s", placeholder(n), s.text)
				}
			}
			if strings.Contains(s.text, placeholder(len(s.args))) {
				t.Fatalf("no argument for %s in %s", placeholder(len(s.args)), s.text)
			}
		}
	})
}

func placeholder(n int) string {
	b := builder{args: make([]any, n)}
	return b.arg(nil)
}

// TestFilterParsing: operators and separators inside of values are values.
func TestFilterParsing(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // dimension, operator, value
	}{
		{"browsers==Chrome", []string{"browsers", "==", "Chrome"}},
		{"browsers!=Chrome;os==iOS", []string{"browsers", "!=", "Chrome", "os", "==", "iOS"}},
		{`pages==/a\;b\\c`, []string{"pages", "==", `/a;b\c`}},
		{"pages==/a==b!=c", []string{"pages", "==", "/a==b!=c"}},
		{"cities==(unknown)", []string{"cities", "==", "null"}},
		{"sources==Direct / None", []string{"sources", "==", "null"}},
		{"sources==(unknown)", []string{"sources", "==", "null"}},
		{"pages=='; DROP TABLE events; --", nil}, // the semicolon divides, and what follows is no filter
	} {
		filters, err := parseFilters(c.text)
		var got []string
		for _, f := range filters {
			op, value := "==", "null"
			if f.operator == isNot {
				op = "!="
			}
			if f.value != nil {
				value = *f.value
			}
			got = append(got, f.dimension.name, op, value)
		}
		if !slices.Equal(got, c.want) || (err == nil) != (c.want != nil) {
			t.Errorf("%s is %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

// TestDayStarts are days whose midnight is skipped, comes twice, or which
// don't exist.
func TestDayStarts(t *testing.T) {
	for _, c := range []struct {
		zone string
		date Date
		want string // UTC
	}{
		{"UTC", Date{2026, 11, 22}, "2026-11-22T00:00:00Z"},
		{"Europe/Berlin", Date{2026, 3, 29}, "2026-03-28T23:00:00Z"},
		{"Asia/Kolkata", Date{2026, 11, 22}, "2026-11-21T18:30:00Z"},
		{"Africa/Cairo", Date{2026, 4, 24}, "2026-04-23T22:00:00Z"},      // 00:00 is skipped: the day begins at 01:00
		{"America/Havana", Date{2026, 11, 1}, "2026-11-01T04:00:00Z"},    // 00:00 comes twice: the first counts
		{"Pacific/Apia", Date{2011, 12, 30}, "2011-12-30T10:00:00Z"},     // left out: it begins when the 31st does
		{"Pacific/Apia", Date{2011, 12, 31}, "2011-12-30T10:00:00Z"},     //
		{"Pacific/Kiritimati", Date{2026, 1, 1}, "2025-12-31T10:00:00Z"}, // 14 hours ahead
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := time.UnixMicro(c.date.start(zone)).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s begins in %s at %s, want %s", c.date, c.zone, got, c.want)
		}
	}
}

// TestChartsCoverTheirRange: in every zone with strange clocks each moment of a
// range has the key of exactly one bucket, in order.
func TestChartsCoverTheirRange(t *testing.T) {
	for _, name := range []string{
		"Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "Pacific/Apia", "Asia/Kathmandu", "America/St_Johns",
	} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []Range{
			newRange(zone, Date{2026, 1, 1}, Date{2026, 12, 31}),
			newRange(zone, Date{2011, 12, 28}, Date{2012, 1, 2}),
		} {
			for _, interval := range []Interval{Hour, Day, Week, Month} {
				c := newChart(r, interval)
				next := 0
				for at := r.From; at < r.To; at += 15 * minuteMicros {
					key := keyOf(&c, at)
					if next < len(c.buckets) && c.buckets[next].key == key {
						next++
					} else if next == 0 || c.buckets[next-1].key != key {
						t.Fatalf("%s, %s: %s has the key %d, which is no bucket's turn", name, interval, time.UnixMicro(at).In(zone), key)
					}
				}
				if next != len(c.buckets) {
					t.Errorf("%s, %s: %d of %d buckets have a moment", name, interval, next, len(c.buckets))
				}
			}
		}
	}
}

// keyOf computes what the SQL of chart.sql does.
func keyOf(c *chart, at int64) int64 {
	s := c.spans[len(c.spans)-1]
	for _, span := range c.spans {
		if at < span.To {
			s = span
			break
		}
	}
	unit := (at + s.East + s.bias*c.width) / c.width
	switch c.interval {
	case Week:
		return (unit + 3) / 7
	case Month:
		d := time.UnixMicro(unit * dayMicros).UTC()
		return int64(d.Year())*12 + int64(d.Month())
	}
	return unit
}
