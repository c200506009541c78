package queue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/cpu"
	"github.com/eider-analytics/eider/shared"
)

// realistic returns page views as enrichment makes them: some 25 fields, with
// as much repetition between events as a site's traffic has.
func realistic(n int) []shared.Event {
	r := rand.New(rand.NewPCG(7, 7))
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	events := make([]shared.Event, n)
	for i := range events {
		events[i] = shared.Event{
			Site: "example.com", Time: 1_790_000_000_000_000 + int64(i)*2500, Origin: shared.OriginEdge,
			Kind: shared.KindPageview, Hostname: "example.com", Pathname: fmt.Sprintf("/articles/%d/%s", r.IntN(3000), pick("overview", "details", "comments")),
			VisitorID: r.Uint64(), Identity: "day", CountryCode: pick("DE", "FR", "US", "GB", "NL"), Region: pick("BE", "BY", "NW", "75C"),
			City: pick("Berlin", "Munich", "Paris", "London", "Amsterdam"), Language: pick("de-DE", "en-US", "fr-FR"),
			Browser: pick("Chrome", "Firefox", "Safari"), BrowserVersion: pick("141", "140", "26.1"), OS: pick("Windows", "macOS", "iOS", "Android"),
			OSVersion: pick("10", "15.6", "18"), DeviceType: pick("desktop", "mobile"), ReferrerDomain: pick("", "google.com", "news.ycombinator.com"),
			Source: pick("", "Google", "Hacker News"), Channel: pick("Direct", "Organic Search", "Referral"), Status: shared.Some[int64](200),
			Method: "GET", ContentType: "text/html", BytesSent: shared.Some(2000 + r.Int64N(90_000)), TTFBUS: shared.Some(300 + r.Int64N(40_000)),
			Protocol: pick("HTTP/2.0", "HTTP/3.0"), Verdict: shared.VerdictLikely,
		}
	}
	return events
}

// BenchmarkAppend captures, encodes, seals and appends page views, syncing and
// rotating as in production. What counts is events per CPU second of the whole
// process, Badger's goroutines and the kernel's work for it included.
func BenchmarkAppend(b *testing.B) {
	q, err := Open(Config{Dir: b.TempDir(), ReserveFree: MinReserve, MaxSize: 4 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close(context.Background())
	events := realistic(8192)
	b.ReportAllocs()
	start := cpu.Own()
	n := 0
	for b.Loop() {
		q.Capture(1)
		q.Add(&events[n%len(events)])
		n++
	}
	if err := q.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/(cpu.Own()-start).Seconds(), "events/cpu-s")
	b.ReportMetric(float64(q.l.Size())/float64(n), "bytes/event")
	if c := balanced(b, q); c.DroppedTotal() != 0 || c.Queued != uint64(n) {
		b.Fatalf("%+v", c)
	}
}

// BenchmarkCapture is what the request path pays.
func BenchmarkCapture(b *testing.B) {
	q, err := Open(Config{Dir: b.TempDir(), ReserveFree: MinReserve})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close(context.Background())
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			q.Capture(1)
			q.Discard(1, shared.DropRing)
		}
	})
}

// BenchmarkLogSync is a spool's group commit: one record of 64 KiB, durable.
func BenchmarkLogSync(b *testing.B) {
	l, err := OpenLog(LogConfig{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	data := make([]byte, 64<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		first, err := l.Append(600, data)
		if err == nil {
			err = l.Sync()
		}
		if err == nil {
			err = l.Trim(first)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

var (
	_ = runtime.GC
	_ = debug.FreeOSMemory
	_ = time.Now
)
