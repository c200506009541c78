package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestSumsOfRequestsReachTheAggregator: what the metrics say of a site when
// Caddy stops is what its sums add up to, over a reload and a restart.
func TestSumsOfRequestsReachTheAggregator(t *testing.T) {
	e := newEdge(t)
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
		case "/style.css":
			w.Header().Set("Content-Type", "text/css")
		default:
			w.Header().Set("Content-Type", "text/html")
		}
	})
	site := `$ADDR {
	eider {
		site demo.localhost
		exclude /private/*
	}
	reverse_proxy ` + up + `
}`
	want, sent := map[string]uint64{}, uint64(0)
	for range 2 { // Caddy runs twice
		e.load(site)
		for n, path := range []string{"/", "/a", "/gone", "/style.css", "/private/x", "/a?b=c"} {
			if n == 3 {
				e.load(site + "\n# changed")
			}
			e.get(path)
			sent++
		}
		eventually(t, "a result of each request", func() bool { return sum(e.results()) >= 6 })
		for result, n := range e.results() {
			want[result] += uint64(n)
		}
		e.stop()
	}
	var total uint64
	eventually(t, "the sums", func() bool { return len(e.agg.sums()) >= 2 })
	got, keys := map[string]uint64{}, map[string]bool{}
	for _, ev := range e.agg.sums() {
		if ev.Site != "demo.localhost" || ev.Kind != shared.KindCompletion || ev.Origin != shared.OriginEdge || keys[ev.DedupeKey] || ev.Check() != "" {
			t.Errorf("sums %+v", ev)
		}
		keys[ev.DedupeKey] = true
		for _, p := range ev.Props {
			n, err := strconv.ParseUint(p.Value, 10, 64)
			if err != nil {
				t.Error(err)
			}
			got[p.Key] += n
			total += n
		}
	}
	for result, n := range want {
		if n == 0 {
			delete(want, result)
		}
	}
	if !reflect.DeepEqual(got, want) || total != sent {
		t.Errorf("the sums are %v, %d in all; the metrics said %v of %d requests", got, total, want, sent)
	}
}

// forgetful is a log that fails, and may have written all the same.
type forgetful struct {
	fail    bool
	written map[string]shared.Event
}

func (f *forgetful) AddWait(_ context.Context, events []shared.Event) error {
	for _, e := range events {
		if had, ok := f.written[e.DedupeKey]; ok && !reflect.DeepEqual(had, e) {
			return errors.New("the same key with other content")
		}
		f.written[e.DedupeKey] = e
	}
	if f.fail {
		return errors.New("not sure")
	}
	return nil
}

// TestSumsAreSaidAgainAsTheyWere: an event whose writing is in doubt comes
// again under its key, and what was counted meanwhile comes in the next one.
func TestSumsAreSaidAgainAsTheyWere(t *testing.T) {
	rt := newRuntime(t.TempDir())
	log := &forgetful{written: map[string]shared.Event{}}
	s := rt.site("demo.localhost")
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for n := range 6 {
		s.count(shared.ResultPageview)
		log.fail = n%3 != 2
		rt.writeSums(t.Context(), log, at.Add(time.Duration(n)*time.Minute))
	}
	log.fail = false
	rt.writeSums(t.Context(), log, at)
	rt.writeSums(t.Context(), log, at)
	total := 0
	for _, e := range log.written {
		for _, p := range e.Props {
			n, _ := strconv.Atoi(p.Value)
			total += n
		}
	}
	if total != 6 || len(log.written) != 3 {
		t.Errorf("%d requests in %d events, want 6 in 3", total, len(log.written))
	}
}
