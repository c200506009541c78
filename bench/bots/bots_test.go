package main

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/internal/programs"
	"github.com/eider-analytics/eider/shared"
)

// slow are the clients that only the long run has: each of them starts a
// browser several times.
var slow = []string{"chromium-noscript", "chromium-noimages"}

// TestConfusion drives a short version of the traffic through a real Caddy.
// `make bots` is the long one.
func TestConfusion(t *testing.T) {
	var log strings.Builder
	bin := programs.Build(t, programs.Caddy, programs.Eider)
	o := options{
		caddy: filepath.Join(bin, programs.Caddy), eider: filepath.Join(bin, programs.Eider), pages: 2, agents: 60, log: &log,
		only: func(c *client) bool {
			for _, label := range slow {
				if c.label == label {
					return false
				}
			}
			return !testing.Short() || !strings.HasPrefix(c.label, "chromium")
		},
	}
	m, err := run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var table strings.Builder
	m.print(&table)
	t.Log("\n" + table.String())
	// What each client is told by, and how many of its requests stay unknown at
	// the edge: those before it was recognised, and what nobody can tell there.
	reasons := map[string]string{
		"chromium": "browser", "chromium-headless": "known_agent", "curl": "known_agent", "wget": "known_agent", "python-urllib": "known_agent",
		"python-requests": "known_agent", "go": "known_agent", "curl-as-chrome": "no_language+no_hints", "python-as-chrome": "no_language+no_hints",
		"old-chrome": "old_version", "perfect": "browser", "scraper": "too_fast", "dead-links": "errors", "scanner": "probe",
		"googlebot": "known_agent", "googlebot-spoofed": "spoofed",
	}
	unknown := map[string]int{"old-chrome": 2, "perfect": 2, "scraper": 19}
	for i := range m {
		r := &m[i]
		if r.missing == "" {
			checkLedger(t, r, unknown[r.label])
		}
		if r.missing != "" {
			t.Logf("SKIPPED: %s: %s", r.what, r.missing)
			continue
		}
		if reason := reasons[r.label]; reason != "" && r.reasons[reason] == 0 {
			t.Errorf("%s: none is %s: %s", r.label, reason, r.why())
		}
		switch {
		case r.truth == person:
			if r.bot != 0 || r.recorded() != r.sent {
				t.Errorf("%s: of %d requests %d are a bot's, %d are recorded", r.label, r.sent, r.bot, r.recorded())
			}
		case r.label == "crawlers" || r.label == "feed-readers":
			if r.recorded() != r.sent || 100*r.bot < 95*r.sent {
				t.Errorf("%s: of %d user agents %d are recognised, %d are recorded", r.label, r.sent, r.bot, r.recorded())
			}
		case r.label == "dead-links":
			if r.bot != 41 || r.likely+r.person != 0 {
				t.Errorf("%s: %d are a bot's, %d likely, want 41 and none", r.label, r.bot, r.likely)
			}
		default:
			if r.recorded() != r.sent || r.likely != unknown[r.label] || r.person != 0 {
				t.Errorf("%s: of %d requests %d are recorded, %d likely, %d a person's; want %d likely", r.label, r.sent, r.recorded(), r.likely, r.person, unknown[r.label])
			}
		}
		if r.label == "chromium" && r.person == 0 {
			t.Error("Chromium is not proved to be a person's: no evidence was written")
		}
	}
}

// checkLedger holds the aggregator's books of a client's site against what its
// requests were, by its label and by what reached the origin. unknown is how
// many of an automaton's requests nobody can tell from a person's.
func checkLedger(t *testing.T, r *row, unknown int) {
	t.Helper()
	sent := 0
	for _, n := range r.asked {
		sent += n
	}
	if !strings.HasPrefix(r.label, "chromium") && sent != r.sent {
		t.Errorf("%s: %d requests were sent, %d came to the origin", r.label, r.sent, sent)
	}
	want := results{}
	switch {
	case r.truth == person:
		want[shared.ResultPageview], want[shared.ResultAsset] = r.asked[aPage], r.asked[aPart]
	case r.label == "dead-links": // told by its share of errors
		want[shared.ResultFailed], want[shared.ResultBot] = 19, 41
	case r.label == "crawlers" || r.label == "feed-readers":
		// How many are told at all is the matrix's matter.
		want[shared.ResultPageview], want[shared.ResultFeed] = max(0, r.asked[aPage]-r.bot), max(0, r.asked[aFeed]-r.bot)
		want[shared.ResultBot] = r.bot
	default:
		want[shared.ResultPageview], want[shared.ResultBot] = unknown, sent-unknown
	}
	maps.DeleteFunc(want, func(_ shared.Result, n int) bool { return n == 0 })
	if got := r.ledger.Results; r.ledger.Requests != sent || !maps.Equal(got, want) {
		t.Errorf("%s: the aggregator answers %d requests, %v; want %d, %v", r.label, r.ledger.Requests, got, sent, want)
	}
	if v := want[shared.ResultPageview]; r.ledger.Pageviews != (views{Recorded: v, People: v}) {
		t.Errorf("%s: the aggregator answers page views %+v, want %d", r.label, r.ledger.Pageviews, v)
	}
}
