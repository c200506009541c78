package lake

import (
	"io"
	"syscall"
	"testing"
	"time"
)

// cpuTime is what this process has used, user and system: on a shared machine
// it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

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
	cpu := cpuTime(b)
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
	b.ReportMetric(float64(rows)/(cpuTime(b)-cpu).Seconds(), "rows/cpu-s")
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
