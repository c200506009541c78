package salts

import (
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestPeriodsEndBeyondTheTable: Go says of the last day of a leap year beyond a
// zone's table, 2040-12-31 for one, that its offset ended before it.
func TestPeriodsEndBeyondTheTable(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		noon := time.Date(2040, time.December, 31, 12, 0, 0, 0, zone).UnixMicro()
		start, end := periodStart(noon, shared.IdentityDay, zone), periodEnd(noon, shared.IdentityDay, zone)
		if start != noon-day/2 || end != noon+day/2 {
			t.Errorf("%s: from %d to %d, want 12 hours around %d", name, start, end, noon)
		}
	}
}
