package lake

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/cpu"
)

// BenchmarkIngestToCommitted is the lake's whole way: decoded events in, a
// durable and listed segment out, every fsync included.
func BenchmarkIngestToCommitted(b *testing.B) {
	l := openLake(b, Config{State: openState(b, b.TempDir())})
	const batch = 1000 // what a busy edge seals
	events := newTraffic(1, "example").take(10 * batch)
	ctx := context.Background()
	var pos, seq uint64
	var peak runtime.MemStats
	rows := 0
	began, used := time.Now(), cpu.Own()
	b.ReportAllocs()
	for b.Loop() {
		at := (rows % len(events))
		run := events[at : at+batch]
		for i := range run {
			seq++
			run[i].Seq = seq
		}
		pos++
		if err := l.Ingest(ctx, Batch{SpoolPos: pos, Events: run}); err != nil {
			b.Fatal(err)
		}
		rows += batch
		if pos%200 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.HeapInuse > peak.HeapInuse {
				peak = m
			}
		}
	}
	if err := l.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	s := l.Stats()
	if s.Committed != int64(rows) {
		b.Fatalf("%d of %d events are committed", s.Committed, rows)
	}
	b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
	b.ReportMetric(float64(rows)/(cpu.Own()-used).Seconds(), "rows/cpu-s")
	b.ReportMetric(float64(s.Commits), "commits")
	b.ReportMetric(float64(peak.HeapInuse)/(1<<20), "peak-MiB")
}
