package stats_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/behavior"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// crowd makes the events of some hundred visitors, who do few different things at
// few different times: events of one moment and events that meet several
// conditions are common.
func crowd(r *rand.Rand, from time.Time, days int) []row {
	pick := func(list ...string) *string { return some(list[r.IntN(len(list))]) }
	var rows []row
	seq := uint64(0)
	for visitor := range uint64(120) {
		at := from.Add(time.Duration(r.Int64N(int64(days)*24*60)) * time.Minute)
		browser, source := pick("Chrome", "Firefox", ""), pick("", "Google", "Bing")
		for range r.IntN(14) {
			seq++
			v := row{
				SiteID: site, Seq: seq, Time: at, VisitorID: some(visitor * 0x9e3779b97f4a7c15), Browser: browser, Source: source, Hostname: pick("a.org", "b.org"),
				Kind: *pick("pageview", "pageview", "pageview", "event", "request"), Pathname: pick("/a", "/a/x", "/b", "/c", "/ä'\";--", ""),
				Verdict: pick("", "person", "likely", "likely", "likely", "bot"),
			}
			if v.Kind == "event" {
				v.Name = pick("signup", "buy")
			}
			source = nil
			rows = append(rows, v)
			at = at.Add([]time.Duration{0, 0, time.Second, 5 * time.Second, 29 * time.Minute, 31 * time.Minute, 20 * time.Hour}[r.IntN(7)])
		}
	}
	r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

// conditions are some, with what they mean.
var conditions = map[string]func(row) bool{
	"page:/a":        func(r row) bool { return view(r) && eq(r.Pathname, "/a") },
	"page:/a**":      func(r row) bool { return view(r) && r.Pathname != nil && strings.HasPrefix(*r.Pathname, "/a") },
	"page:/*":        func(r row) bool { return view(r) && r.Pathname != nil && strings.Count(*r.Pathname, "/") == 1 },
	"page:/b":        func(r row) bool { return view(r) && eq(r.Pathname, "/b") },
	`page:/ä'";--`:   func(r row) bool { return view(r) && eq(r.Pathname, `/ä'";--`) },
	"event:signup":   func(r row) bool { return r.Kind == "event" && eq(r.Name, "signup") },
	"event:*":        func(r row) bool { return r.Kind == "event" },
	"hostname:a.org": func(r row) bool { return eq(r.Hostname, "a.org") },
}

func view(r row) bool { return r.Kind == "pageview" }

// someConditions picks n, which may come twice.
func someConditions(r *rand.Rand, n int) (text string, met []func(row) bool) {
	var names []string
	for name := range conditions {
		names = append(names, name)
	}
	slices.Sort(names)
	var steps []string
	for range n {
		name := names[r.IntN(len(names))]
		steps = append(steps, name)
		met = append(met, conditions[name])
	}
	return strings.Join(steps, ","), met
}

// trails are the selected rows of each visitor in order.
func (o *oracle) trails() map[uint64][]row {
	trails := map[uint64][]row{}
	for _, v := range o.visits() {
		for _, r := range v.rows {
			if v.visitor != 0 && o.hit(r) {
				trails[v.visitor] = append(trails[v.visitor], r)
			}
		}
	}
	for _, rows := range trails {
		slices.SortFunc(rows, inOrder)
	}
	return trails
}

func inOrder(a, b row) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Seq, b.Seq)) }

// masked are rows as the folds of package behavior take them.
func masked(rows []row, met []func(row) bool) []behavior.Event {
	var events []behavior.Event
	for _, r := range rows {
		e := behavior.Event{Time: r.Time.UnixMicro()}
		for i, is := range met {
			if is(r) {
				e.Mask |= 1 << i
			}
		}
		events = append(events, e)
	}
	behavior.Sort(events)
	return events
}

// farthest walks from every event of the first step on: slow, and nothing like the
// fold that it checks.
func farthest(rows []row, met []func(row) bool, window time.Duration) int {
	best := 0
	for _, first := range rows {
		if !met[0](first) {
			continue
		}
		at, level := first.Time, 1
		for level < len(met) {
			next := slices.IndexFunc(rows, func(r row) bool {
				return !r.Time.Before(at) && r.Time.Sub(first.Time) <= window && met[level](r)
			})
			if next < 0 {
				break
			}
			at = rows[next].Time
			level++
		}
		best = max(best, level)
	}
	return best
}

// TestBehaviourOracle compares answers about behaviour with loops over random rows.
func TestBehaviourOracle(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	zones := []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"}
	filters := []struct {
		text  string
		event func(row) bool
		visit func([]row) bool
	}{
		{"", all, whole},
		{"", all, whole},
		{"browsers==Chrome", func(r row) bool { return eq(r.Browser, "Chrome") }, whole},
		{"sources==Google", all, func(v []row) bool { return eq(v[0].Source, "Google") }},
	}
	for round := range 10 {
		r := rand.New(rand.NewPCG(seed, uint64(round)))
		zone, err := time.LoadLocation(zones[r.IntN(len(zones))])
		if err != nil {
			t.Fatal(err)
		}
		first := time.Date(2026, []time.Month{3, 4, 10}[r.IntN(3)], 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
		days := 1 + r.IntN(6)
		rows := crowd(r, first.Add(-24*time.Hour), days+2)
		dir := t.TempDir()
		e := open(t, dir)
		var files []lake.File
		for i, part := 0, rows; len(part) > 0; i++ {
			n := min(1+r.IntN(400), len(part))
			files = append(files, write(t, dir, fmt.Sprintf("%d.parquet", i), part[:n]))
			files[i].Rows = int64(n)
			part = part[n:]
		}
		restore := stats.SetTrailRows([]int64{1 << 40, 400}[r.IntN(2)]) // all visitors at once, or a few at a time
		f := filters[r.IntN(len(filters))]
		p := url.Values{
			"start_date": {first.Format(time.DateOnly)}, "end_date": {first.AddDate(0, 0, days-1).Format(time.DateOnly)},
			"filters": {f.text}, "limit": {"1000"},
		}
		b := &behaviour{
			T: t, r: r, e: e, files: files, p: p, site: stats.Site{ID: site, Zone: zone},
			name: fmt.Sprintf("round %d: %s, %s, %d days, filters %q", round, zone, first.Format(time.DateOnly), days, f.text),
		}
		q, err := stats.Parse(b.site, p, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		b.o = &oracle{rows: rows, from: q.Range.From, to: q.Range.To, zone: zone, event: f.event, visit: f.visit}
		b.visits, b.trails = b.o.visits(), b.o.trails()
		b.funnels()
		b.sequences()
		b.flows()
		b.journeys()
		b.retention(zone)
		b.attribution()
		restore()
	}
}

// behaviour is one round.
type behaviour struct {
	*testing.T
	r     *rand.Rand
	e     *stats.Engine
	files []lake.File
	o     *oracle
	p     url.Values
	site  stats.Site
	name  string

	visits []visit
	trails map[uint64][]row // in order
}

func (b *behaviour) with(pairs ...string) url.Values {
	p := url.Values{}
	for k, v := range b.p {
		p[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		p[pairs[i]] = []string{pairs[i+1]}
	}
	return p
}

// check compares answers as JSON.
func (b *behaviour) check(what string, got, want any, err error) {
	b.Helper()
	if err != nil {
		b.Fatalf("%s: %s: %v", b.name, what, err)
	}
	text := func(v any) string {
		s, err := json.Marshal(v)
		if err != nil {
			b.Fatal(err)
		}
		return string(s)
	}
	if text(got) != text(want) {
		b.Fatalf("%s: %s:\n got %s\nwant %s", b.name, what, text(got), text(want))
	}
}

func (b *behaviour) funnels() {
	for _, modes := range []string{"", "", "strict_order", "strict_deduplication,strict_increase", "strict_once", "strict_order,allow_reentry"} {
		text, met := someConditions(b.r, 2+b.r.IntN(3))
		window := []time.Duration{5 * time.Second, time.Hour, 30 * time.Hour}[b.r.IntN(3)]
		p := b.with("steps", text, "window", fmt.Sprintf("%d seconds", int(window.Seconds())), "modes", modes)
		q, err := stats.ParseFunnel(b.site, p, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		m, err := behavior.ParseModes(modes)
		if err != nil {
			b.Fatal(err)
		}
		fold := behavior.Funnel{Steps: len(met), Window: window.Microseconds(), Modes: m}
		want := make([]int64, len(met))
		parts := map[string]int64{}
		for _, rows := range b.trails {
			level := fold.Level(masked(rows, met))
			if modes == "" {
				level = farthest(rows, met, window)
			}
			for k := range level {
				want[k]++
			}
			if start := startOf(rows, met); start != nil {
				parts[label(start.Browser)] += int64(level)
			}
		}
		steps, _, err := b.e.Funnel(context.Background(), b.files, &q)
		var got []int64
		for _, s := range steps {
			got = append(got, max(0, int64(s.Visitors)))
		}
		b.check("funnel of "+text+" "+modes, got, want, err)

		p.Set("breakdown", "browsers")
		if q, err = stats.ParseFunnel(b.site, p, time.Now()); err != nil {
			b.Fatal(err)
		}
		list, _, err := b.e.FunnelParts(context.Background(), b.files, &q)
		sums := map[string]int64{}
		for _, part := range list {
			for _, s := range part.Steps {
				sums[part.Value] += int64(s.Visitors)
			}
		}
		b.check("funnel by browser of "+text+" "+modes, sums, parts, err)
	}
}

// startOf is the first event of the first step, of those at one moment the one
// that meets least as a number of bits; nil where what comes there has several
// values.
func startOf(rows []row, met []func(row) bool) *row {
	for i := range rows {
		if met[0](rows[i]) {
			return &rows[i] // a visitor of crowd has one browser
		}
	}
	return nil
}

func label(value *string) string {
	if value == nil {
		return stats.Unknown
	}
	return *value
}

func (b *behaviour) sequences() {
	for range 3 {
		text, met := someConditions(b.r, 3)
		pattern := []string{"", "(?1)(?2)", "(?1).*(?2)(?t<=5)(?3)", "(?1)(?t>=1).(?3)", "(?2).*(?1)"}[b.r.IntN(5)]
		q, err := stats.ParseSequence(b.site, b.with("steps", text, "pattern", pattern), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		if pattern == "" {
			pattern = "(?1).*(?2).*(?3)"
		}
		parsed, err := behavior.ParsePattern(pattern, 3)
		if err != nil {
			b.Fatal(err)
		}
		look := behavior.NewSequence(parsed)
		var want [3]int64
		reached := make([]int64, len(parsed.Conditions()))
		for _, rows := range b.trails {
			events := masked(rows, met)
			n := look.Count(events)
			want[0]++
			want[2] += int64(n)
			if n > 0 {
				want[1]++
			}
			for i := range look.Times(events) {
				reached[i]++
			}
		}
		a, err := b.e.Sequence(context.Background(), b.files, &q)
		if err != nil {
			b.Fatal(err)
		}
		b.check("sequence "+pattern+" of "+text, [3]int64{max(0, int64(a.Total)), max(0, int64(a.Converting)), a.Matches}, want, err)
		for i, event := range a.Events {
			b.check("event "+fmt.Sprint(i)+" of "+pattern+" of "+text, event.Visitors, reached[i], nil)
		}
	}
}

func (b *behaviour) flows() {
	for _, direction := range []string{"forward", "backward"} {
		page := []string{"/a", "/b", "/a**"}[b.r.IntN(3)]
		base := []string{"first_match", "last_match"}[b.r.IntN(2)]
		step := 1
		if direction == "backward" {
			step = -1
		}
		beside := map[string]int64{}
		ways := map[string]int64{}
		total := int64(0)
		for _, rows := range b.trails {
			rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !view(r) })
			at := -1
			for i, r := range rows {
				if conditions["page:"+page](r) && (at < 0 || base == "last_match") {
					at = i
				}
			}
			if at < 0 {
				continue
			}
			total++
			way := ""
			for n := 1; n <= 3; n++ {
				if i := at + n*step; i >= 0 && i < len(rows) {
					way += " " + label(rows[i].Pathname)
					ways[way]++
				}
			}
			if i := at + step; i >= 0 && i < len(rows) {
				beside[label(rows[i].Pathname)]++
			}
		}
		ask := func(depth string) any {
			q, err := stats.ParseFlow(b.site, b.with("page", page, "direction", direction, "base", base, "depth", depth, "limit", "50"), time.Now())
			if err != nil {
				b.Fatal(err)
			}
			a, _, err := b.e.AskFlow(context.Background(), b.files, &q)
			if err != nil {
				b.Fatal(err)
			}
			return a
		}
		got := map[string]int64{}
		for _, r := range ask("1").([]stats.FlowRow) {
			got[r.Page] = int64(r.Visitors)
		}
		b.check("flow "+direction+" "+base+" of "+page, got, beside, nil)
		tree := ask("3").(*stats.FlowNode)
		found := map[string]int64{}
		var walk func(n *stats.FlowNode, way string, depth int)
		walk = func(n *stats.FlowNode, way string, depth int) {
			on := n.Ended + n.Other
			for _, child := range n.Children {
				found[way+" "+child.Page] = int64(child.Visitors)
				on += int64(child.Visitors)
				walk(child, way+" "+child.Page, depth+1)
			}
			if depth < 3 && on != max(0, int64(n.Visitors)) {
				b.Errorf("%s: of %d visitors of%s %d went on or did not", b.name, n.Visitors, way, on)
			}
		}
		walk(tree, "", 0)
		b.check("tree "+direction+" "+base+" of "+page, found, ways, nil)
		b.check("root "+direction+" "+base+" of "+page, max(0, int64(tree.Visitors)), total, nil)
	}
}

func (b *behaviour) journeys() {
	q, err := stats.ParseJourneys(b.site, b.with("length", "3"), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	want := map[string]int64{}
	for _, v := range b.visits {
		began := v.rows[0].Time.UnixMicro()
		if v.visitor == 0 || began < b.o.from || began >= b.o.to {
			continue
		}
		var way []string
		for _, r := range v.rows {
			if page := label(r.Pathname); view(r) && (len(way) == 0 || way[len(way)-1] != page) {
				way = append(way, page)
			}
		}
		if len(way) > 3 {
			way = append(way[:3], "…")
		}
		if len(way) > 0 {
			want[strings.Join(way, " ")]++
		}
	}
	a, err := b.e.Journeys(context.Background(), b.files, &q)
	if err != nil {
		b.Fatal(err)
	}
	got := map[string]int64{}
	sum := int64(0)
	for _, j := range a.Journeys {
		way := strings.Join(j.Pages, " ")
		if j.Continues {
			way += " …"
		}
		got[way] = j.Visits
		sum += j.Visits
	}
	b.check("journeys", got, want, nil)
	if sum != max(0, int64(a.Visits)) || a.Other != 0 {
		b.Errorf("%s: %d visits are %d, and %d others", b.name, a.Visits, sum, a.Other)
	}
}

func (b *behaviour) retention(zone *time.Location) {
	start, again := "page:/a", "hostname:a.org"
	last := time.UnixMicro(b.o.to - 1).In(zone)
	p := url.Values{"period": {"day"}, "weeks": {"4"}, "end_date": {last.Format(time.DateOnly)}, "start": {start}, "return": {again}, "filters": b.p["filters"]}
	q, err := stats.ParseRetention(b.site, p, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	o := *b.o
	o.from, o.to = q.Range.From, q.Range.To
	day := func(r row) int {
		y, m, d := r.Time.In(zone).Date()
		return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	}
	y, m, d := last.Date()
	from := int(time.Date(y, m, d-3, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	var sizes [4]int64
	var retained [4][4]int64
	for _, rows := range o.trails() {
		cohort := -1
		for _, r := range rows {
			if conditions[start](r) {
				cohort = day(r) - from
				break
			}
		}
		if cohort < 0 {
			continue
		}
		sizes[cohort]++
		seen := map[int]bool{}
		for _, r := range rows {
			if conditions[again](r) && day(r)-from >= cohort {
				seen[day(r)-from-cohort] = true
			}
		}
		for k := range seen {
			retained[cohort][k]++
		}
	}
	a, err := b.e.Retention(context.Background(), b.files, &q)
	if err != nil {
		b.Fatal(err)
	}
	var gotSizes [4]int64
	var got [4][4]int64
	for i, c := range a.Cohorts {
		gotSizes[i] = max(0, int64(c.Size))
		for k, n := range c.Retained {
			got[i][k] = max(0, int64(n))
		}
	}
	b.check("sizes of cohorts", gotSizes, sizes, nil)
	b.check("retained", got, retained, nil)
}

func (b *behaviour) attribution() {
	lookback := []time.Duration{time.Hour, 48 * time.Hour}[b.r.IntN(2)]
	q, err := stats.ParseAttribution(b.site, b.with("conversion", "event:*", "lookback", fmt.Sprintf("%d hours", int(lookback.Hours()))), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	// All visits, of which those with a selected conversion are asked about.
	every := *b.o
	every.from, every.event, every.visit = every.from-(lookback+48*time.Hour).Microseconds(), all, whole
	converted := map[string]bool{}
	for _, v := range b.visits {
		if v.visitor != 0 && slices.ContainsFunc(v.rows, func(r row) bool { return b.o.hit(r) && conditions["event:*"](r) }) {
			converted[fmt.Sprint(v.visitor, v.rows[len(v.rows)-1].Seq)] = true
		}
	}
	visits := every.visits()
	slices.SortFunc(visits, func(a, b visit) int { return a.rows[0].Time.Compare(b.rows[0].Time) })
	want := map[string][3]int64{}
	add := func(v visit, which int) {
		name := "Direct / None"
		if s := v.rows[0].Source; s != nil {
			name = *s
		}
		n := want[name]
		n[which]++
		want[name] = n
	}
	for _, v := range visits {
		if !converted[fmt.Sprint(v.visitor, v.rows[len(v.rows)-1].Seq)] {
			continue
		}
		known := visit{rows: []row{{}}}
		found := false
		for _, before := range visits {
			age := v.rows[0].Time.Sub(before.rows[0].Time)
			if before.visitor != v.visitor || age < 0 || age > lookback {
				continue
			}
			if !found {
				add(before, 0)
				found = true
			}
			if before.rows[0].Source != nil {
				known = before
			}
		}
		add(v, 1)
		add(known, 2)
	}
	a, err := b.e.Attribution(context.Background(), b.files, &q)
	if err != nil {
		b.Fatal(err)
	}
	got := map[string][3]int64{}
	for _, row := range a.Rows {
		got[row.Value] = [3]int64{row.FirstTouch, row.LastTouch, row.LastKnownTouch}
	}
	b.check("attribution", got, want, nil)
}
