package relabel_test

import (
	"context"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/relabel"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// day is a moment of 2026-11-22, by UTC.
var day = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMicro()

// history is what an older version has written.
func history(t *testing.T) *lake.Lake {
	t.Helper()
	st, err := state.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	l, err := lake.Open(lake.Config{Dir: t.TempDir(), State: st})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	var events []shared.Event
	add := func(n int, e shared.Event) {
		for range n {
			e.SiteID, e.Edge, e.Epoch, e.Seq = "a", shared.EdgeID{1}, 1, uint64(len(events)+1)
			e.Time, e.ReceivedAt, e.Origin, e.Kind = day, day, shared.OriginEdge, shared.KindPageview
			events = append(events, e)
		}
	}
	likely := func(browser, version, reason string) shared.Event {
		return shared.Event{Verdict: shared.VerdictLikely, VerdictReason: reason, Browser: browser, BrowserVersion: version, DeviceType: "desktop", Pathname: "/"}
	}
	add(5, likely("Chrome", "156", "browser"))
	add(4, shared.Event{Verdict: shared.VerdictBot, VerdictReason: "self_declared", BotName: "GPTBot", BotCategory: "other", AgentToken: "GPTBot/1.3", Pathname: "/"})
	add(3, likely("Chrome", "60", "no_language"))
	probe := likely("Chrome", "156", "browser")
	probe.Pathname, probe.Status = "/wp-login.php", shared.Some[int64](404)
	add(2, probe)
	add(1, shared.Event{Verdict: shared.VerdictBot, VerdictReason: "not_a_browser", BotName: "Thing", BotCategory: "other", AgentToken: "Thing/1.0", Pathname: "/"})
	if err := l.Ingest(t.Context(), lake.Batch{SpoolPos: 1, Events: events}); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRelabel(t *testing.T) {
	l := history(t)
	want := []string{
		"4 bot self_declared, GPTBot, other -> bot known_agent, GPTBot, ai, training",
		"3 likely no_language -> bot no_language+old_version, other",
		"2 likely browser -> bot probe, security",
	}
	check := func(r relabel.Report, err error, rows, changed int64, written int, want []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.Rows != rows || r.Changed != changed || r.Written != written || len(r.Changes) != len(want) {
			t.Fatalf("%+v, want %d of %d rows in %d segments", r, changed, rows, written)
		}
		for i, c := range r.Changes {
			if got := string(rune('0'+c.Rows)) + " " + c.From.String() + " -> " + c.To.String(); got != want[i] {
				t.Errorf("%s, want %s", got, want[i])
			}
		}
	}
	for _, o := range []relabel.Options{{Site: "b"}, {From: "2026-11-23"}, {To: "2026-11-21"}} {
		r, err := relabel.Run(t.Context(), l, o)
		check(r, err, 0, 0, 0, nil)
	}
	r, err := relabel.Run(t.Context(), l, relabel.Options{DryRun: true})
	check(r, err, 15, 9, 1, want)
	r, err = relabel.Run(t.Context(), l, relabel.Options{Site: "a", From: "2026-11-22", To: "2026-11-22"})
	check(r, err, 15, 9, 1, want)
	r, err = relabel.Run(t.Context(), l, relabel.Options{})
	check(r, err, 15, 0, 0, nil) // all of it is by the rules of today
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []relabel.Options{{From: "yesterday"}, {To: "2026-13-01"}, {From: "2026-11-23", To: "2026-11-22"}} {
		if _, err := relabel.Run(t.Context(), nil, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
