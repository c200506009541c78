package importer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/cpu"
)

// BenchmarkImport imports the sample twenty times over, 200,000 lines, into the
// half of an aggregator that takes events in, up to the committed segments; all
// of it is in this process. Lines a second are by the clock, cpu-µs/line is what
// both sides take together.
func BenchmarkImport(b *testing.B) {
	text := bytes.Repeat(unpacked(b), 20)
	lines := bytes.Count(text, []byte{'\n'})
	for name, pack := range map[string]func(testing.TB, []byte) []byte{
		"plain": func(_ testing.TB, t []byte) []byte { return t }, "gzip": gzipped,
	} {
		for _, dry := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/dry=%v", name, dry), func(b *testing.B) {
				g := newRig(b, testSite)
				o := g.options("")
				o.DryRun = dry
				var took, used time.Duration
				n := 0
				for b.Loop() {
					b.StopTimer()
					// Another first line is another log.
					o.Logs = []string{write(b, "bench.log", pack(b, append([]byte(lineOf("203.0.113.1",
						"17/May/2015:10:00:00 +0000", fmt.Sprintf("GET /run-%d HTTP/1.1", n), 200, "-", firefox)), text...)))}
					runtime.GC()
					began, before := time.Now(), cpu.Own()
					b.StartTimer()
					a, err := Run(context.Background(), o, io.Discard)
					if err == nil && !dry {
						err = g.lake.Flush(context.Background())
					}
					b.StopTimer()
					took, used = took+time.Since(began), used+cpu.Own()-before
					if err != nil || a.Lines != uint64(lines)+1 {
						b.Fatal(a.Lines, err)
					}
					n++
					b.StartTimer()
				}
				b.ReportMetric(float64(n*lines)/took.Seconds(), "lines/s")
				b.ReportMetric(used.Seconds()*1e6/float64(n*lines), "cpu-µs/line")
			})
		}
	}
}
