package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/shared"
)

// signups adds custom events with a plan to the story.
func (i *instance) signups(t *testing.T) {
	t.Helper()
	var events []shared.Event
	for _, e := range []struct {
		visitor uint64
		at      int64 // µs after the visitor's first page view of the day
		plan    string
	}{{1, 5 * 60e6, "pro"}, {4, 30 * 60e6, "free"}, {5, 10 * 60e6, "pro"}} {
		began := map[uint64]string{1: "2026-11-16T09:00:00Z", 4: "2026-11-21T23:30:00Z", 5: "2026-11-22T08:00:00Z"}[e.visitor]
		i.seq++
		events = append(events, shared.Event{
			SiteID: siteID, Kind: shared.KindEvent, Name: "signup", Origin: shared.OriginBeacon, Pathname: "/docs", VisitorID: e.visitor,
			Edge: shared.EdgeID{1}, Epoch: 1, Seq: i.seq, Time: micros(t, began) + e.at, ReceivedAt: micros(t, began) + e.at,
			Props: []shared.Prop{{Key: "plan", Value: e.plan, Type: shared.PropString}},
		})
	}
	if err := i.lake.Ingest(t.Context(), lake.Batch{SpoolPos: i.seq, Events: events}); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenBehaviour pins the shapes of the answers about behaviour.
func TestGoldenBehaviour(t *testing.T) {
	i := start(t)
	i.signups(t)
	i.story(t)
	for name, path := range map[string]string{
		"sessions":                "sessions?period=7d",
		"funnel":                  "funnel?period=7d&steps=page:/,page:/docs*,event:signup&window=1%20hour",
		"funnel-json":             "funnel?period=7d&steps=" + escaped(`[{"kind":"page","op":"is","value":"/"},{"kind":"prop","key":"plan","value":"pro"}]`),
		"funnel-breakdown":        "funnel?period=7d&steps=page:/,page:/docs&breakdown=browsers",
		"funnel-strict":           "funnel?period=7d&steps=page:/,page:/docs&modes=strict_order,strict_increase",
		"funnel-filtered":         "funnel?period=7d&steps=page:/,page:/docs&filters=sources%3D%3DGoogle",
		"funnel-empty":            "funnel?period=today&steps=page:/nothing,page:/docs",
		"retention":               "retention?weeks=3",
		"retention-days":          "retention?period=day&weeks=3&start=page:/&return=event:signup",
		"sequences":               "sequences?period=7d&steps=page:/,page:/docs",
		"sequences-pattern":       "sequences?period=7d&steps=page:/,event:signup&pattern=" + escaped("(?1)(?t<=600)(?2)"),
		"flow":                    "flow?period=7d&page=/",
		"flow-backward":           "flow?period=7d&page=/docs&direction=backward",
		"flow-tree":               "flow?period=7d&page=/&depth=3&limit=2",
		"journeys":                "journeys?period=7d&length=2",
		"journeys-entry":          "journeys?period=7d&entry=/blog/*",
		"attribution":             "attribution?period=7d&conversion=event:signup",
		"error-funnel-steps":      "funnel?steps=page:/,colour:red",
		"error-funnel-window":     "funnel?steps=page:/,page:/a&window=soon",
		"error-funnel-modes":      "funnel?steps=page:/,page:/a&modes=lazy",
		"error-sequences-pattern": "sequences?steps=page:/&pattern=" + escaped("(?1)(?2)"),
		"error-flow-page":         "flow?direction=forward",
		"error-retention-weeks":   "retention?weeks=53",
		"error-journeys-length":   "journeys?length=11",
		"error-attribution-by":    "attribution?conversion=event:a&by=pages",
	} {
		t.Run(name, func(t *testing.T) {
			w := i.get("/api/stats/" + strings.Replace(path, "?", "?site_id=example.com&", 1))
			if want := strings.HasPrefix(name, "error"); (w.Code == http.StatusBadRequest) != want {
				t.Errorf("status %d", w.Code)
			}
			golden(t, name, w)
		})
	}
}

func escaped(text string) string { return url.QueryEscape(text) }

func micros(t *testing.T, at string) int64 {
	t.Helper()
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixMicro()
}
