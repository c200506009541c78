package calendar

import (
	"testing"
	"time"
)

// TestOffsetsOfTheFuture: beyond the table of a zone, where Go's bounds of the
// last day of a leap year lie before it, spans follow each other and end.
func TestOffsetsOfTheFuture(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Apia"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for year := 2035; year < 2060; year++ {
			at := time.Date(year, time.December, 29, 0, 30, 0, 0, zone).UnixMicro()
			if list := Offsets(zone, at, at+6*day); len(list) != 1 || list[0].From != at || list[0].To != at+6*day {
				t.Errorf("%s, end of %d: %+v, want one span", name, year, list)
			}
			if got, want := DayStart(year, time.December, 31, zone), time.Date(year, time.December, 31, 0, 0, 0, 0, zone).UnixMicro(); got != want {
				t.Errorf("%s, the last day of %d begins at %d, want %d", name, year, got, want)
			}
		}
	}
}
