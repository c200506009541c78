package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/aggregator/turns"
)

// edgeAnswer is one edge's books: captured = stored + queued + dropped +
// rejected + lost, as of its newest batch.
type edgeAnswer struct {
	Edge        string `json:"edge"`
	Epoch       string `json:"epoch"`
	Name        string `json:"name"`
	Version     string `json:"version"`
	Captured    uint64 `json:"captured"`
	Stored      uint64 `json:"stored"`
	Queued      uint64 `json:"queued"`
	Dropped     uint64 `json:"dropped"`
	Rejected    uint64 `json:"rejected"`
	Lost        uint64 `json:"lost"`
	LagMS       int64  `json:"lag_ms"`
	ClockSkewMS int64  `json:"clock_skew_ms"`
	// LastSeen is when its newest batch came, RFC 3339, UTC; null = not yet.
	LastSeen *string `json:"last_seen"`
}

// incidentAnswer is a span of time that is incomplete.
type incidentAnswer struct {
	From   string `json:"from"` // RFC 3339, UTC
	To     string `json:"to"`
	Count  uint64 `json:"count"`
	Reason string `json:"reason"`
}

type accountingAnswer struct {
	*stats.Books
	// Erased are rows of the range's days that were accepted, and erased since: the
	// terms above are without them, requests and results are not.
	Erased     int64            `json:"erased"`
	Edges      []edgeAnswer     `json:"edges"`
	Incomplete []incidentAnswer `json:"incomplete"`
	// IdentityChanged are the moments, RFC 3339, at which identities began anew
	// because the salts were lost: visitors before and after are not the same.
	IdentityChanged []string `json:"identity_changed"`
}

// accounting says what became of every request of the range, what its page
// views are made of, what became of everything that the edges captured, and in
// which spans of the range something is missing.
func (s *Server) accounting(w http.ResponseWriter, r *http.Request) error {
	site, zone, err := s.site(r)
	if err != nil {
		return err
	}
	snap := s.cfg.Snapshot()
	defer snap.Release()
	began := stats.Began(snap.Files, site.ID)
	q, err := stats.Parse(stats.Site{ID: site.ID, Zone: zone, Began: began}, r.URL.Query(), s.cfg.Now())
	if err != nil {
		return err
	}
	from, to := q.Span()
	r = r.WithContext(turns.With(r.Context(), s.turn(r, site.ID, false, stats.Relevant(snap.Files, site.ID, from, to))))
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.QueryTimeout)
	defer cancel()
	books, err := s.cfg.Engine.Books(ctx, snap.Files, q)
	serverTiming(w, r, err)
	if err != nil {
		return err
	}
	incidents, err := s.cfg.Books.Incidents(q.Range.From, q.Range.To-1)
	if err != nil {
		return fmt.Errorf("read incidents: %w", err)
	}
	answer := accountingAnswer{Books: books, Edges: []edgeAnswer{}, Incomplete: []incidentAnswer{}, IdentityChanged: []string{}}
	if answer.Erased, err = s.erased(&q); err != nil {
		return err
	}
	for _, e := range s.cfg.Books.Edges() {
		answer.Edges = append(answer.Edges, booksOf(&e))
	}
	for _, i := range incidents {
		if i.Reason == state.IdentityChanged {
			answer.IdentityChanged = append(answer.IdentityChanged, rfc3339(i.From))
			continue
		}
		answer.Incomplete = append(answer.Incomplete, incidentAnswer{rfc3339(i.From), rfc3339(i.To), i.Count, i.Reason})
	}
	return s.made(w, r, answer)
}

func rfc3339(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339) }

// booksOf balances an edge's books by what arrived here: its own counters were
// read when its newest batch was sealed, before anybody could know that this
// batch would arrive.
func booksOf(e *receive.EdgeHealth) edgeAnswer {
	var seen *string
	if e.LastSeen != 0 {
		text := rfc3339(e.LastSeen)
		seen = &text
	}
	return edgeAnswer{
		Edge: e.ID.String(), Epoch: e.Epoch.String(), Name: e.Name, Version: e.Version,
		Captured: e.Counters.Captured, Stored: e.Accepted, Queued: ops.Queued(e), Dropped: e.Counters.DroppedTotal(),
		Rejected: e.Rejected, Lost: e.Lost, LagMS: e.LagMS, ClockSkewMS: e.SkewMS,
		LastSeen: seen,
	}
}

// made answers with what does not come from files: its tag is its own content.
func (s *Server) made(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	tag := s.tags.ofBody(body)
	w.Header().Set("ETag", tag)
	if unchanged(r, tag) {
		w.Header().Set("Cache-Control", revalidate)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeJSON(w, r, http.StatusOK, revalidate, body)
	return nil
}
