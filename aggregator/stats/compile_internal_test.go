package stats

import (
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
)

// compileAll is the SQL of every question that a query can be.
func compileAll(q Query) []statement {
	list := []statement{compileTotals(q, q.Range), compileCount(q), compileOverview(&q, q.Range, true), compileOverview(&q, q.Range, false)}
	c := newChart(q.Range, q.Interval)
	list = append(list, compileTimeseries(q, &c))
	list = append(list, compileFeeds(&q), compileProperties(&q), compileVisitors(&q),
		compileRequestTable(&q, answered, "pathname, count(*) AS n, "+countStatuses, "n"))
	for _, d := range dimensions {
		list = append(list, compileBreakdown(q, d))
		if !d.ofVisits() {
			var values []string
			q.Filter.each(func(f *comparison) {
				for _, v := range f.values {
					if v != nil {
						values = append(values, *v)
					}
				}
			})
			list = append(list, compileCandidates(q, d), compileVisitorsOf(q, d, values, false), compileVisitorsOf(q, d, values, true))
		}
	}
	return list
}

// compileAsked is the SQL of a question in JSON.
func compileAsked(q Query) []statement { return []statement{compileAsk(&q, q.Range)} }

// tame is the filter with other values.
func (f *Filter) tame() *Filter {
	if f == nil {
		return nil
	}
	out := &Filter{join: f.join, goal: f.goal}
	for _, below := range f.of {
		out.of = append(out.of, below.tame())
	}
	if f.comparison != nil {
		c := *f.comparison
		c.values = slices.Clone(c.values)
		for i := range c.values {
			if c.values[i] != nil {
				value := "1"
				c.values[i] = &value
			}
		}
		if c.dimension.key != "" {
			d := *c.dimension
			d.key = "x"
			c.dimension = &d
		}
		out.comparison = &c
	}
	return out
}

// same fails if the values of a question change its SQL, or if arguments and
// placeholders don't belong together.
func same(t *testing.T, got, want []statement) {
	t.Helper()
	for i, s := range got {
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
}

// FuzzCompile: SQL is the same whatever stands in the values of a question, so
// nothing of them is in it, and it has an argument for each placeholder.
func FuzzCompile(f *testing.F) {
	f.Add("browsers==Chrome;countries!=US", "30d", "", "", "", "10")
	f.Add("pages==/a' OR 1=1 --;sources!=(unknown)", "", "2026-03-01", "2026-03-31", "hour", "1")
	f.Add(`cities==a\;b\\;os!="$1"`, "12mo", "", "", "month", "1000")
	f.Add("entry-pages==\x00\xff\u202e;exit-pages!=$2;utm-campaigns==?", "all", "", "", "week", "")
	f.Add(`[["or",[["is","event:page",["/a"]],["not",["has_done",["matches","event:props:it's",["^a$"]]]]]]]`, "7d", "", "", "", "")
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
		plain.Filter = q.Filter.tame()
		plain.Limit = 1
		same(t, compileAll(q), compileAll(plain))
	})
}

// FuzzCompileJSON is the same for questions in JSON, and DuckDB takes them all.
func FuzzCompileJSON(f *testing.F) {
	for _, text := range askedSeeds {
		f.Add(text)
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		f.Fatal(err)
	}
	e := newTestEngine(f)
	goals := []Goal{{Name: "it's \"$1", Event: "signup", Props: map[string]string{"plan'": "pro"}}, {Name: "b", Page: "/thanks/**"}}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseJSON(Site{ID: "s", Zone: zone, Goals: goals}, []byte(text), time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
		if err != nil {
			var invalid *InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		plain := q
		plain.Filter = q.Filter.tame()
		plain.Limit, plain.Offset = 1, 0
		same(t, compileAsked(q), compileAsked(plain))
		if q.Offset = 0; q.Range.days() > 400 {
			return
		}
		if _, err := e.Ask(t.Context(), nil, q); err != nil {
			t.Fatalf("%s: %v\n%s", text, err, compileAsked(q)[0].text)
		}
	})
}

// askedSeeds are questions of all kinds.
var askedSeeds = []string{
	`{"site_id":"s","metrics":["visitors","visits","pageviews","events","bounce_rate","visit_duration","views_per_visit"],"date_range":"7d"}`,
	`{"site_id":"s","metrics":["visitors","exit_rate","bounce_rate","time_on_page","scroll_depth"],"date_range":["2026-01-01","2026-01-31"],"dimensions":["event:page"],"order_by":[["bounce_rate","asc"]]}`,
	`{"site_id":"s","metrics":["visitors","percentage","visits"],"date_range":"30d","dimensions":["visit:source","visit:country"],"include":{"total_rows":true,"comparisons":{"mode":"previous_period"}}}`,
	`{"site_id":"s","metrics":["pageviews","visits"],"date_range":"7d","dimensions":["time:hour","visit:entry_page"],"include":{"time_labels":true}}`,
	`{"site_id":"s","metrics":["visitors","conversion_rate","group_conversion_rate"],"date_range":"7d","dimensions":["event:goal","visit:source"]}`,
	`{"site_id":"s","metrics":["visitors","conversion_rate","total_revenue","average_revenue","transactions","paying_visitors"],"date_range":"7d","filters":[["is","event:goal",["b"]],["contains","visit:source",["oo"],{"case_sensitive":false}]]}`,
	`{"site_id":"s","metrics":["requests","status_2xx","status_4xx","bytes","ttfb_p50","ttfb_p99","cache_hit_rate"],"date_range":"day","dimensions":["event:page"],"filters":[["is","visit:source",["Google",null]]]}`,
	`{"site_id":"s","metrics":["lcp_p75","cls_p75","inp_p75","fcp_p75","nav_ttfb_p75"],"date_range":"day","dimensions":["visit:device"]}`,
	`{"site_id":"s","metrics":["bot_requests"],"date_range":"day","dimensions":["event:bot"]}`,
	`{"site_id":"s","metrics":["visitors","events"],"date_range":"day","dimensions":["event:name","event:props:plan"],"filters":[["or",[["has_done",["is","event:page",["/a"]]],["has_not_done",["matches","event:page",["^/b"]]]]],["not",["matches_wildcard","event:page",["/x/**","/y*"]]]]}`,
	`{"site_id":"s","metrics":["visitors"],"date_range":["2026-03-01T10:00:00+01:00","2026-03-02T10:00:00+01:00"],"dimensions":["time"],"filters":[[">=","event:props:n",[3]]]}`,
	`{"site_id":"s","metrics":["requests","visitors"],"date_range":"day","dimensions":["event:status"]}`,
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
		filter, err := parseFilters(c.text)
		var got []string
		filter.each(func(f *comparison) {
			op, value := "==", "null"
			if f.negated {
				op = "!="
			}
			if f.values[0] != nil {
				value = *f.values[0]
			}
			got = append(got, f.dimension.name, op, value)
		})
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

// newTestEngine is an engine over no files.
func newTestEngine(t testing.TB) *Engine {
	dir := t.TempDir()
	db, err := duck.Open(duck.Config{Lake: filepath.Join(dir, "lake"), Temp: filepath.Join(dir, "tmp")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return NewEngine(db)
}
