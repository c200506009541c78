// Package cpu reads what processes have used of the processor, for benchmarks:
// on a machine that does other things too it says more than the clock.
package cpu

import "testing"

// Report adds the CPU time of this process to a benchmark's figures, for each
// operation since, garbage collection included: defer cpu.Report(b)().
func Report(b *testing.B) func() {
	began := Own()
	return func() {
		if used := Own() - began; used > 0 {
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
		}
	}
}
