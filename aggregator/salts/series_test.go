package salts

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func at(t testing.TB, text string) int64 {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment.UnixMicro()
}

// TestPeriods: a period ends at the site's local midnight, also where clocks
// change there.
func TestPeriods(t *testing.T) {
	for _, c := range []struct{ what, zone, kind, at, from, until string }{
		{"UTC", "UTC", "day", "2026-11-22T14:30:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"the first moment", "UTC", "day", "2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"east", "Asia/Kolkata", "day", "2026-11-22T20:00:00Z", "2026-11-22T18:30:00Z", "2026-11-23T18:30:00Z"},
		{"west", "America/Los_Angeles", "day", "2026-11-22T07:00:00Z", "2026-11-21T08:00:00Z", "2026-11-22T08:00:00Z"},
		{"a day of 23 hours", "Europe/Berlin", "day", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		{"a day of 25 hours", "Europe/Berlin", "day", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		{"midnight is skipped", "America/Santiago", "day", "2026-09-06T12:00:00Z", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"},
		{"midnight strikes twice", "America/Havana", "day", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		{"a day is left out", "Pacific/Apia", "day", "2011-12-30T09:00:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		{"a month", "Europe/Berlin", "month", "2026-10-15T12:00:00Z", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"},
		{"the last month", "UTC", "month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"a short month", "UTC", "month", "2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
	} {
		loc, moment := location(t, c.zone), at(t, c.at)
		if from := periodStart(moment, c.kind, loc); from != at(t, c.from) {
			t.Errorf("%s: begins at %s, want %s", c.what, time.UnixMicro(from).UTC(), c.from)
		}
		if until := periodEnd(moment, c.kind, loc); until != at(t, c.until) {
			t.Errorf("%s: ends at %s, want %s", c.what, time.UnixMicro(until).UTC(), c.until)
		}
	}
}

// TestChangesAreForTheTimeToCome: what a site's salts are before and after a
// change of its zone or kind.
func TestChangesAreForTheTimeToCome(t *testing.T) {
	const noon = "2026-11-22T12:00:00Z"
	for _, c := range []struct {
		what                   string
		zone, kind, zone2, to  string
		until, nextUntil, next string // after the change
	}{
		{"no change", "UTC", "day", "UTC", "day", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", "day"},
		{"another zone", "UTC", "day", "Asia/Kolkata", "day", "2026-11-23T00:00:00Z", "2026-11-23T18:30:00Z", "day"},
		{"a zone whose midnight is right after", "UTC", "day", "Africa/Casablanca", "day", "2026-11-23T00:00:00Z", "2026-11-23T23:00:00Z", "day"},
		{"a zone whose midnight is too soon after", "Asia/Kolkata", "day", "Asia/Karachi", "day", "2026-11-22T18:30:00Z", "2026-11-23T19:00:00Z", "day"},
		{"a month from tomorrow", "UTC", "day", "UTC", "month", "2026-11-23T00:00:00Z", "2026-12-01T00:00:00Z", "month"},
		{"days from tomorrow", "UTC", "month", "UTC", "day", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", "day"},
		{"days and another zone", "UTC", "month", "America/Los_Angeles", "day", "2026-11-23T08:00:00Z", "2026-11-24T08:00:00Z", "day"},
	} {
		now := at(t, noon)
		before, _ := series(nil).grown(now, c.kind, location(t, c.zone))
		after, _ := before.grown(now, c.to, location(t, c.zone2))
		if len(after) != 2 || !bytes.Equal(before[0].Key, after[0].Key) || before[0].From != after[0].From || before[0].Identity != after[0].Identity {
			t.Errorf("%s: the current salt changed: %d salts", c.what, len(after))
			continue
		}
		if after[0].Until != at(t, c.until) || after[1].From != after[0].Until || after[1].Until != at(t, c.nextUntil) || after[1].Identity != c.next {
			t.Errorf("%s: current ends %s, next ends %s and is a %s", c.what,
				time.UnixMicro(after[0].Until).UTC(), time.UnixMicro(after[1].Until).UTC(), after[1].Identity)
		}
		if len(before) == 2 && !bytes.Equal(before[1].Key, after[1].Key) {
			t.Errorf("%s: the next salt has another key than edges may have already", c.what)
		}
		if again, changed := after.grown(now, c.to, location(t, c.zone2)); changed || len(again) != 2 {
			t.Errorf("%s: it does not settle", c.what)
		}
	}
}

// TestNewSiteBeforeMidnight: the first period is the day that it is, however
// little of it is left.
func TestNewSiteBeforeMidnight(t *testing.T) {
	s, _ := series(nil).grown(at(t, "2026-11-22T23:59:00Z"), "day", time.UTC)
	if s[0].From != at(t, "2026-11-22T00:00:00Z") || s[0].Until != at(t, "2026-11-23T00:00:00Z") {
		t.Errorf("the first period is %s to %s", time.UnixMicro(s[0].From).UTC(), time.UnixMicro(s[0].Until).UTC())
	}
}

// TestModel lets years pass in random steps over a site whose zone and kind
// change at random, and holds the promises against each step.
func TestModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	zones := []*time.Location{time.UTC}
	for _, name := range []string{"Europe/Berlin", "America/Santiago", "Asia/Kolkata", "Pacific/Kiritimati", "America/Los_Angeles", "Pacific/Niue"} {
		zones = append(zones, location(t, name))
	}
	kinds := []string{shared.IdentityDay, shared.IdentityMonth}
	now := at(t, "2026-01-01T10:00:00Z")
	zone, kind := zones[0], kinds[0]
	var s series
	for step := range 5000 {
		if r.IntN(20) == 0 {
			zone = zones[r.IntN(len(zones))]
		}
		if r.IntN(30) == 0 {
			kind = kinds[r.IntN(len(kinds))]
		}
		before := s
		s, _ = s.grown(now, kind, zone)
		was := before.at(now)
		s, _ = s.destroyed(now)
		i := s.at(now)
		if i < 0 {
			t.Fatalf("step %d: no salt", step)
		}
		for n := range s[1:] {
			if s[n].Until != s[n+1].From {
				t.Fatalf("step %d: a gap or overlap of %d µs", step, s[n+1].From-s[n].Until)
			}
		}
		if was >= 0 && (!bytes.Equal(before[was].Key, s[i].Key) || before[was].From != s[i].From || s[i].Until > before[was].Until) {
			t.Fatalf("step %d: the current salt changed", step)
		}
		if was >= 0 && s[i].Until != before[was].Until && (before[was].Identity != "month" || kind != "day" || s[i].Until < now+settle) {
			t.Fatalf("step %d: the current period was cut", step)
		}
		if s[i].Until-now <= hour && i+1 == len(s) {
			t.Fatalf("step %d: no salt for the period that begins within the hour", step)
		}
		if length := s[i].Until - s[i].From; s[i].Identity == "day" && length > 27*hour {
			t.Fatalf("step %d: a day of %d hours", step, length/hour)
		}
		for _, x := range s {
			if x.Until+keptFor <= now {
				t.Fatalf("step %d: a salt outlived its time", step)
			}
		}
		// Whoever looks again when it is due, at the latest, misses nothing.
		now = min(now+r.Int64N(20*hour), s.due(now))
	}
}
