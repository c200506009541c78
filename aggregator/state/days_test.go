package state

import (
	"fmt"
	"reflect"
	"testing"
)

func sealed(n int, date string) Day {
	return Day{
		SiteID: "example", Date: date, Zone: "Europe/Berlin", From: 1, To: 2, SealedAt: 3, Rules: 4, Segments: []string{segment(n).ID}, Rows: 5,
		Derived: []Derived{{Kind: "visits", Path: "visits/x.parquet", Bytes: 6, Rows: 7}},
	}
}

func TestDaysMoveWithTheirSegments(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, Commit{Add: segments(0, 2)})
	if s.head.Format != baseFormat {
		t.Errorf("a store without days has format %d", s.head.Format)
	}
	whole := segment(2)
	whole.Sealed = true
	first, second := sealed(2, "2026-11-22"), sealed(0, "2026-11-23")
	commit(t, s, Commit{Add: []Segment{whole}, Remove: []string{segment(1).ID}, Days: []Day{second, first}})
	late := first
	late.Late = 3
	commit(t, s, Commit{Days: []Day{late}})
	other := second
	other.Zone = "UTC" // the same date under another zone is another day
	commit(t, s, Commit{Days: []Day{other}})
	check := func(want ...Day) {
		t.Helper()
		m := manifest(t, s)
		if !reflect.DeepEqual(m.Days, want) {
			t.Fatalf("days\n got %+v\nwant %+v", m.Days, want)
		}
		if len(m.Segments) != 2 || !m.Segments[1].Sealed {
			t.Fatalf("segments %+v", m.Segments)
		}
	}
	check(late, second, other)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	check(late, second, other)
	if s.head.Format != FormatDays {
		t.Errorf("a store with days has format %d: an older version would add rows to them", s.head.Format)
	}
	commit(t, s, Commit{DropDays: []DayKey{second.Key()}})
	check(late, other)

	for name, c := range map[string]Commit{
		"a segment that is not listed": {Days: []Day{sealed(9, "2026-11-24")}},
		"a segment that is removed":    {Days: []Day{late}, Remove: []string{whole.ID}},
		"the same day twice":           {Days: []Day{late, first}},
		"put and dropped":              {Days: []Day{late}, DropDays: []DayKey{late.Key()}},
		"dropped but not there":        {DropDays: []DayKey{second.Key()}},
		"no zone":                      {Days: []Day{{SiteID: "example", Date: "2026-11-22"}}},
	} {
		if err := s.Commit(c); err == nil {
			t.Errorf("%s: no error", name)
		}
		check(late, other)
	}
}

// What a commit may have at most at one time fits into one transaction.
func TestTheLargestCommitFits(t *testing.T) {
	s := open(t, t.TempDir())
	var days []Day
	for i := range MaxDays {
		d := sealed(0, fmt.Sprintf("2026-%02d-%02d", 1+i/28, 1+i%28))
		d.Derived = append(d.Derived, d.Derived[0], d.Derived[0])
		days = append(days, d)
	}
	add := segments(0, stageAt)
	for i := range add {
		add[i].Facts = &Facts{Keyed: 1e9, Ahead: 1e9, Loads: 1e9, Trackers: 1e9, Evidence: 1e9, Carried: 1e9, Requests: 1e9, Imported: 1e9}
		add[i].Path = fmt.Sprintf("events/site_id=%063d/date=2026-11-22/%024d.parquet", i, i)
		add[i].SiteID = fmt.Sprintf("%063d", i)
	}
	var incidents []Incident
	for i := range int64(1500) { // what the lake lets wait
		incidents = append(incidents, Incident{Reason: "ring_full", From: i * 1e9, To: i * 1e9, Count: 1})
	}
	commit(t, s, Commit{Add: add, Days: days, Incidents: incidents})
	if m := manifest(t, s); len(m.Days) != MaxDays || len(m.Segments) != stageAt {
		t.Errorf("%d days, %d segments", len(m.Days), len(m.Segments))
	}
}
