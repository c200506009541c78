package stats_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/internal/cpu"
	"github.com/eider-analytics/eider/shared"
)

const (
	trailEvents = 5_000_000
	trailPeople = 400_000 // who are known for the month
)

// benchTrails are the events of a month in one file a day, in the order of time as
// they came in: some thousand pages, few with most of the views. It is made once
// and kept in the system's temporary directory.
func benchTrails(b *testing.B) []lake.File {
	b.Helper()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("eider-bench-trails-%d", trailEvents))
	done := filepath.Join(dir, "complete")
	if _, err := os.Stat(done); err != nil {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
		r := rand.New(rand.NewPCG(7, 1))
		browsers := []string{"Chrome", "Chrome", "Safari", "Firefox"}
		rows := make([]row, trailEvents/benchDays)
		for day := range benchDays {
			for i := range rows {
				at := benchStart.AddDate(0, 0, day).Add(time.Duration(i) * 24 * time.Hour / time.Duration(len(rows)))
				rows[i] = row{
					SiteID: site, Edge: "e", Epoch: 1, Seq: uint64(day*len(rows) + i), Time: at, Origin: "edge", Kind: "pageview",
					Pathname:  some(fmt.Sprintf("/articles/%d", int(5000*r.Float64()*r.Float64()*r.Float64()*r.Float64()))),
					VisitorID: some(identity(r.IntN(trailPeople), 0)), Browser: some(browsers[r.IntN(len(browsers))]), Verdict: some("likely"),
				}
				switch r.IntN(33) {
				case 0:
					rows[i].Kind, rows[i].Name = "event", some("signup")
				case 1, 2, 3, 4, 5, 6:
					rows[i].Source = some("Google")
				}
			}
			if err := parquet.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.parquet", day)), rows, parquet.Compression(&parquet.Zstd)); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(done, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	var files []lake.File
	for day := range benchDays {
		at := benchStart.AddDate(0, 0, day)
		files = append(files, lake.File{
			Path: filepath.Join(dir, fmt.Sprintf("%02d.parquet", day)), SiteID: site, MinTime: at.UnixMicro(), MaxTime: at.AddDate(0, 0, 1).UnixMicro(),
			Rows: trailEvents / benchDays, Facts: &state.Facts{},
		})
	}
	return files
}

// BenchmarkBehaviour asks questions of five million events of 400,000 visitors,
// with an engine that remembers nothing.
func BenchmarkBehaviour(b *testing.B) {
	files := benchTrails(b)
	db, err := duck.Open(duck.Config{Lake: filepath.Dir(files[0].Path), Temp: filepath.Join(b.TempDir(), "tmp")})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	target := stats.Site{ID: site, Zone: time.UTC, Identity: shared.IdentityMonth}
	now := benchStart.AddDate(0, 0, benchDays-1)
	p := func(pairs ...string) url.Values {
		v := url.Values{"start_date": {benchStart.Format(time.DateOnly)}, "end_date": {now.Format(time.DateOnly)}}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	ctx := context.Background()
	const steps = "page:/articles/1,page:/articles/2*,page:/articles/3,event:signup"
	funnel := func(pairs ...string) func(*stats.Engine) error {
		return func(e *stats.Engine) error {
			q, err := stats.ParseFunnel(target, p(pairs...), now)
			if err != nil {
				return err
			}
			_, _, err = e.AskFunnel(ctx, files, &q)
			return err
		}
	}
	for _, c := range []struct {
		name string
		ask  func(e *stats.Engine) error
	}{
		{"funnel", funnel("steps", steps, "window", "7d")},
		{"funnel-all", funnel("steps", "page:/**,page:/articles/1**,page:/articles/2**,event:*", "window", "7d")},
		{"funnel-strict", funnel("steps", steps, "window", "7d", "modes", "strict_order")},
		{"funnel-breakdown", funnel("steps", steps, "window", "7d", "breakdown", "browsers")},
		{"funnel-source", funnel("steps", steps, "window", "7d", "filters", "sources==Google")},
		{"retention", func(e *stats.Engine) error {
			q, err := stats.ParseRetention(target, url.Values{"weeks": {"5"}}, now)
			if err != nil {
				return err
			}
			_, err = e.Retention(ctx, files, &q)
			return err
		}},
		{"sequence", func(e *stats.Engine) error {
			q, err := stats.ParseSequence(target, p("steps", "page:/articles/1**,page:/articles/2**,event:signup"), now)
			if err != nil {
				return err
			}
			_, err = e.Sequence(ctx, files, &q)
			return err
		}},
		{"flow", func(e *stats.Engine) error {
			q, err := stats.ParseFlow(target, p("page", "/articles/1", "depth", "4"), now)
			if err != nil {
				return err
			}
			_, _, err = e.AskFlow(ctx, files, &q)
			return err
		}},
		{"journeys", func(e *stats.Engine) error {
			q, err := stats.ParseJourneys(target, p(), now)
			if err != nil {
				return err
			}
			_, err = e.Journeys(ctx, files, &q)
			return err
		}},
		{"attribution", func(e *stats.Engine) error {
			q, err := stats.ParseAttribution(target, p("conversion", "event:signup"), now)
			if err != nil {
				return err
			}
			_, err = e.Attribution(ctx, files, &q)
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			before, best := cpu.Own(), time.Hour
			for b.Loop() {
				began := time.Now()
				if err := c.ask(stats.NewEngine(db)); err != nil {
					b.Fatal(err)
				}
				best = min(best, time.Since(began))
			}
			b.ReportMetric(float64(best.Milliseconds()), "best-ms")
			b.ReportMetric(float64((cpu.Own()-before).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}
