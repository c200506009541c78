//go:build unix

package enrich

import (
	"syscall"
	"testing"
)

// reportCPU adds the CPU time of the process an operation, garbage collection
// included: wall time means little on a machine that others use, too.
func reportCPU(b *testing.B) func() {
	usage := func() int64 {
		var ru syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
			b.Fatal(err)
		}
		return ru.Utime.Nano() + ru.Stime.Nano()
	}
	began := usage()
	return func() { b.ReportMetric(float64(usage()-began)/float64(b.N), "cpu-ns/op") }
}
