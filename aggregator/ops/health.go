package ops

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/seal"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/shared"
)

// Sources are where health and metrics come from.
type Sources struct {
	Lake        func() lake.Stats
	Seal        func() seal.Stats // nil = nothing is
	Spool       func() spool.Stats
	Edges       func() []receive.EdgeHealth
	Pending     func() int64 // events between spool and lake
	Sites       func() int
	DeadLetters string // directory
	Version     string
}

// Health answers /health, /health/ready and /health/detailed.
type Health struct {
	sources Sources
	started time.Time
	ready   atomic.Bool
	mux     *http.ServeMux
}

// NewHealth makes a Health that is not ready yet.
func NewHealth(s Sources) *Health {
	h := &Health{sources: s, started: time.Now(), mux: http.NewServeMux()}
	h.mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	h.mux.HandleFunc("/health/ready", h.serveReady)
	h.mux.HandleFunc("/health/detailed", h.serveDetailed)
	return h
}

// SetReady says whether edges may deliver.
func (h *Health) SetReady(ready bool) { h.ready.Store(ready) }

func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (h *Health) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case !h.ready.Load():
		text(w, http.StatusServiceUnavailable, "starting or stopping")
	case h.sources.Spool().Broken != nil:
		text(w, http.StatusServiceUnavailable, "the spool needs a restart after a failed sync")
	default:
		text(w, http.StatusOK, "ready")
	}
}

// Detailed is the answer of /health/detailed. Times are RFC 3339, UTC; null is
// what has not happened.
type Detailed struct {
	Status        string       `json:"status"` // ok, degraded, starting
	Problems      []string     `json:"problems"`
	Version       string       `json:"version"`
	StartedAt     *time.Time   `json:"started_at"`
	UptimeSeconds int64        `json:"uptime_seconds"`
	Sites         int          `json:"sites"`
	Edges         []EdgeState  `json:"edges"`
	PendingEvents int64        `json:"pending_events"` // between spool and lake
	Spool         SpoolState   `json:"spool"`
	Lake          LakeState    `json:"lake"`
	Seal          *SealState   `json:"seal"`
	DeadLetters   LettersState `json:"dead_letters"`
}

// EdgeState is one edge as its newest batch described it.
type EdgeState struct {
	Edge        string            `json:"edge"`
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Epoch       string            `json:"epoch"`
	LastSeen    *time.Time        `json:"last_seen"`
	LagMS       int64             `json:"lag_ms"`
	ClockSkewMS int64             `json:"clock_skew_ms"`
	Captured    uint64            `json:"captured"`
	Queued      uint64            `json:"queued"`
	Stored      uint64            `json:"stored"`
	Rejected    uint64            `json:"rejected"`
	Lost        uint64            `json:"lost"`
	Dropped     map[string]uint64 `json:"dropped"` // by reason
}

// SpoolState is what is durable but not yet in a segment.
type SpoolState struct {
	Oldest uint64 `json:"oldest"` // position
	Next   uint64 `json:"next"`
	Bytes  int64  `json:"bytes"`
	Error  string `json:"error,omitempty"`
}

// LakeState is the lake.
type LakeState struct {
	Segments      int        `json:"segments"`
	HotFiles      int        `json:"hot_files"`
	HotRows       int64      `json:"hot_rows"`
	HotBytes      int64      `json:"hot_bytes"`
	OldestHot     *time.Time `json:"oldest_hot"`
	Committed     int64      `json:"committed_events"` // since the start
	LastCommit    *time.Time `json:"last_commit"`
	SpoolThrough  uint64     `json:"spool_through"`
	DegradedSince *time.Time `json:"degraded_since"`
	Error         string     `json:"error,omitempty"`
}

// LettersState is what could not be read at all.
type LettersState struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Detailed describes everything at this moment.
func (h *Health) Detailed() Detailed {
	s := &h.sources
	d := Detailed{
		Status: "ok", Problems: []string{}, Version: s.Version, StartedAt: at(h.started),
		UptimeSeconds: int64(time.Since(h.started).Seconds()), Sites: s.Sites(), Edges: []EdgeState{},
		PendingEvents: s.Pending(), DeadLetters: countLetters(s.DeadLetters),
	}
	spooled := s.Spool()
	d.Spool = SpoolState{Oldest: spooled.Oldest, Next: spooled.Next, Bytes: spooled.Bytes}
	if spooled.Broken != nil {
		d.Spool.Error = spooled.Broken.Error()
		d.Problems = append(d.Problems, "the spool takes nothing until a restart")
	}
	d.Lake = lakeState(s.Lake())
	if d.Lake.DegradedSince != nil {
		d.Problems = append(d.Problems, "the lake can't be written, events wait in the spool")
	}
	d.Seal = sealState(s.Seal)
	if d.Seal != nil && d.Seal.Error != "" {
		d.Problems = append(d.Problems, "a day can't be sealed: it is answered from its events, slower")
	}
	for _, e := range s.Edges() {
		d.Edges = append(d.Edges, edgeState(&e))
	}
	switch {
	case len(d.Problems) > 0:
		d.Status = "degraded"
	case !h.ready.Load():
		d.Status = "starting"
	}
	return d
}

func (h *Health) serveDetailed(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(h.Detailed()) // a reader who went away is no error of ours
}

func lakeState(s lake.Stats) LakeState {
	state := LakeState{
		Segments: s.Segments, HotFiles: s.HotFiles, HotRows: s.HotRows, HotBytes: s.HotBytes, OldestHot: at(s.OldestHot),
		Committed: s.Committed, LastCommit: at(s.LastCommit), SpoolThrough: s.SpoolThrough, DegradedSince: at(s.DegradedSince),
	}
	if s.Err != nil {
		state.Error = s.Err.Error()
	}
	return state
}

func edgeState(e *receive.EdgeHealth) EdgeState {
	c := &e.Counters
	state := EdgeState{
		Edge: e.ID.String(), Name: e.Name, Version: e.Version, Epoch: e.Epoch.String(), LagMS: e.LagMS, ClockSkewMS: e.SkewMS,
		Captured: c.Captured, Stored: e.Accepted, Rejected: e.Rejected, Lost: e.Lost, Queued: Queued(e),
		Dropped: make(map[string]uint64, len(c.Dropped)),
	}
	if e.LastSeen != 0 {
		state.LastSeen = at(time.UnixMicro(e.LastSeen))
	}
	for reason := range c.Dropped {
		state.Dropped[shared.DropReason(reason).String()] = c.Dropped[reason].Count
	}
	return state
}

// Queued is what an edge captured and nobody has accounted for: what is still
// on its way. The edge's own number was read before its newest batch arrived.
func Queued(e *receive.EdgeHealth) uint64 {
	done := e.Accepted + e.Rejected + e.Lost + e.Counters.DroppedTotal()
	return max(e.Counters.Captured, done) - done
}

func countLetters(dir string) LettersState {
	var s LettersState
	entries, err := os.ReadDir(dir)
	if err != nil { // there is none before the first letter
		return s
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			s.Files++
			s.Bytes += info.Size()
		}
	}
	return s
}

func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}
