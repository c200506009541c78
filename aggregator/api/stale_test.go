package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/api"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/shared"
)

// asked is what a client has of an answer.
type asked struct{ tag, body, caveat string }

// TestNothingIsStale plays random events, settings, hours and questions against a
// server that keeps answers, in much and in little memory, and one that has just
// begun. What either says, or what a client has whose copy is called good, is the
// same.
func TestNothingIsStale(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for n, memory := range []int64{0, 4 << 10} {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		i := start(t)
		i.story(t)
		clock := now
		i.config.Now = func() time.Time { return clock }
		i.config.AnswerMemory = memory
		i.Server = api.New(i.config)
		known := map[string]asked{}
		var pool []string // so that they are asked again
		for range 6 {
			pool = append(pool, randomQuestion(r))
		}
		kept, made := 0, 0
		enough := time.Now().Add(10 * time.Second) // machines differ by ten times
		for step := range 120 {
			if step >= 25 && time.Now().After(enough) {
				break
			}
			switch r.IntN(10) {
			case 0, 1:
				i.something(t, r, clock)
			case 2:
				if err := i.lake.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			case 3:
				clock = clock.Add(time.Duration(r.IntN(600)) * time.Minute)
			case 4:
				option := []string{"country_only", "no_visitor_id", "referrer_host_only"}[r.IntN(3)]
				i.patch(t, fmt.Sprintf(`{"privacy": {%q: %t}}`, option, r.IntN(2) == 0))
			default:
			}
			for range 2 {
				path := pool[r.IntN(len(pool))]
				config := i.config
				config.Engine = stats.NewEngine(i.db) // remembers nothing either
				fresh := instance{Server: api.New(config)}
				var w, want *httptest.ResponseRecorder
				for same := false; !same; { // rows come to be seen a moment after they came in
					before := i.version()
					w, want = i.get(path, "If-None-Match", known[path].tag), fresh.get(path)
					same = i.version() == before
				}
				got := asked{w.Header().Get("ETag"), w.Body.String(), w.Header().Get("X-Eider-Caveat")}
				switch w.Code {
				case http.StatusNotModified:
					kept++
					got = known[path]
				case http.StatusOK:
					made++
				default:
					t.Fatalf("seed %d: %s: %d %s", seed, path, w.Code, w.Body)
				}
				if got.body != want.Body.String() || got.caveat != want.Header().Get("X-Eider-Caveat") {
					t.Fatalf("seed %d: %s is answered, with status %d, by\n%s %s\nbut it is\n%s %s", seed, path, w.Code,
						got.body, got.caveat, want.Body, want.Header().Get("X-Eider-Caveat"))
				}
				known[path] = got
			}
		}
		if kept == 0 || made < 10 {
			t.Errorf("seed %d: only %d answers were still good, %d were not", seed, kept, made)
		}
	}
}

// something happens within the last days.
func (i *instance) something(t *testing.T, r *rand.Rand, clock time.Time) {
	t.Helper()
	at := clock.Add(-time.Duration(r.IntN(4*24*60)) * time.Minute)
	if r.IntN(3) == 0 {
		at = clock.Add(-time.Duration(r.IntN(120)) * time.Second)
	}
	like := shared.Event{
		VisitorID: uint64(r.IntN(5)), Browser: []string{"Chrome", "Safari"}[r.IntN(2)], CountryCode: []string{"DE", "FR"}[r.IntN(2)],
		Source: []string{"", "Google"}[r.IntN(2)],
	}
	i.visit(t, at.Format(time.RFC3339), like, []string{"/", "/pricing", "/docs"}[:1+r.IntN(3)]...)
}

// version is that of the lake.
func (i *instance) version() uint64 {
	snap := i.lake.Snapshot()
	defer snap.Release()
	return snap.Version
}

// patch changes the site.
func (i *instance) patch(t *testing.T, body string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodPatch, "http://localhost:8787/api/sites/example.com", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if i.ServeHTTP(w, req); w.Code != http.StatusOK {
		t.Fatalf("PATCH %s: %d %s", body, w.Code, w.Body)
	}
}

func randomQuestion(r *rand.Rand) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	path := pick("main", "timeseries", "breakdown/pages", "breakdown/sources", "breakdown/countries", "breakdown/entry-pages", "realtime")
	return "/api/stats/" + path + "?site_id=example.com" +
		pick("&period=today", "&period=7d", "&period=all", "&start_date=2026-11-16&end_date=2026-11-17", "&start_date=2026-11-21&end_date=2026-11-21") +
		pick("", "", "&compare=previous_period") + pick("", "", "&filters=browsers==Chrome", "&filters=countries==DE") + pick("", "", "&limit=1")
}
