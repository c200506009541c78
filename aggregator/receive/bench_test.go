package receive

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/internal/cpu"
	"github.com/eider-analytics/eider/shared"
)

// nowhere takes batches and forgets them.
type nowhere struct{}

func (nowhere) Ingest(context.Context, lake.Batch) error { return nil }

// BenchmarkReceive is the way of a request through authentication, checksums,
// decoding, validation and the spool's fsync, without the lake.
func BenchmarkReceive(b *testing.B) {
	for _, perFrame := range []uint64{50, 1000} {
		b.Run(fmt.Sprint("frame of ", perFrame), func(b *testing.B) {
			g := newRig(b)
			g.recv.cfg.Sink = nowhere{}
			e := newEdge(1)
			g.hello(e)
			const perRequest = 16_000
			next := uint64(1)
			var events int
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				var frames [][]byte
				for n := uint64(0); n < perRequest; n += perFrame {
					frames = append(frames, e.frame(next, perFrame, realistic))
					next += perFrame
				}
				req := e.request(shared.PathBatches, shared.ContentTypeBatches, bytes.Join(frames, nil))
				b.StartTimer()
				w := httptest.NewRecorder()
				g.recv.ServeHTTP(w, req)
				if w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
				events += perRequest
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(unsafe.Sizeof(shared.Event{})), "B/event-struct")
		})
	}
}

// realistic gives an event the columns that an ordinary page view has.
func realistic(e *shared.Event) {
	n := e.Seq
	e.Pathname = fmt.Sprint("/articles/", n%500, "/a-title-of-some-length")
	e.VisitorID = n * 0x9E3779B97F4A7C15
	e.CountryCode, e.Region, e.City, e.Language = "DE", "BE", "Berlin", "de"
	e.Browser, e.BrowserVersion, e.OS, e.OSVersion, e.DeviceType = "Firefox", "143.0", "Windows", "11", "desktop"
	e.ReferrerDomain, e.ReferrerPath, e.Source, e.Channel = "news.example", "/", "news.example", "referral"
	e.Status, e.Method, e.ContentType = shared.Some[int64](200), "GET", "text/html"
	e.BytesSent, e.TTFBUS, e.Protocol = shared.Some(int64(n%90_000)), shared.Some(int64(n%9_000)), "HTTP/2.0"
	e.Identity = "day"
}

// BenchmarkReceiveToCommitted is the whole way of the write side, as one edge
// that catches up sees it: requests in, spooled, and committed in Parquet
// segments, every fsync included. One iteration is one request.
func BenchmarkReceiveToCommitted(b *testing.B) {
	g := newRig(b)
	l, err := lake.Open(lake.Config{
		Dir: filepath.Join(g.dir, "lake"), State: g.state, Zone: func(string) string { return "UTC" },
		OnCommitted: func(through uint64) { _ = g.spool.Trim(through + 1) },
	})
	if err != nil {
		b.Fatal(err)
	}
	g.recv.cfg.Sink = l
	e := newEdge(1)
	g.hello(e)
	const perRequest, perFrame = 16_000, 500
	bodies := make([][]byte, b.N)
	for i := range bodies {
		for n := range uint64(perRequest / perFrame) {
			bodies[i] = append(bodies[i], e.frame(1+uint64(i)*perRequest+n*perFrame, perFrame, realistic)...)
		}
	}
	runtime.GC()
	began := cpu.Own()
	b.ResetTimer()
	for i := range bodies {
		w := httptest.NewRecorder()
		g.recv.ServeHTTP(w, e.request(shared.PathBatches, shared.ContentTypeBatches, bodies[i]))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
		bodies[i] = nil
	}
	g.settle()
	if err := l.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	events := float64(b.N * perRequest)
	if got := l.Stats().Committed; got != int64(events) {
		b.Fatalf("%d of %v events are committed", got, events)
	}
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(events/(cpu.Own()-began).Seconds(), "events/cpu-s")
	b.ReportMetric(peakMiB(b), "peak-RSS-MiB")
	if err := l.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// peakMiB is the most that the process has had resident, its own requests
// included.
func peakMiB(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Maxrss) / 1024
}
