package lake

import (
	"io"
	"testing"

	"github.com/eider-analytics/eider/internal/cpu"
)

type countingWriter struct{ n int64 }

func (w *countingWriter) Write(b []byte) (int, error) { w.n += int64(len(b)); return len(b), nil }

var _ io.Writer = (*countingWriter)(nil)

// BenchmarkWriteSegment is Parquet alone: decoded events to the bytes of a file.
func BenchmarkWriteSegment(b *testing.B) {
	events := newTraffic(1, "example").take(100_000)
	e := newEncoder(true)
	var out countingWriter
	b.ReportAllocs()
	rows := 0
	used := cpu.Own()
	for b.Loop() {
		out.n = 0
		e.reset(&out)
		for i := range events {
			if err := e.add(&events[i]); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.close(); err != nil {
			b.Fatal(err)
		}
		rows += len(events)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(rows)/(cpu.Own()-used).Seconds(), "rows/cpu-s")
	b.ReportMetric(float64(out.n)/float64(len(events)), "bytes/row")
}

// BenchmarkWriteMicro is a micro-segment as a quiet site has them: the cost is
// that of the columns, not of the rows.
func BenchmarkWriteMicro(b *testing.B) {
	events := newTraffic(1, "example").take(20)
	e := newEncoder(false)
	var out countingWriter
	b.ReportAllocs()
	for b.Loop() {
		out.n = 0
		e.reset(&out)
		for i := range events {
			if err := e.add(&events[i]); err != nil {
				b.Fatal(err)
			}
		}
		if err := e.close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out.n), "bytes/file")
}
