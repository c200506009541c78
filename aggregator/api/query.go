package api

import (
	"context"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// maxQuestion bounds the body of a question: 20 comparisons of 200 values fit
// into it several times.
const maxQuestion = 256 << 10

// dialect is in whose words a question of metrics by groups is answered.
type dialect struct {
	name string
	// number is a metric as the dialect writes it, and change what became of it.
	number func(metric string, v float64) float64
	change func(metric string, before, now float64) *float64
	label  func(text string, timed bool) string
}

// ours has rates from 0 to 1 and whole precision.
var ours = dialect{
	name:   "query",
	number: func(_ string, v float64) float64 { return v },
	change: func(_ string, before, now float64) *float64 {
		if before == 0 {
			return nil
		}
		v := (now - before) / before
		return &v
	},
	label: func(text string, _ bool) string { return text },
}

// queryMeta is what to know of the results.
type queryMeta struct {
	TimeLabels     []string                 `json:"time_labels,omitempty"`
	TotalRows      *int64                   `json:"total_rows,omitempty"`
	MetricWarnings map[string]metricWarning `json:"metric_warnings,omitempty"`
	Caveats        []stats.Caveat           `json:"caveats,omitempty"`
}

type metricWarning struct {
	Code    string `json:"code"`
	Warning string `json:"warning"`
}

type queryResult struct {
	Dimensions []string         `json:"dimensions"`
	Metrics    []*float64       `json:"metrics"`
	Comparison *queryComparison `json:"comparison,omitempty"`
}

type queryComparison struct {
	Dimensions []*string  `json:"dimensions"` // null = the other range has no such bucket
	Metrics    []*float64 `json:"metrics"`
	Change     []*float64 `json:"change"`
}

type queryAnswer struct {
	Results []queryResult    `json:"results"`
	Meta    queryMeta        `json:"meta"`
	Query   stats.Understood `json:"query"`
}

// query serves POST /api/query and its like in another dialect.
func (s *Server) query(d *dialect) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := readQuestion(w, r)
		if err != nil {
			return err
		}
		name, err := stats.SiteOf(body)
		if err != nil {
			return err
		}
		site, zone, err := s.named(r, name)
		if err != nil {
			return err
		}
		return s.respond(w, r, site, zone, func(site stats.Site, now time.Time) (question, error) {
			q, err := stats.ParseJSON(site, body, now)
			if err != nil {
				return question{}, err
			}
			return asking(d.name, site, q, func(a *stats.Answer) (any, []stats.Caveat) { return d.answer(&q, a), a.Caveats }), nil
		})
	}
}

// asking makes a question of metrics by groups, whose answer is shaped by shape.
func asking(kind string, site stats.Site, q stats.Query, shape func(*stats.Answer) (any, []stats.Caveat)) question {
	out := question{query: q, key: kind + " " + site.Zone.String() + " " + q.Key()}
	out.from, out.to = q.Span()
	out.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		a, err := e.Ask(ctx, files, q)
		if err != nil {
			return nil, nil, err
		}
		v, caveats := shape(a)
		return v, caveats, nil
	}
	return out
}

// readQuestion reads a body of JSON; see readChange for why nothing else.
func readQuestion(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != "application/json" {
		return nil, &httpError{status: http.StatusUnsupportedMediaType, code: "unsupported_type", message: "Content-Type must be application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &httpError{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "the question is larger than 256 KB"}
	case err != nil:
		return nil, &httpError{status: http.StatusBadRequest, code: "invalid", message: "the body could not be read"}
	}
	return body, nil
}

func (d *dialect) answer(q *stats.Query, a *stats.Answer) queryAnswer {
	out := queryAnswer{Results: make([]queryResult, len(a.Results)), Query: q.Understood()}
	names := out.Query.Metrics
	for i := range a.Results {
		r := &a.Results[i]
		row := queryResult{Dimensions: d.labels(q, r.Groups), Metrics: d.numbers(names, r.Metrics)}
		if q.Compare != nil {
			c := &queryComparison{Metrics: d.numbers(names, r.Comparison), Change: make([]*float64, len(names)), Dimensions: []*string{}}
			for n, label := range r.Before {
				if label == nil {
					c.Dimensions = append(c.Dimensions, nil)
					continue
				}
				text := d.label(*label, q.Groups[n].Timed())
				c.Dimensions = append(c.Dimensions, &text)
			}
			for n := range names {
				if c.Metrics[n] != nil && row.Metrics[n] != nil {
					c.Change[n] = d.change(names[n], *c.Metrics[n], *row.Metrics[n])
				}
			}
			row.Comparison = c
		}
		out.Results[i] = row
	}
	for _, label := range a.Labels {
		out.Meta.TimeLabels = append(out.Meta.TimeLabels, d.label(label, true))
	}
	if q.TotalRows {
		out.Meta.TotalRows = &a.Total
	}
	out.Meta.Caveats = a.Caveats
	for _, c := range a.Caveats {
		for _, name := range c.Affects {
			if _, said := out.Meta.MetricWarnings[name]; said || !slices.Contains(names, name) {
				continue
			}
			if out.Meta.MetricWarnings == nil {
				out.Meta.MetricWarnings = map[string]metricWarning{}
			}
			out.Meta.MetricWarnings[name] = metricWarning{c.Reason, c.Message}
		}
	}
	return out
}

func (d *dialect) labels(q *stats.Query, groups []string) []string {
	out := make([]string, len(groups))
	for i, label := range groups {
		out[i] = d.label(label, q.Groups[i].Timed())
	}
	return out
}

func (d *dialect) numbers(names []string, numbers []*float64) []*float64 {
	out := make([]*float64, len(numbers))
	for i, v := range numbers {
		if v != nil {
			n := d.number(names[i], *v)
			out[i] = &n
		}
	}
	return out
}

// plausible writes numbers as Plausible's stats API v2 does
// (https://plausible.io/docs/stats-api): percentages, and few digits.
var plausible = dialect{
	name: "v2/query",
	number: func(metric string, v float64) float64 {
		switch {
		case metric == "bounce_rate":
			return math.Round(100 * v)
		case percentage(metric):
			return rounded(100*v, 1)
		case metric == "views_per_visit", strings.Contains(metric, "revenue"):
			return rounded(v, 2)
		case metric == "visit_duration", metric == "scroll_depth", metric == "time_on_page":
			return math.Round(v)
		}
		return v
	},
	change: func(metric string, before, now float64) *float64 {
		var v float64
		switch {
		case metric == "bounce_rate" || percentage(metric): // percent of percents say little
			if before == 0 && metric == "bounce_rate" {
				return nil
			}
			v = rounded(now-before, 1)
		case before == 0 && now > 0:
			v = 100
		case before != 0:
			v = math.Round((now - before) / before * 100)
		}
		return &v
	},
	label: func(text string, timed bool) string {
		if timed {
			return strings.Replace(text, "T", " ", 1)
		}
		return text
	},
}

// percentage reports whether a metric is a share of something.
func percentage(metric string) bool {
	switch metric {
	case "conversion_rate", "group_conversion_rate", "percentage", "exit_rate", "cache_hit_rate":
		return true
	}
	return false
}

func rounded(v float64, digits int) float64 {
	f := math.Pow10(digits)
	return math.Round(v*f) / f
}
