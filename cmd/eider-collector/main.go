// Command eider-collector is the collector alone: a small static program
// without cgo, for machines that only take events in.
package main

import (
	"os"
	"runtime/debug"

	"github.com/eider-analytics/eider/cmd/internal/collect"
	"github.com/eider-analytics/eider/cmd/internal/program"
)

// heapLimit is where Go begins to collect garbage harder, unless GOMEMLIMIT
// says another.
const heapLimit = 64 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapLimit)
	}
	cmd := collect.Command("eider-collector", program.Version(), program.Logger)
	cmd.Version = program.Version()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	os.Exit(program.Run("eider-collector", cmd))
}
