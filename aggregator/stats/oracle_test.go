package stats_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// oracle answers the same questions by loops over the rows.
type oracle struct {
	rows     []row
	from, to int64
	zone     *time.Location
	event    func(row) bool // event filters
	visit    func([]row) bool
}

type visit struct {
	visitor uint64 // 0 = a row without one
	rows    []row
}

func counts(r row) bool {
	return (r.Kind == "pageview" || r.Kind == "event") && (r.Verdict == nil || *r.Verdict != "bot")
}

func (o *oracle) hit(r row) bool {
	at := r.Time.UnixMicro()
	return at >= o.from && at < o.to && o.event(r)
}

// over is when a visit that began at a time ends at the latest: two hours after
// the midnight that follows.
func (o *oracle) over(began time.Time) time.Time {
	at := began.In(o.zone)
	for day := at.Day(); at.Day() == day; {
		at = at.Truncate(time.Minute).Add(time.Minute)
	}
	return at.Add(2 * time.Hour)
}

// visits are the visits with at least one selected row.
func (o *oracle) visits() []visit {
	byVisitor := map[uint64][]row{}
	var out []visit
	for _, r := range o.rows {
		switch {
		case !counts(r):
		case r.VisitorID == nil:
			out = append(out, visit{0, []row{r}})
		default:
			byVisitor[*r.VisitorID] = append(byVisitor[*r.VisitorID], r)
		}
	}
	for id, rows := range byVisitor {
		slices.SortFunc(rows, func(a, b row) int {
			return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Seq, b.Seq))
		})
		start := 0
		for i := 1; i <= len(rows); i++ {
			if i == len(rows) || rows[i].Time.Sub(rows[i-1].Time) > 30*time.Minute || !rows[i].Time.Before(o.over(rows[start].Time)) {
				out = append(out, visit{id, rows[start:i]})
				start = i
			}
		}
	}
	return slices.DeleteFunc(out, func(v visit) bool {
		return !slices.ContainsFunc(v.rows, o.hit) || !o.visit(v.rows)
	})
}

func (o *oracle) totals() stats.Totals {
	var t stats.Totals
	visitors := map[uint64]bool{}
	var bounces, views, seconds float64
	for _, v := range o.visits() {
		for _, r := range v.rows {
			if o.hit(r) && r.Kind == "pageview" {
				t.Pageviews++
			}
		}
		if v.visitor == 0 {
			continue
		}
		visitors[v.visitor] = true
		first, last := v.rows[0].Time, v.rows[len(v.rows)-1].Time
		if first.UnixMicro() < o.from || first.UnixMicro() >= o.to {
			continue
		}
		t.Visits++
		seconds += last.Sub(first).Seconds()
		if len(v.rows) == 1 && v.rows[0].Kind == "pageview" {
			bounces++
		}
		for _, r := range v.rows {
			if r.Kind == "pageview" {
				views++
			}
		}
	}
	t.Visitors = stats.Count(len(visitors))
	if t.Visitors == 0 && len(o.visits()) > 0 { // events of somebody
		t.Visitors, t.Visits = stats.Unknowable, stats.Unknowable
	}
	if n := float64(t.Visits); n > 0 {
		bounces, seconds, views = bounces/n, seconds/n, views/n
		t.BounceRate, t.VisitDuration, t.ViewsPerVisit = &bounces, &seconds, &views
	}
	return t
}

type tally struct {
	visitors  map[uint64]bool
	pageviews int64
}

// group counts selected rows by what key says of a row and its visit.
func (o *oracle) group(key func(r row, v visit) (value string, ok bool)) map[string]*tally {
	groups := map[string]*tally{}
	for _, v := range o.visits() {
		for _, r := range v.rows {
			value, ok := key(r, v)
			if !ok || !o.hit(r) {
				continue
			}
			g := groups[value]
			if g == nil {
				g = &tally{visitors: map[uint64]bool{}}
				groups[value] = g
			}
			if v.visitor != 0 {
				g.visitors[v.visitor] = true
			}
			if r.Kind == "pageview" {
				g.pageviews++
			}
		}
	}
	return groups
}

func (o *oracle) breakdown(unknown string, key func(r row, v visit) (*string, bool), limit, offset int) []stats.Row {
	rows := []stats.Row{}
	for value, g := range o.group(func(r row, v visit) (string, bool) {
		s, ok := key(r, v)
		if s == nil {
			return unknown, ok
		}
		return *s, ok
	}) {
		rows = append(rows, stats.Row{Value: value, Visitors: visitorsOf(g), Pageviews: g.pageviews})
	}
	slices.SortFunc(rows, func(a, b stats.Row) int {
		return cmp.Or(cmp.Compare(max(0, b.Visitors), max(0, a.Visitors)), cmp.Compare(b.Pageviews, a.Pageviews),
			cmp.Compare(btoi(a.Value == unknown), btoi(b.Value == unknown)), cmp.Compare(a.Value, b.Value))
	})
	rows = rows[min(offset, len(rows)):]
	return rows[:min(limit, len(rows))]
}

// visitorsOf is null for rows of which none has a visitor.
func visitorsOf(g *tally) stats.Count {
	if len(g.visitors) == 0 {
		return stats.Unknowable
	}
	return stats.Count(len(g.visitors))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// timeseries walks the range minute by minute and names each by its local hour
// or day: slow, and free of the arithmetic that it checks.
func (o *oracle) timeseries(zone *time.Location, layout string) []stats.Point {
	points := []stats.Point{}
	type span struct{ from, to int64 }
	var spans []span
	var name string
	for at := o.from; at < o.to; at += 60e6 {
		t := time.UnixMicro(at).In(zone)
		now := t.Format(layout)
		if layout != time.DateOnly { // the same hour before and after a change is two
			now += t.Format("Z07:00")
		}
		if now != name {
			name = now
			points = append(points, stats.Point{Date: t.Format(layout)})
			spans = append(spans, span{at, at})
		}
		spans[len(spans)-1].to = at + 60e6
	}
	groups := o.group(func(r row, _ visit) (string, bool) {
		at := r.Time.UnixMicro()
		for i, s := range spans {
			if at >= s.from && at < s.to {
				return fmt.Sprint(i), true
			}
		}
		return "", false
	})
	for i := range points {
		if g := groups[fmt.Sprint(i)]; g != nil {
			points[i].Visitors, points[i].Pageviews = visitorsOf(g), stats.Count(g.pageviews)
		}
	}
	return points
}

// randomRows makes a few days of visits around a change of the clocks, with
// ties, gaps of exactly the limit, rows of nobody, bots and other kinds.
func randomRows(r *rand.Rand, from time.Time, days int) []row {
	pick := func(list ...string) *string { return some(list[r.IntN(len(list))]) }
	var rows []row
	seq := uint64(0)
	for range 60 + r.IntN(120) {
		at := from.Add(time.Duration(r.Int64N(int64(days)*24*60)) * time.Minute)
		visitor := some(uint64(r.IntN(25))) // 0 = nobody
		browser, country := pick("", "Chrome", "Firefox", "Safari"), pick("", "DE", "US")
		for range 1 + r.IntN(5) {
			seq++
			v := row{
				SiteID: site, Seq: seq, Time: at, VisitorID: visitor, Browser: browser, CountryCode: country,
				Kind:     *pick("pageview", "pageview", "pageview", "event", "error", "request"),
				Pathname: pick("/", "/a", "/b/c", "/ä'\";--"), Source: pick("", "", "Google", "Bing"),
				OS: pick("", "Windows", "iOS"), DeviceType: pick("desktop", "mobile"), Region: pick("", "BE"),
				UTMCampaign: pick("", "", "spring"), Verdict: pick("", "person", "likely", "likely", "bot"),
			}
			if r.IntN(3) > 0 { // many pages, few with many views
				v.Pathname = some(fmt.Sprintf("/p/%d", r.IntN(1+r.IntN(80))))
			}
			if r.IntN(10) == 0 { // a visitor may change between rows
				v.Browser = pick("", "Chrome", "Edge")
			}
			rows = append(rows, v)
			at = at.Add([]time.Duration{0, time.Second, 29 * time.Minute, 30 * time.Minute, 30*time.Minute + time.Microsecond, 3 * time.Hour}[r.IntN(6)])
		}
	}
	r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

func all(row) bool                { return true }
func whole([]row) bool            { return true }
func eq(a *string, b string) bool { return a != nil && *a == b }

// TestOracle compares every answer with loops over random rows.
func TestOracle(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana"}
	filters := []struct {
		text  string
		event func(row) bool
		visit func([]row) bool
	}{
		{"", all, whole},
		{"", all, whole},
		{"", all, whole},
		{"", all, whole},
		{"browsers==Chrome", func(r row) bool { return eq(r.Browser, "Chrome") }, whole},
		{"countries!=US", func(r row) bool { return !eq(r.CountryCode, "US") }, whole},
		{"countries==(unknown);pages!=/a", func(r row) bool { return r.CountryCode == nil && !eq(r.Pathname, "/a") }, whole},
		{"sources==Google", all, func(v []row) bool { return eq(v[0].Source, "Google") }},
		{"sources!=Direct / None;os==iOS", func(r row) bool { return eq(r.OS, "iOS") }, func(v []row) bool { return v[0].Source != nil }},
		{"entry-pages==/a", all, func(v []row) bool { return v[0].VisitorID != nil && eq(entry(visit{1, v}), "/a") }},
	}
	for round := range 40 {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		zone, err := time.LoadLocation(zones[r.IntN(len(zones))])
		if err != nil {
			t.Fatal(err)
		}
		// Around the changes of the clocks in spring and in autumn.
		first := time.Date(2026, []time.Month{3, 4, 10, 11}[r.IntN(4)], 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
		days := 1 + r.IntN(9)
		rows := randomRows(r, first.Add(-24*time.Hour), days+2)
		dir := t.TempDir()
		e := open(t, dir)
		var files []lake.File
		for i, part := 0, rows; len(part) > 0; i++ {
			n := min(1+r.IntN(100), len(part))
			files = append(files, write(t, dir, fmt.Sprintf("%d.parquet", i), part[:n]))
			part = part[n:]
			if round%4 == 3 { // written before facts were counted: everything is resolved
				files[i].Facts = nil
			}
		}
		f := filters[r.IntN(len(filters))]
		q, err := stats.Parse(stats.Site{ID: site, Zone: zone}, url.Values{
			"start_date": {first.Format(time.DateOnly)}, "end_date": {first.AddDate(0, 0, days-1).Format(time.DateOnly)},
			"filters": {f.text}, "limit": {fmt.Sprint(1 + r.IntN(4))}, "offset": {fmt.Sprint(r.IntN(2))},
		}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		o := &oracle{rows: rows, from: q.Range.From, to: q.Range.To, zone: zone, event: f.event, visit: f.visit}
		name := fmt.Sprintf("round %d: %s, %s, %d days, filters %q", round, zone, first.Format(time.DateOnly), days, f.text)
		compareAll(t, name, e, files, q, o, zone)
	}
}

func compareAll(t *testing.T, name string, e *stats.Engine, files []lake.File, q stats.Query, o *oracle, zone *time.Location) {
	t.Helper()
	ctx := context.Background()
	check := func(what string, got, want any, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %s: %v", name, what, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %s:\n got %s\nwant %s", name, what, show(got), show(want))
		}
	}
	main, err := e.Main(ctx, files, q)
	check("main", round(main.Totals), round(o.totals()), err)
	for interval, layout := range map[stats.Interval]string{stats.Hour: "2006-01-02T15:00:00", stats.Day: time.DateOnly} {
		q.Interval = interval
		series, err := e.Timeseries(ctx, files, q)
		check(string(interval), series, o.timeseries(zone, layout), err)
	}
	for dim, key := range oracleKeys {
		d, err := stats.ParseDimension("", dim)
		if err != nil {
			t.Fatal(err)
		}
		unknown := stats.Unknown
		if dim == "sources" {
			unknown = "Direct / None"
		}
		rows, err := e.Breakdown(ctx, files, q, d)
		check(dim, rows, o.breakdown(unknown, key, q.Limit, q.Offset), err)
	}
}

var oracleKeys = map[string]func(r row, v visit) (*string, bool){
	"pages":         func(r row, _ visit) (*string, bool) { return r.Pathname, r.Kind == "pageview" },
	"browsers":      func(r row, _ visit) (*string, bool) { return r.Browser, true },
	"os":            func(r row, _ visit) (*string, bool) { return r.OS, true },
	"devices":       func(r row, _ visit) (*string, bool) { return r.DeviceType, true },
	"countries":     func(r row, _ visit) (*string, bool) { return r.CountryCode, true },
	"sources":       func(_ row, v visit) (*string, bool) { return v.rows[0].Source, true },
	"utm-campaigns": func(_ row, v visit) (*string, bool) { return v.rows[0].UTMCampaign, true },
	"entry-pages":   func(_ row, v visit) (*string, bool) { return entry(v), true },
	"exit-pages": func(_ row, v visit) (*string, bool) {
		v.rows = slices.Clone(v.rows)
		slices.Reverse(v.rows)
		return entry(v), true
	},
}

// entry is the path of the first pageview, of a visitor.
func entry(v visit) *string {
	for _, r := range v.rows {
		if v.visitor == 0 {
			break
		}
		if r.Kind == "pageview" {
			return r.Pathname
		}
	}
	return nil
}

// round makes means comparable: sums in another order differ in the last bits.
func round(t stats.Totals) string {
	f := func(v *float64) string {
		if v == nil {
			return "null"
		}
		return fmt.Sprintf("%.6f", *v)
	}
	return fmt.Sprintf("visitors %s pageviews %d visits %s bounce %s duration %s views %s",
		t.Visitors, t.Pageviews, t.Visits, f(t.BounceRate), f(t.VisitDuration), f(t.ViewsPerVisit))
}

func show(v any) string { return fmt.Sprintf("%+v", v) }
