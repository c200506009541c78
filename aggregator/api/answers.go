package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/aggregator/turns"
)

// question is one that the files of one site answer.
type question struct {
	query stats.Query
	from  int64 // the earliest and
	to    int64 // the latest time that the answer looks at, µs since 1970
	key   string
	heavy bool // it is no overview, realtime or table: see package turns
	ask   func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error)
}

// reply is an answer as it is sent.
type reply struct {
	body    []byte
	caveats string // of the header; empty = none
	explain string // likewise, where it was asked for
}

// headerExplain says where an answer comes from: see [stats.Trace].
const headerExplain = "Eider-Explain"

// parser makes a question of a request.
type parser func(site stats.Site, r *http.Request, now time.Time) (question, error)

// answer serves a question: from the client's own copy, from the cache, or by
// asking the files. Clients that ask the same at one time share one answer.
func (s *Server) answer(parse parser) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		site, zone, err := s.site(r)
		if err != nil {
			return err
		}
		return s.respond(w, r, site, zone, func(site stats.Site, now time.Time) (question, error) { return parse(site, r, now) })
	}
}

// respond serves a question about a site. If-None-Match is for requests that only
// read; what is asked by POST has its answer from the cache.
func (s *Server) respond(w http.ResponseWriter, r *http.Request, site state.Site, zone *time.Location, parse func(stats.Site, time.Time) (question, error)) error {
	snap := s.cfg.Snapshot()
	defer snap.Release()
	q, err := parse(stats.Site{
		ID: site.ID, Zone: zone, Began: stats.Began(snap.Files, site.ID), Privacy: site.Privacy, PrivacyChanged: site.PrivacyChanged,
		Identity: site.Identity, Goals: goalsOf(&site), Days: snap.SiteDays(site.ID),
	}, s.cfg.Now())
	if err != nil {
		return err
	}
	files := stats.Relevant(snap.Files, site.ID, q.from, q.to)
	key, err := q.whole(r, &site)
	if err != nil {
		return err
	}
	tag := s.tags.of(key, files)
	w.Header().Set("ETag", tag)
	if readOnly(r.Method) && unchanged(r, tag) {
		w.Header().Set("Cache-Control", revalidate)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	r = r.WithContext(turns.With(r.Context(), s.turn(r, site.ID, q.heavy, files)))
	explain := r.URL.Query().Get("explain") == "1"
	answer, err := s.answers.Do(r.Context(), tag, func(ctx context.Context) (reply, error) {
		var t stats.Trace
		if explain {
			ctx = stats.WithTrace(ctx, &t)
		}
		answer, err := s.ask(ctx, &q, snap.Files)
		answer.explain = t.String()
		return answer, err
	})
	serverTiming(w, r, err)
	if err != nil {
		w.Header().Del("ETag")
		return err
	}
	if answer.caveats != "" {
		w.Header().Set(headerCaveat, answer.caveats)
	}
	if answer.explain != "" {
		w.Header().Set(headerExplain, answer.explain)
	}
	writeJSON(w, r, http.StatusOK, revalidate, answer.body)
	return nil
}

// whole is the question as data, and all else beside the files that its answer
// depends on. It holds more than it has to: every parameter, whoever reads it, and
// all that is known of the site. What is asked later, or is an option later, can
// then not be left out, and what is named in vain only costs an answer.
func (q *question) whole(r *http.Request, site *state.Site) (string, error) {
	known, err := json.Marshal(site)
	if err != nil {
		return "", fmt.Errorf("encode site: %w", err)
	}
	return strings.Join([]string{q.key, r.URL.Path, r.URL.Query().Encode(), string(known)}, "\x00"), nil
}

// bytes is about what a kept answer takes.
func (a reply) bytes(tag string) int64 {
	const around = 256 // its places in the maps and lists
	return int64(len(a.body)+len(a.caveats)+len(tag)) + around
}

// revalidate lets browsers keep an answer, but not use it without asking.
const revalidate = "private, no-cache"

// ask makes an answer. Whoever waits for it holds a snapshot with these files.
func (s *Server) ask(ctx context.Context, q *question, files []lake.File) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.QueryTimeout)
	defer cancel()
	v, caveats, err := q.ask(ctx, s.cfg.Engine, files)
	if err != nil {
		return reply{}, err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return reply{}, fmt.Errorf("encode answer: %w", err)
	}
	return reply{body: body, caveats: caveatField(caveats)}, nil
}

// site finds the site that a request is about, and its zone. A query string that
// can't be read whole is refused here: URL.Query leaves out the parameters that
// it can't read, and the answer would be one without their filters.
func (s *Server) site(r *http.Request) (state.Site, *time.Location, error) {
	parameters, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return state.Site{}, nil, &stats.InvalidError{
			Field: "query", Message: "can't be read: within values write ; as %3B, & as %26 and % as %25",
		}
	}
	return s.named(r, parameters.Get("site_id"))
}

// named finds a site by its name, and its zone, for whoever may ask about it.
func (s *Server) named(r *http.Request, name string) (state.Site, *time.Location, error) {
	if !validSiteID(name) {
		return state.Site{}, nil, &stats.InvalidError{
			Field: "site_id", Message: "must be a site's id, UUID or domain: 1 to 256 letters, digits and . _ : -",
		}
	}
	site, ok := s.cfg.Sites.Resolve(name)
	if !ok {
		return state.Site{}, nil, unknownSite()
	}
	if err := s.mayAsk(r, &site); err != nil {
		return state.Site{}, nil, err
	}
	zone, err := time.LoadLocation(site.Zone)
	if err != nil {
		return state.Site{}, nil, fmt.Errorf("zone of site %s: %w", site.ID, err)
	}
	return site, zone, nil
}

// validSiteID holds a name to [A-Za-z0-9._:-]{1,256}.
func validSiteID(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == ':' || c == '-') {
			return false
		}
	}
	return name != "" && len(name) <= 256
}

// ranged makes a question of the common parameters.
func ranged(kind string, site stats.Site, p url.Values, now time.Time) (question, error) {
	q, err := stats.Parse(site, p, now)
	if err != nil {
		return question{}, err
	}
	out := question{query: q}
	out.from, out.to = q.Span()
	out.key = fmt.Sprintf("%s %s %s %d %d %s %s %q %d %d", kind, site.ID, site.Zone, q.Range.From, q.Range.To,
		p.Get("compare"), q.Interval, p.Get("filters"), q.Limit, q.Offset)
	return out, nil
}

func mainStats(site stats.Site, r *http.Request, now time.Time) (question, error) {
	q, err := ranged("main", site, r.URL.Query(), now)
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		m, err := e.Main(ctx, files, q.query)
		return m, m.Meta.List(), err
	}
	return q, err
}

func timeseries(site stats.Site, r *http.Request, now time.Time) (question, error) {
	q, err := ranged("timeseries", site, r.URL.Query(), now)
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		points, err := e.Timeseries(ctx, files, q.query)
		return points, stats.SeriesCaveats(&q.query, points), err
	}
	return q, err
}

func breakdown(site stats.Site, r *http.Request, now time.Time) (question, error) {
	d, err := stats.ParseDimension("breakdown", r.PathValue("dimension"))
	if err != nil {
		return question{}, &httpError{status: http.StatusNotFound, code: "unknown_dimension", message: err.Error()}
	}
	q, err := ranged("breakdown "+strconv.Quote(d.Name()), site, r.URL.Query(), now)
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		rows, err := e.Breakdown(ctx, files, q.query, d)
		return rows, stats.TableCaveats(&q.query, d, rows), err
	}
	return q, err
}

func realtime(site stats.Site, r *http.Request, now time.Time) (question, error) {
	// A period means nothing here; limit and filters do.
	p := url.Values{"limit": r.URL.Query()["limit"], "filters": r.URL.Query()["filters"], "period": {"today"}}
	q, err := stats.Parse(site, p, now)
	if err != nil {
		return question{}, err
	}
	q.Range = stats.RealtimeRange(site.Zone, now)
	from, to := q.Span()
	return question{
		query: q, from: from, to: to,
		key: fmt.Sprintf("realtime %s %s %d %q %d", site.ID, site.Zone, q.Range.To, p.Get("filters"), q.Limit),
		ask: func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
			r, err := e.Realtime(ctx, files, q)
			return r, r.Meta.List(), err
		},
	}, nil
}
