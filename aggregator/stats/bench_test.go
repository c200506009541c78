package stats_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/internal/cpu"
	"github.com/eider-analytics/eider/shared"
)

const (
	benchEvents = 1_000_000
	benchDays   = 30
)

var benchStart = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC) // a change of the clocks lies in the range

// traffic makes the events of a site with identities of a day: visits of one
// to a dozen pages, few pages with most of the views, few browsers, most
// visits without a source.
func traffic(seed uint64) []shared.Event {
	r := rand.New(rand.NewPCG(seed, 1))
	skewed := func(n int, power float64) int {
		x := r.Float64()
		for p := power; p > 1; p-- {
			x *= r.Float64()
		}
		return int(x * float64(n))
	}
	browsers := []string{"Chrome", "Safari", "Firefox", "Edge", "Samsung Internet", "Opera", ""}
	systems := []string{"Windows", "iOS", "Android", "macOS", "Linux", ""}
	devices := []string{"desktop", "mobile", "tablet"}
	countries := []string{"DE", "US", "FR", "GB", "IN", "BR", "NL", "AT", "CH", "PL", "SE", "ES", "IT", "JP", "CA", ""}
	named := []string{"Google", "Bing", "DuckDuckGo", "Hacker News", "Reddit", "GitHub", "ChatGPT", "newsletter"}
	events := make([]shared.Event, 0, benchEvents)
	for len(events) < benchEvents {
		day := r.IntN(benchDays)
		person := r.IntN(400_000) // may come again, with another identity on another day
		base := shared.Event{
			SiteID: site, Hostname: "example.com", Origin: shared.OriginEdge, VisitorID: identity(person, day),
			Browser: browsers[skewed(len(browsers), 2)], OS: systems[skewed(len(systems), 2)],
			DeviceType: devices[skewed(len(devices), 2)], CountryCode: countries[skewed(len(countries), 2)],
			Method: "GET", Protocol: "HTTP/2.0", Status: shared.Some[int64](200), ContentType: "text/html",
		}
		at := benchStart.Add(time.Duration(day)*24*time.Hour + time.Duration(r.Int64N(int64(22*time.Hour))))
		for i := range 1 + skewed(12, 2) {
			e := base
			e.Kind, e.Verdict = shared.KindPageview, shared.VerdictLikely
			if r.IntN(2) == 0 {
				e.Verdict = shared.VerdictPerson
			}
			if r.IntN(30) == 0 {
				e.Kind, e.Name = shared.KindEvent, "signup"
			}
			e.Pathname = fmt.Sprintf("/articles/%d", skewed(5000, 4))
			if i == 0 && r.IntN(2) == 0 {
				if e.Source = named[skewed(len(named), 2)]; r.IntN(5) == 0 {
					e.Source = fmt.Sprintf("site%d.example", r.IntN(400))
				}
			}
			e.Time, e.ReceivedAt = at.UnixMicro(), at.UnixMicro()
			e.BytesSent, e.TTFBUS = shared.Some(int64(1000+r.IntN(90_000))), shared.Some(int64(500+r.IntN(50_000)))
			events = append(events, e)
			at = at.Add(time.Duration(5+r.IntN(300)) * time.Second)
			if r.IntN(20) == 0 {
				at = at.Add(40 * time.Minute)
			}
		}
	}
	events = events[:benchEvents]
	slices.SortFunc(events, func(a, b shared.Event) int { return cmp.Compare(a.Time, b.Time) })
	for i := range events {
		events[i].Seq = uint64(i + 1)
	}
	return events
}

// completed adds to the traffic what a site with the script has: view ids, a
// beacon's row for three views of five, and evidence of nearly every visitor.
func completed(events []shared.Event) []shared.Event {
	r := rand.New(rand.NewPCG(8, 1))
	proved := map[uint64]bool{}
	all := make([]shared.Event, 0, 2*len(events))
	for _, e := range events {
		if e.Kind != shared.KindPageview {
			all = append(all, e)
			continue
		}
		e.Verdict, e.ViewID = shared.VerdictLikely, r.Uint64()|1
		all = append(all, e)
		if !proved[e.VisitorID] && r.IntN(20) > 0 {
			proof := e
			proof.Kind, proof.Name, proof.ViewID, proof.Time = shared.KindCompletion, shared.CompletionEvidence, 0, e.Time+200_000
			all = append(all, proof)
		}
		proved[e.VisitorID] = true
		if r.IntN(5) < 3 {
			b := e
			b.Origin, b.LoadID, b.Time, b.ScreenSize = shared.OriginBeacon, r.Uint64()|1, e.Time+700_000, "1440x900"
			b.DedupeKey = fmt.Sprintf("%016x-0", b.LoadID)
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b shared.Event) int { return cmp.Compare(a.Time, b.Time) })
	for i := range all {
		all[i].Seq = uint64(i + 1)
	}
	return all
}

// identity is a hash as visitor ids are: its bits carry no order.
func identity(person, day int) uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, [2]int64{int64(person), int64(day)})
	return max(h.Sum64(), 1)
}

// benchLake is a lake of the traffic, written by the lake's own writer. It is
// made once and kept in the system's temporary directory.
func benchLake(b *testing.B, script bool) []lake.File {
	b.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("eider-bench-overview-%d-%d-facts-%t", lake.Schema, benchEvents, script))
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err != nil {
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
	}
	s, err := state.Open(filepath.Join(dir, "state"), zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	l, err := lake.Open(lake.Config{Dir: filepath.Join(dir, "lake"), State: s})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.Cleanup(func() {
		_ = l.Close(ctx)
		_ = s.Close()
	})
	if _, err := os.Stat(done); err != nil {
		edge, pos := shared.NewEdgeID(), uint64(0)
		events := traffic(7)
		if script {
			events = completed(events)
		}
		for chunk := range slices.Chunk(events, 4096) {
			for i := range chunk {
				chunk[i].Edge, chunk[i].Epoch = edge, 1
			}
			pos++
			if err := l.Ingest(ctx, lake.Batch{SpoolPos: pos, Events: chunk}); err != nil {
				b.Fatal(err)
			}
		}
		if err := l.Flush(ctx); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(done, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	snap := l.Snapshot()
	b.Cleanup(snap.Release)
	return snap.Files
}

// overview asks what the dashboard asks when it is opened, all at once as a
// browser does, and returns when the last answer is there.
func overview(b *testing.B, e *stats.Engine, files []lake.File, q stats.Query) {
	var wg sync.WaitGroup
	ask := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				b.Error(err)
			}
		})
	}
	ctx := context.Background()
	ask(func() error { _, err := e.Main(ctx, files, q); return err })
	ask(func() error { _, err := e.Timeseries(ctx, files, q); return err })
	for _, name := range []string{"pages", "sources", "browsers", "os", "devices", "countries"} {
		d, err := stats.ParseDimension("", name)
		if err != nil {
			b.Fatal(err)
		}
		ask(func() error { _, err := e.Breakdown(ctx, files, q, d); return err })
	}
	wg.Wait()
}

func benchQuery(b *testing.B, extra url.Values) stats.Query {
	b.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	p := url.Values{
		"start_date": {benchStart.Format(time.DateOnly)},
		"end_date":   {benchStart.AddDate(0, 0, benchDays-1).Format(time.DateOnly)},
	}
	for k, v := range extra {
		p[k] = v
	}
	q, err := stats.Parse(stats.Site{ID: site, Zone: zone}, p, benchStart.AddDate(0, 0, benchDays))
	if err != nil {
		b.Fatal(err)
	}
	return q
}

// benchDuck opens DuckDB over the lake of the files.
func benchDuck(b *testing.B, files []lake.File) *duck.DB {
	b.Helper()
	dir := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(files[0].Path)))) // events/site/date/file
	db, err := duck.Open(duck.Config{Lake: dir, Temp: filepath.Join(b.TempDir(), "tmp")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// BenchmarkOverview is the whole overview over a million events, with nothing
// remembered between two rounds but the files' footers.
func BenchmarkOverview(b *testing.B) { benchOverview(b, benchLake(b, false)) }

// BenchmarkOverviewCompleted is the same of a site with the script: as many
// pageviews, and the rows that complete them.
func BenchmarkOverviewCompleted(b *testing.B) { benchOverview(b, benchLake(b, true)) }

func benchOverview(b *testing.B, files []lake.File) {
	for name, extra := range map[string]url.Values{
		"plain":     nil,
		"compare":   {"compare": {"previous_period"}},
		"half":      {"start_date": {benchStart.AddDate(0, 0, benchDays/2).Format(time.DateOnly)}, "compare": {"previous_period"}},
		"filtered":  {"filters": {"browsers==Chrome;countries!=US"}},
		"by-source": {"filters": {"sources==Google"}},
	} {
		b.Run(name, func(b *testing.B) {
			q := benchQuery(b, extra)
			db := benchDuck(b, files)
			overview(b, stats.NewEngine(db), files, q) // reads the footers
			before, best := cpu.Own(), time.Hour
			for b.Loop() {
				began := time.Now()
				overview(b, stats.NewEngine(db), files, q) // a new engine remembers nothing
				best = min(best, time.Since(began))
			}
			b.ReportMetric(float64(best.Milliseconds()), "best-ms")
			b.ReportMetric(float64((cpu.Own()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(len(files)), "files")
		})
	}
}

// BenchmarkOverviewWarm asks an engine that has found the exceptions of each
// range before, but has the overview of none: there are more ranges, of 21 to 30
// days, than overviews are kept.
func BenchmarkOverviewWarm(b *testing.B) {
	for name, script := range map[string]bool{"plain": false, "completed": true} {
		b.Run(name, func(b *testing.B) {
			files := benchLake(b, script)
			e := stats.NewEngine(benchDuck(b, files))
			var ranges []stats.Query
			for skip := range 10 {
				q := benchQuery(b, url.Values{"start_date": {benchStart.AddDate(0, 0, skip).Format(time.DateOnly)}})
				overview(b, e, files, q)
				ranges = append(ranges, q)
			}
			before, best, n := cpu.Own(), time.Hour, 0
			for b.Loop() {
				began := time.Now()
				overview(b, e, files, ranges[n%len(ranges)])
				best = min(best, time.Since(began))
				n++
			}
			b.ReportMetric(float64(best.Milliseconds()), "best-ms")
			b.ReportMetric(float64((cpu.Own()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkOverviewScreens is a table of what rows that complete a view fill in,
// with the exceptions known.
func BenchmarkOverviewScreens(b *testing.B) {
	files := benchLake(b, true)
	e, q := stats.NewEngine(benchDuck(b, files)), benchQuery(b, nil)
	d, err := stats.ParseDimension("", "screen-sizes")
	if err != nil {
		b.Fatal(err)
	}
	ask := func() {
		if _, err := e.Breakdown(context.Background(), files, q, d); err != nil {
			b.Fatal(err)
		}
	}
	ask()
	before := cpu.Own()
	for b.Loop() {
		ask()
	}
	b.ReportMetric(float64((cpu.Own()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
}

// BenchmarkParts are the questions one by one.
func BenchmarkParts(b *testing.B) {
	files := benchLake(b, false)
	q := benchQuery(b, nil)
	db := benchDuck(b, files)
	ctx := context.Background()
	run := func(name string, ask func(*stats.Engine) error) {
		b.Run(name, func(b *testing.B) {
			before := cpu.Own()
			for b.Loop() {
				if err := ask(stats.NewEngine(db)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu.Own()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
	run("main", func(e *stats.Engine) error { _, err := e.Main(ctx, files, q); return err })
	run("timeseries", func(e *stats.Engine) error { _, err := e.Timeseries(ctx, files, q); return err })
	for _, name := range []string{"pages", "sources", "browsers", "countries"} {
		d, err := stats.ParseDimension("", name)
		if err != nil {
			b.Fatal(err)
		}
		run(name, func(e *stats.Engine) error { _, err := e.Breakdown(ctx, files, q, d); return err })
	}
}
