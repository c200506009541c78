package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// behaviour are the questions about what visitors do one after another.
var behaviour = map[string]parser{
	"sessions":    sessions,
	"funnel":      funnel,
	"retention":   retention,
	"sequences":   sequences,
	"flow":        flow,
	"journeys":    journeys,
	"attribution": attribution,
}

// behaved makes a question of a query that has been read. parameters are those
// which it was read from beside the common ones.
func behaved(kind string, site stats.Site, q *stats.Query, p url.Values, parameters ...string) question {
	key := fmt.Sprintf("%s %s %s %s %+v %d %d %q %d %d", kind, site.ID, site.Zone, q.Range.Zone, site.Goals, q.Range.From, q.Range.To, p.Get("filters"), q.Limit, q.Offset)
	for _, name := range parameters {
		key += fmt.Sprintf(" %q", p.Get(name))
	}
	out := question{query: *q, key: key, heavy: true}
	out.from, out.to = q.Span()
	return out
}

func sessions(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	query, err := stats.Parse(site, p, now)
	if err != nil {
		return question{}, err
	}
	q := behaved("sessions", site, &query, p)
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		s, err := e.Sessions(ctx, files, query)
		if err != nil {
			return nil, nil, err
		}
		return s, s.Meta.List(), nil
	}
	return q, nil
}

func funnel(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	query, err := stats.ParseFunnel(site, p, now)
	if err != nil {
		return question{}, err
	}
	q := behaved("funnel", site, &query.Query, p, "steps", "window", "modes", "breakdown")
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		return e.AskFunnel(ctx, files, &query)
	}
	return q, nil
}

func retention(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	query, err := stats.ParseRetention(site, p, now)
	if err != nil {
		return question{}, err
	}
	q := behaved("retention", site, &query.Query, p, "period", "start", "return")
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		a, err := e.Retention(ctx, files, &query)
		if err != nil {
			return nil, nil, err
		}
		return a, a.Meta.List(), nil
	}
	return q, nil
}

func sequences(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	query, err := stats.ParseSequence(site, p, now)
	if err != nil {
		return question{}, err
	}
	q := behaved("sequences", site, &query.Query, p, "steps", "pattern")
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		a, err := e.Sequence(ctx, files, &query)
		if err != nil {
			return nil, nil, err
		}
		return a, a.Meta.List(), nil
	}
	return q, nil
}

func flow(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	query, err := stats.ParseFlow(site, p, now)
	if err != nil {
		return question{}, err
	}
	q := behaved("flow", site, &query.Query, p, "page", "direction", "base", "depth")
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		return e.AskFlow(ctx, files, &query)
	}
	return q, nil
}

func journeys(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	query, err := stats.ParseJourneys(site, p, now)
	if err != nil {
		return question{}, err
	}
	q := behaved("journeys", site, &query.Query, p, "entry", "length")
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		a, err := e.Journeys(ctx, files, &query)
		if err != nil {
			return nil, nil, err
		}
		return a, a.Meta.List(), nil
	}
	return q, nil
}

func attribution(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	query, err := stats.ParseAttribution(site, p, now)
	if err != nil {
		return question{}, err
	}
	q := behaved("attribution", site, &query.Query, p, "conversion", "by", "lookback")
	q.from, q.to = query.Span()
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		a, err := e.Attribution(ctx, files, &query)
		if err != nil {
			return nil, nil, err
		}
		return a, a.Meta.List(), nil
	}
	return q, nil
}
