package stats

import (
	"testing"
	"time"
)

// TestDaysOfTheFuture: beyond the table of a zone, where Go's bounds of the last
// day of a leap year lie before it, days begin when they do and have 24 hours.
func TestDaysOfTheFuture(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for year := 2035; year < 2060; year++ {
			day := Date{year, time.December, 31}
			if got, want := day.start(zone), time.Date(year, time.December, 31, 0, 0, 0, 0, zone).UnixMicro(); got != want {
				t.Errorf("%s, %s begins at %d, want %d", name, day, got, want)
			}
			if n := len(newChart(newRange(zone, day, day), Hour).buckets); n != 24 {
				t.Errorf("%s, %s has %d hours", name, day, n)
			}
		}
	}
}
