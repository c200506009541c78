package lake

import (
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestPreviousIdentitiesAreKeptWhereTheyContinueAVisit goes through the events
// around a midnight, in the order in which they come in.
func TestPreviousIdentitiesAreKeptWhereTheyContinueAVisit(t *testing.T) {
	midnight := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	l := openLake(t, Config{CutAge: time.Hour})
	steps := []struct {
		what    string
		at      time.Duration
		site    string
		visitor uint64
		prev    uint64
		kind    shared.Kind
		verdict shared.Verdict
		kept    bool
	}{
		{"before midnight", -10 * time.Minute, "a", 1, 0, shared.KindPageview, shared.VerdictLikely, false},
		{"ten minutes later", 0, "a", 2, 1, shared.KindPageview, shared.VerdictLikely, true},
		{"within the same visit", 5 * time.Minute, "a", 2, 1, shared.KindEvent, shared.VerdictPerson, true},
		{"exactly a pause later", 20 * time.Minute, "a", 2, 1, shared.KindPageview, "", true},
		{"more than a pause later", 20*time.Minute + time.Microsecond, "a", 2, 1, shared.KindPageview, "", false},
		{"another site's visitor", 5 * time.Minute, "b", 2, 1, shared.KindPageview, shared.VerdictLikely, false},
		{"nobody was there", 5 * time.Minute, "a", 4, 3, shared.KindPageview, shared.VerdictLikely, false},
		{"what makes no visit", -10 * time.Minute, "a", 5, 0, shared.KindError, shared.VerdictLikely, false},
		{"continues none", time.Minute, "a", 6, 5, shared.KindPageview, shared.VerdictLikely, false},
		{"an error continues none", 2 * time.Minute, "a", 2, 1, shared.KindError, shared.VerdictLikely, false},
		{"a bot", -10 * time.Minute, "a", 7, 0, shared.KindPageview, shared.VerdictBot, false},
		{"goes on", time.Minute, "a", 8, 7, shared.KindPageview, shared.VerdictBot, false},
		{"later", 40 * time.Minute, "a", 9, 0, shared.KindPageview, shared.VerdictLikely, false},
		{"came too late", 30 * time.Minute, "a", 10, 9, shared.KindPageview, shared.VerdictLikely, false},
		{"itself", 41 * time.Minute, "a", 9, 9, shared.KindPageview, shared.VerdictLikely, false},
	}
	var events []shared.Event
	for i, s := range steps {
		events = append(events, shared.Event{
			SiteID: s.site, Edge: shared.EdgeID{1}, Epoch: 1, Seq: uint64(i + 1), Time: midnight.Add(s.at).UnixMicro(), Origin: shared.OriginEdge,
			Kind: s.kind, Verdict: s.verdict, VisitorID: s.visitor, PrevVisitorID: s.prev, Title: s.what,
		})
	}
	ingest(t, l, Batch{SpoolPos: 1, Events: events})
	for i, s := range steps {
		if events[i].PrevVisitorID != s.prev {
			t.Errorf("%s: the caller's event was changed", s.what)
		}
	}
	flush(t, l)
	snap := l.Snapshot()
	defer snap.Release()
	kept, carried := map[string]bool{}, int64(0)
	for _, f := range snap.Files {
		carried += f.Facts.Carried
		for _, r := range readFile(t, f.Path) {
			kept[r["title"][0].String()] = len(r["prev_visitor_id"]) > 0
		}
	}
	want := int64(0)
	for _, s := range steps {
		if kept[s.what] != s.kept {
			t.Errorf("%s: kept is %t", s.what, kept[s.what])
		}
		if s.kept {
			want++
		}
	}
	if carried != want {
		t.Errorf("the manifest says that %d rows are carried over, want %d", carried, want)
	}
}

// TestTheMemoryOfVisitorsIsBounded: the newest are remembered.
func TestTheMemoryOfVisitorsIsBounded(t *testing.T) {
	r := newRecent()
	for n := range uint64(5 * maxRemembered) {
		r.continues(&shared.Event{SiteID: "a", Kind: shared.KindPageview, VisitorID: n + 1, Time: int64(n)})
	}
	if n := len(r.now) + len(r.before); n > 2*maxRemembered {
		t.Errorf("%d visitors are remembered", n)
	}
	for _, c := range []struct {
		prev uint64
		want bool
	}{{5 * maxRemembered, true}, {4*maxRemembered + 1, true}, {1, false}} {
		e := shared.Event{SiteID: "a", Kind: shared.KindPageview, VisitorID: 1 << 40, PrevVisitorID: c.prev, Time: 5 * maxRemembered}
		if got := r.continues(&e); got != c.want {
			t.Errorf("visitor %d is remembered: %t", c.prev, got)
		}
	}
}
