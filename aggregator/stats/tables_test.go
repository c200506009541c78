package stats_test

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
)

var update = flag.Bool("update", false, "write what is answered into the tables")

// TestTables runs testdata/tables/*.txt. A file is a few events that a person
// can count by hand, and questions, each with the table that it is answered by:
//
//	zone Europe/Berlin
//	event 2026-03-10T10:00:00Z visitor=1 path=/ source=Google
//	goal Signup event=signup
//	ask main start_date=2026-03-10 end_date=2026-03-10
//	  visitors 1
//	ask query metrics=visitors dimensions=event:goal start_date=2026-03-10 end_date=2026-03-10
//	  Signup: visitors 1
//
// Times are UTC. An event is a pageview unless it says kind=.
func TestTables(t *testing.T) {
	paths, err := filepath.Glob("testdata/tables/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := runTable(t, string(text))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(text) {
				t.Errorf("%s is answered differently:\n%s", path, got)
			}
		})
	}
}

// runTable returns the text with the answers as they are.
func runTable(t *testing.T, text string) string {
	t.Helper()
	var rows []row
	var out strings.Builder
	zone := time.UTC
	var goals []stats.Goal
	var files []lake.File
	var engine *stats.Engine
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, "  ") { // an old answer
			continue
		}
		out.WriteString(line)
		switch word {
		case "zone":
			loc, err := time.LoadLocation(rest)
			if err != nil {
				t.Fatal(err)
			}
			zone = loc
		case "goal":
			goals = append(goals, parseGoal(rest))
		case "event":
			rows = append(rows, parseEvent(t, rest, len(rows)+1))
		case "ask":
			if engine == nil {
				dir := t.TempDir()
				engine = open(t, dir)
				if len(rows) > 0 {
					files = []lake.File{write(t, dir, "events.parquet", rows)}
				}
			}
			out.WriteString(ask(t, engine, files, stats.Site{ID: site, Zone: zone, Goals: goals}, rest))
		}
	}
	if len(rows) > 20 {
		t.Fatalf("%d events are more than a person counts by hand", len(rows))
	}
	return out.String()
}

func parseGoal(text string) stats.Goal {
	words := strings.Fields(text)
	g := stats.Goal{Name: words[0]}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "page":
			g.Page = value
		case "event":
			g.Event = value
		default:
			if g.Props == nil {
				g.Props = map[string]string{}
			}
			g.Props[key] = value
		}
	}
	return g
}

func parseEvent(t *testing.T, text string, seq int) row {
	t.Helper()
	words := strings.Fields(text)
	at, err := time.Parse(time.RFC3339Nano, words[0])
	if err != nil {
		t.Fatal(err)
	}
	r := row{SiteID: site, Seq: uint64(seq), Time: at, Kind: "pageview"}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "visitor":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			r.VisitorID = &n
		case "prev":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			r.PrevVisitorID = &n
		case "kind":
			r.Kind = value
		case "path":
			r.Pathname = &value
		case "source":
			r.Source = &value
		case "browser":
			r.Browser = &value
		case "country":
			r.CountryCode = &value
		case "verdict":
			r.Verdict = &value
		case "name":
			r.Name = &value
		case "plan":
			r.Props = map[string]string{"plan": value}
		case "amount":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			n *= 10_000
			r.RevenueAmount = &n
		case "currency":
			r.RevenueCurrency = &value
		default:
			t.Fatalf("no such column: %s", key)
		}
	}
	return r
}

func ask(t *testing.T, e *stats.Engine, files []lake.File, of stats.Site, text string) string {
	t.Helper()
	words := strings.Fields(text)
	of.Began = stats.Began(files, site)
	p := url.Values{}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		p.Set(key, value)
	}
	q, err := stats.Parse(of, p, time.Date(2026, 11, 22, 14, 30, 0, 0, time.UTC))
	if err != nil {
		return "  error " + err.Error() + "\n"
	}
	ctx := context.Background()
	var out strings.Builder
	switch what, dim, _ := strings.Cut(words[0], "/"); what {
	case "main":
		m, err := e.Main(ctx, files, q)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "  %s\n", round(m.Totals))
		if m.Comparison != nil {
			fmt.Fprintf(&out, "  before: %s\n", round(*m.Comparison))
		}
	case "query":
		metrics := strings.Split(p.Get("metrics"), ",")
		dimensions := strings.FieldsFunc(p.Get("dimensions"), func(c rune) bool { return c == ',' })
		if q, err = q.By(metrics, dimensions...); err != nil {
			return "  error " + err.Error() + "\n"
		}
		a, err := e.Ask(ctx, files, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range a.Results {
			out.WriteString(" ")
			if len(r.Groups) > 0 {
				out.WriteString(" " + strings.Join(r.Groups, ", ") + ":")
			}
			for i, m := range metrics {
				out.WriteString(" " + m + " " + numbers(r.Metrics[i:i+1]))
			}
			out.WriteString("\n")
		}
	case "timeseries":
		points, err := e.Timeseries(ctx, files, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			fmt.Fprintf(&out, "  %s visitors %s pageviews %s\n", p.Date, p.Visitors, p.Pageviews)
		}
	case "breakdown":
		d, err := stats.ParseDimension("dimension", dim)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := e.Breakdown(ctx, files, q, d)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			fmt.Fprintf(&out, "  %s visitors %s pageviews %d\n", r.Value, r.Visitors, r.Pageviews)
		}
	default:
		t.Fatalf("no such question: %s", text)
	}
	return out.String()
}
