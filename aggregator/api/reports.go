package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// object is a JSON object whose fields stay in their order.
type object []field

type field struct {
	name  string
	value any
}

// MarshalJSON writes the fields in order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// line is a row of an answer: its value under a name of its own, then numbers.
func line(name string, value any, metrics []string, numbers []*float64) object {
	o := object{{name, value}}
	for i, m := range metrics {
		o = append(o, field{m, numbers[i]})
	}
	return o
}

// report is the way of most questions: common parameters, and an answer.
func report(kind string, ask func(context.Context, *Engine, []lake.File, stats.Query) (any, []stats.Caveat, error)) parser {
	return func(site stats.Site, r *http.Request, now time.Time) (question, error) {
		q, err := ranged(kind, site, r.URL.Query(), now)
		if err != nil {
			return q, err
		}
		q.key += " " + q.query.Key()
		q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
			return ask(ctx, e, files, q.query)
		}
		return q, nil
	}
}

// requestTable is a report of one table of requests.
func requestTable[T any](kind string, ask func(*Engine, context.Context, []lake.File, stats.Query) ([]T, error)) parser {
	return report(kind, func(ctx context.Context, e *Engine, files []lake.File, q stats.Query) (any, []stats.Caveat, error) {
		list, err := ask(e, ctx, files, q)
		var visitors []stats.Count
		for i := range list {
			switch v := any(&list[i]).(type) {
			case *stats.Download:
				visitors = append(visitors, v.Visitors)
			case *stats.Feed:
				visitors = append(visitors, v.Direct)
			}
		}
		return list, stats.RequestCaveats(&q, visitors...), err
	})
}

// asked is a question of metrics by dimensions that parameters make.
func asked(kind string, site stats.Site, p url.Values, now time.Time, by func(stats.Query) (stats.Query, error),
	shape func(q *stats.Query, a *stats.Answer) any,
) (question, error) {
	q, err := stats.Parse(site, p, now)
	if err != nil {
		return question{}, err
	}
	if q, err = by(q); err != nil {
		return question{}, err
	}
	return asking(kind, site, q, func(a *stats.Answer) (any, []stats.Caveat) { return shape(&q, a), a.Caveats }), nil
}

// mainTotals are the totals with what the first ones did not have.
type mainTotals struct {
	stats.Totals
	Events *float64 `json:"events"`
}

type mainAnswer struct {
	mainTotals
	Comparison *mainTotals `json:"comparison,omitempty"`
	Meta       *stats.Meta `json:"meta,omitempty"`
}

// mainWithEvents answers with the totals and the number of events.
func mainWithEvents(site stats.Site, r *http.Request, now time.Time) (question, error) {
	q, err := mainStats(site, r, now)
	if err != nil {
		return q, err
	}
	events, err := q.query.By([]string{"events"})
	if err != nil {
		return q, err
	}
	events.Limit, events.Offset = 1, 0
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		m, err := e.Main(ctx, files, q.query)
		if err != nil {
			return nil, nil, err
		}
		a, err := e.Ask(ctx, files, events)
		if err != nil {
			return nil, nil, err
		}
		out := mainAnswer{mainTotals: mainTotals{m.Totals, a.Results[0].Metrics[0]}, Meta: m.Meta}
		if m.Comparison != nil {
			out.Comparison = &mainTotals{*m.Comparison, a.Results[0].Comparison[0]}
		}
		return out, m.Meta.List(), nil
	}
	return q, nil
}

// withMetrics lets a question of one table ask for more metrics.
func withMetrics(plain, more parser) parser {
	return func(site stats.Site, r *http.Request, now time.Time) (question, error) {
		if r.URL.Query().Get("metrics") == "" {
			return plain(site, r, now)
		}
		return more(site, r, now)
	}
}

// metricsOf are those that are always there, and those that the parameter metrics
// names beside them.
func metricsOf(p url.Values, always ...string) []string {
	list := always
	for name := range strings.SplitSeq(p.Get("metrics"), ",") {
		if name = strings.TrimSpace(name); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

func seriesOfMetrics(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	metrics := metricsOf(p, "visitors", "pageviews")
	return asked("timeseries", site, p, now, func(q stats.Query) (stats.Query, error) {
		q.Compare = nil
		return q.ByTime(metrics)
	}, func(q *stats.Query, a *stats.Answer) any {
		list := []object{}
		for _, row := range a.Filled(q) {
			list = append(list, line("date", row.Groups[0], metrics, row.Metrics))
		}
		return list
	})
}

func tableOfMetrics(site stats.Site, r *http.Request, now time.Time) (question, error) {
	d, err := stats.ParseDimension("breakdown", r.PathValue("dimension"))
	if err != nil {
		return question{}, &httpError{status: http.StatusNotFound, code: "unknown_dimension", message: err.Error()}
	}
	p := r.URL.Query()
	metrics := metricsOf(p, "visitors", "pageviews", "events")
	return asked("breakdown", site, p, now, func(q stats.Query) (stats.Query, error) {
		q.Compare = nil
		q, err := q.By(metrics, d.Name())
		if d.ByRows() {
			q = q.First("events")
		}
		return q, err
	}, func(_ *stats.Query, a *stats.Answer) any {
		list := []object{}
		for _, row := range a.Results {
			list = append(list, line("value", row.Groups[0], metrics, row.Metrics))
		}
		return list
	})
}

// goalStats answers with every goal of the site, those that most met first.
func goalStats(site stats.Site, r *http.Request, now time.Time) (question, error) {
	metrics := []string{"visitors", "events", "conversion_rate"}
	if len(site.Goals) == 0 {
		q, err := ranged("goals", site, r.URL.Query(), now)
		q.ask = func(context.Context, *Engine, []lake.File) (any, []stats.Caveat, error) { return []object{}, nil, nil }
		return q, err
	}
	var total stats.Query
	q, err := asked("goals", site, r.URL.Query(), now, func(q stats.Query) (stats.Query, error) {
		q.Compare = nil
		var err error
		if total, err = q.By([]string{"visitors"}); err != nil {
			return q, err
		}
		total.Limit, total.Offset = 1, 0
		return q.By(metrics, "event:goal")
	}, nil)
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		a, err := e.Ask(ctx, files, q.query)
		if err != nil {
			return nil, nil, err
		}
		all, err := e.Ask(ctx, files, total)
		if err != nil {
			return nil, nil, err
		}
		// Goals that nobody met, if somebody was there.
		none := []*float64{new(float64), new(float64), nil}
		if visitors := all.Results[0].Metrics[0]; visitors == nil {
			none[0] = nil
		} else if *visitors > 0 {
			none[2] = new(float64)
		}
		list := []object{}
		met := map[string]bool{}
		for _, row := range a.Results {
			met[row.Groups[0]] = true
			list = append(list, line("name", row.Groups[0], metrics, row.Metrics))
		}
		for _, name := range q.query.GoalNames() {
			if !met[name] && len(list) < q.query.Limit && q.query.Offset == 0 {
				list = append(list, line("name", name, metrics, none))
			}
		}
		return list, a.Caveats, nil
	}
	return q, err
}

func propertyValues(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	key := p.Get("key")
	if key == "" {
		return question{}, &stats.InvalidError{Field: "key", Message: "names the property: /api/stats/properties lists them"}
	}
	metrics := []string{"visitors", "events"}
	return asked("property-values", site, p, now, func(q stats.Query) (stats.Query, error) {
		q.Compare = nil
		name := "event:props:" + key
		q, err := q.By(metrics, name)
		if err != nil {
			return q, err
		}
		if event := p.Get("event"); event != "" {
			if q, err = q.Only("event:name", event); err != nil {
				return q, err
			}
		}
		return q.Known(name)
	}, func(_ *stats.Query, a *stats.Answer) any {
		list := []object{}
		for _, row := range a.Results {
			list = append(list, line("value", row.Groups[0], metrics, row.Metrics))
		}
		return list
	})
}

// reports are the questions below /api/stats/ that are no more than a parser.
var reports = map[string]parser{
	"main":                  mainWithEvents,
	"timeseries":            withMetrics(timeseries, seriesOfMetrics),
	"breakdown/{dimension}": withMetrics(breakdown, tableOfMetrics),
	"goals":                 goalStats,
	"properties": report("properties", func(ctx context.Context, e *Engine, files []lake.File, q stats.Query) (any, []stats.Caveat, error) {
		list, err := e.Properties(ctx, files, q)
		return list, stats.RequestCaveats(&q), err
	}),
	"property-values": propertyValues,
	"revenue": report("revenue", func(ctx context.Context, e *Engine, files []lake.File, q stats.Query) (any, []stats.Caveat, error) {
		return revenueOf(ctx, e, files, q)
	}),
	"bots":      requestTable("bots", (*Engine).Bots),
	"crawlers":  requestTable("crawlers", (*Engine).Crawlers),
	"not-found": requestTable("not-found", (*Engine).NotFound),
	"downloads": requestTable("downloads", (*Engine).Downloads),
	"hotlinks":  requestTable("hotlinks", (*Engine).Hotlinks),
	"feeds":     weekBefore(requestTable("feeds", (*Engine).Feeds)),
	"delivery":  requestTable("delivery", (*Engine).Delivery),
}

// weekBefore is of a question that looks at the week before the end of its range,
// however short that is.
func weekBefore(p parser) parser {
	return func(site stats.Site, r *http.Request, now time.Time) (question, error) {
		q, err := p(site, r, now)
		if err != nil {
			return q, err
		}
		q.from = min(q.from, q.query.Range.To-(7*24*time.Hour).Microseconds())
		return q, nil
	}
}

func revenueOf(ctx context.Context, e *Engine, files []lake.File, q stats.Query) (any, []stats.Caveat, error) {
	r, caveats, err := e.Revenue(ctx, files, q)
	if err != nil {
		return nil, nil, err
	}
	table := func(name string, list []stats.Takings) []object {
		out := []object{}
		for _, t := range list {
			o := object{}
			if name != "" {
				o = append(o, field{name, t.Value})
			}
			out = append(out, append(o, field{"currency", t.Currency}, field{"total", t.Total}, field{"transactions", t.Transactions},
				field{"paying_visitors", t.Payers}, field{"average_order_value", t.Average}))
		}
		return out
	}
	return object{
		{"by_currency", table("", r.ByCurrency)},
		{"by_event", table("name", r.ByEvent)},
		{"by_page", table("pathname", r.ByPage)},
		{"by_source", table("source", r.BySource)},
	}, caveats, nil
}
