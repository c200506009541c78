package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/shared"
)

// umamiReports are the questions below /api/websites/{id}/.
var umamiReports = map[string]parser{
	"stats":         umamiStats,
	"pageviews":     umamiPageviews,
	"metrics":       umamiMetrics,
	"events/series": umamiEventSeries,
	"sessions":      umamiSessions,
	"active":        umamiActive,
}

// umamiFilters are Umami's parameters by the dimensions that they filter on, in
// the order in which they are read.
var umamiFilters = []struct{ parameter, dimension string }{
	{"path", "event:page"},
	{"referrer", "visit:referrer"},
	{"title", "event:title"},
	{"hostname", "event:hostname"},
	{"event", "event:name"},
	{"tag", "event:tag"},
	{"os", "visit:os"},
	{"browser", "visit:browser"},
	{"device", "visit:device"},
	{"country", "visit:country"},
	{"region", "visit:region"},
	{"city", "visit:city"},
	{"language", "visit:language"},
	{"utmSource", "visit:utm_source"},
	{"utmMedium", "visit:utm_medium"},
	{"utmCampaign", "visit:utm_campaign"},
	{"utmContent", "visit:utm_content"},
	{"utmTerm", "visit:utm_term"},
}

// umamiOperators are what a filter's value may begin with; without, it is eq.
var umamiOperators = map[string]string{"eq": "is", "neq": "is_not", "c": "contains", "dnc": "contains_not"}

// umamiTypes are the kinds of Umami's tables by our dimensions.
var umamiTypes = map[string]string{
	"path": "event:page", "url": "event:page", "entry": "visit:entry_page", "exit": "visit:exit_page", "title": "event:title", "hostname": "event:hostname",
	"referrer": "visit:referrer", "channel": "visit:channel", "event": "event:name", "tag": "event:tag", "os": "visit:os", "browser": "visit:browser",
	"device": "visit:device", "country": "visit:country", "region": "visit:region", "city": "visit:city", "language": "visit:language", "screen": "visit:screen",
	"utmSource": "visit:utm_source", "utmMedium": "visit:utm_medium", "utmCampaign": "visit:utm_campaign", "utmContent": "visit:utm_content", "utmTerm": "visit:utm_term",
}

// umamiAsk is a question in Umami's parameters, on its way to one of ours.
type umamiAsk struct {
	Site       string         `json:"site_id"`
	Metrics    []string       `json:"metrics"`
	Range      [2]string      `json:"date_range"`
	Zone       string         `json:"timezone"`
	Dimensions []string       `json:"dimensions"`
	Filters    []any          `json:"filters"`
	Include    map[string]any `json:"include"`
	Pagination map[string]int `json:"pagination"`
	from, to   time.Time      // to is excluded
	utc        bool           // times are written in it
}

// umamiQuery reads the parameters that all of the reports have.
func umamiQuery(p url.Values) (*umamiAsk, error) {
	for _, name := range []string{"query", "distinctId", "segment", "cohort", "excludeBounce", "eventType"} {
		if p.Get(name) != "" {
			return nil, &stats.InvalidError{Field: name, Message: "can't be filtered on here: ask POST /api/query"}
		}
	}
	if match := p.Get("match"); match != "" && match != "all" {
		return nil, &stats.InvalidError{Field: "match", Message: "can be all: ask POST /api/query for others"}
	}
	a := &umamiAsk{Zone: p.Get("timezone"), Dimensions: []string{}, Filters: []any{}, Include: map[string]any{}, Pagination: map[string]int{"limit": 500}}
	if a.utc = a.Zone == "" || strings.EqualFold(a.Zone, "utc"); a.utc {
		a.Zone = "UTC"
	}
	var err error
	if a.from, err = umamiTime(p, "startAt"); err != nil {
		return nil, err
	}
	a.from = notBefore(a.from, umamiFirst) // 0 is "from the beginning"
	if a.to, err = umamiTime(p, "endAt"); err != nil {
		return nil, err
	}
	if a.to = a.to.Add(time.Millisecond); !a.to.After(a.from) {
		return nil, &stats.InvalidError{Field: "endAt", Message: "is before startAt"}
	}
	for _, f := range umamiFilters {
		text := p.Get(f.parameter)
		if text == "" {
			continue
		}
		operator := "is"
		if begin, rest, ok := strings.Cut(text, "."); ok && umamiOperators[begin] != "" {
			operator, text = umamiOperators[begin], rest
		}
		values := []string{text}
		if strings.HasPrefix(operator, "is") {
			values = strings.Split(text, ",")
		}
		a.Filters = append(a.Filters, []any{operator, f.dimension, values})
	}
	for _, name := range []string{"limit", "offset"} {
		if text := p.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, &stats.InvalidError{Field: name, Message: "must be a number"}
			}
			a.Pagination[name] = n
		}
	}
	return a, nil
}

func umamiTime(p url.Values, name string) (time.Time, error) {
	ms, err := strconv.ParseInt(p.Get(name), 10, 64)
	if err != nil || ms < 0 || ms > 1<<45 {
		return time.Time{}, &stats.InvalidError{Field: name, Message: "must be a time in milliseconds since 1970"}
	}
	return time.UnixMilli(ms), nil
}

// query makes it one of ours.
func (a *umamiAsk) query(site stats.Site, now time.Time, metrics []string, dimensions ...string) (stats.Query, error) {
	a.Site, a.Metrics = site.ID, metrics
	if len(dimensions) > 0 {
		a.Dimensions = dimensions
	}
	a.Range = [2]string{a.from.UTC().Format(time.RFC3339Nano), a.to.UTC().Format(time.RFC3339Nano)}
	body, err := json.Marshal(a)
	if err != nil {
		return stats.Query{}, fmt.Errorf("encode question: %w", err)
	}
	return stats.ParseJSON(site, body, now)
}

// unit is the dimension of the parameter of that name.
func (a *umamiAsk) unit(p url.Values) string {
	if unit := p.Get("unit"); unit != "" {
		return "time:" + unit
	}
	return "time"
}

// before is the range that compare asks for; "" is the one just before. Nothing
// is known of times before the first year that can be asked for.
func (a *umamiAsk) before(compare string) (from, to time.Time) {
	from, to = a.from.Add(-a.to.Sub(a.from)), a.from
	if compare == "yoy" {
		from, to = a.from.AddDate(-1, 0, 0), a.to.AddDate(-1, 0, 0)
	}
	from = notBefore(from, umamiFirst)
	return from, notBefore(to, from.Add(time.Second))
}

// umamiFirst is the first moment that can be asked for.
var umamiFirst = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func notBefore(t, first time.Time) time.Time {
	if t.Before(first) {
		return first
	}
	return t
}

// when writes a bucket as Umami does.
func (a *umamiAsk) when(label string) string {
	day, clock, timed := strings.Cut(label, "T")
	if !timed {
		clock = "00:00:00"
	}
	if a.utc {
		return day + "T" + clock + "Z"
	}
	return day + " " + clock
}

func umamiStats(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	a, err := umamiQuery(p)
	if err != nil {
		return question{}, err
	}
	from, to := a.before(p.Get("compare"))
	a.Include["comparisons"] = map[string]any{"mode": "custom", "date_range": [2]string{from.UTC().Format(time.RFC3339Nano), to.UTC().Format(time.RFC3339Nano)}}
	q, err := a.query(site, now, []string{"visitors", "visits", "pageviews", "bounce_rate", "visit_duration"})
	if err != nil {
		return question{}, err
	}
	q.Limit, q.Offset = 1, 0 // one row, whatever page was asked for
	return asking("umami stats", site, q, func(a *stats.Answer) (any, []stats.Caveat) {
		return append(umamiTotals(a.Results[0].Metrics), field{"comparison", umamiTotals(a.Results[0].Comparison)}), a.Caveats
	}), nil
}

// umamiTotals have sums where we have means.
func umamiTotals(m []*float64) object {
	sum := func(mean *float64) *float64 {
		if m[1] == nil {
			return nil
		}
		v := 0.0
		if mean != nil {
			v = math.Round(*mean * *m[1])
		}
		return &v
	}
	return object{{"pageviews", m[2]}, {"visitors", m[0]}, {"visits", m[1]}, {"bounces", sum(m[3])}, {"totaltime", sum(m[4])}}
}

func umamiPageviews(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	a, err := umamiQuery(p)
	if err != nil {
		return question{}, err
	}
	metrics := []string{"pageviews", "visitors"}
	q, err := a.query(site, now, metrics, a.unit(p))
	if err != nil {
		return question{}, err
	}
	var other *umamiAsk
	var before stats.Query
	if compare := p.Get("compare"); compare != "" {
		copied := *a
		other = &copied
		other.from, other.to = a.before(compare)
		if before, err = other.query(site, now, metrics, a.unit(p)); err != nil {
			return question{}, err
		}
	}
	out := asking("umami pageviews", site, q, nil)
	if other != nil {
		from, to := before.Span()
		out.from, out.to = min(out.from, from), max(out.to, to)
	}
	out.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		answer, err := e.Ask(ctx, files, q)
		if err != nil {
			return nil, nil, err
		}
		v := a.series(answer)
		if other != nil {
			earlier, err := e.Ask(ctx, files, before)
			if err != nil {
				return nil, nil, err
			}
			v = append(v, field{"startDate", rfc3339(a.from.UnixMicro())}, field{"endDate", rfc3339(a.to.UnixMicro() - 1000)}, field{"compare", append(other.series(earlier),
				field{"startDate", rfc3339(other.from.UnixMicro())}, field{"endDate", rfc3339(other.to.UnixMicro() - 1000)})})
		}
		return v, answer.Caveats, nil
	}
	return out, nil
}

// series has only the buckets in which there was something, as Umami's have.
func (a *umamiAsk) series(answer *stats.Answer) object {
	views, visitors := []object{}, []object{}
	for _, row := range answer.Results {
		x := a.when(row.Groups[0])
		views = append(views, object{{"x", x}, {"y", row.Metrics[0]}})
		visitors = append(visitors, object{{"x", x}, {"y", row.Metrics[1]}})
	}
	return object{{"pageviews", views}, {"sessions", visitors}}
}

func umamiMetrics(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	a, err := umamiQuery(p)
	if err != nil {
		return question{}, err
	}
	kind := p.Get("type")
	dimension := umamiTypes[kind]
	if dimension == "" {
		return question{}, &stats.InvalidError{Field: "type", Message: "must be one of path, entry, exit, title, hostname, referrer, channel, event, tag, os, browser, device, country, region, city, language, screen and utmSource to utmTerm"}
	}
	if search := p.Get("search"); search != "" {
		a.Filters = append(a.Filters, []any{"contains", dimension, []string{search}, map[string]bool{"case_sensitive": false}})
	}
	if kind == "referrer" { // nobody's referrer is none there
		a.Filters = append(a.Filters, []any{"is_not", dimension, []any{nil}})
	}
	metric := "visitors"
	if kind == "event" {
		metric = "events"
	}
	q, err := a.query(site, now, []string{metric}, dimension)
	if err != nil {
		return question{}, err
	}
	return asking("umami metrics", site, q, func(a *stats.Answer) (any, []stats.Caveat) {
		list := []object{}
		for i := range a.Results {
			row := &a.Results[i]
			var x any
			if row.Known(0) {
				x = row.Groups[0]
			}
			list = append(list, object{{"x", x}, {"y", row.Metrics[0]}})
		}
		return list, a.Caveats
	}), nil
}

func umamiEventSeries(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	a, err := umamiQuery(p)
	if err != nil {
		return question{}, err
	}
	q, err := a.query(site, now, []string{"events"}, "event:name", a.unit(p))
	if err != nil {
		return question{}, err
	}
	return asking("umami events", site, q, func(answer *stats.Answer) (any, []stats.Caveat) {
		list := []object{}
		for _, row := range answer.Results {
			list = append(list, object{{"x", row.Groups[0]}, {"t", a.when(row.Groups[1])}, {"y", row.Metrics[0]}})
		}
		return list, answer.Caveats
	}), nil
}

func umamiSessions(site stats.Site, r *http.Request, now time.Time) (question, error) {
	p := r.URL.Query()
	if p.Get("search") != "" {
		return question{}, &stats.InvalidError{Field: "search", Message: "is not possible among sessions: filter by path, event or country"}
	}
	a, err := umamiQuery(p)
	if err != nil {
		return question{}, err
	}
	page, size, err := pageOf(r)
	if err != nil {
		return question{}, err
	}
	a.Pagination = map[string]int{"limit": size, "offset": (page - 1) * size}
	q, err := a.query(site, now, []string{"visitors"})
	if err != nil {
		return question{}, err
	}
	website := r.PathValue("id")
	out := asking("umami sessions", site, q, nil)
	out.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		visitors, total, err := e.Visitors(ctx, files, q)
		if err != nil {
			return nil, nil, err
		}
		list := []object{}
		for i := range visitors {
			list = append(list, umamiSession(website, &visitors[i]))
		}
		return object{{"data", list}, {"count", total}, {"page", page}, {"pageSize", size}}, stats.RequestCaveats(&q), nil
	}
	return out, nil
}

func umamiSession(website string, v *stats.Visitor) object {
	return object{
		{"id", shared.VisitorUUID(v.ID)},
		{"websiteId", website},
		{"hostname", v.Of["hostnames"]},
		{"browser", v.Of["browsers"]},
		{"os", v.Of["os"]},
		{"device", v.Of["devices"]},
		{"screen", v.Of["screen-sizes"]},
		{"language", v.Of["languages"]},
		{"country", v.Of["countries"]},
		{"region", v.Of["regions"]},
		{"city", v.Of["cities"]},
		{"firstAt", rfc3339(v.First)},
		{"lastAt", rfc3339(v.Last)},
		{"visits", v.Visits},
		{"views", v.Views},
		{"events", v.Events},
		{"createdAt", rfc3339(v.Last)},
	}
}

// umamiActive is who was there in the last five minutes.
func umamiActive(site stats.Site, r *http.Request, now time.Time) (question, error) {
	q, err := realtime(site, r, now)
	if err != nil {
		return q, err
	}
	q.ask = func(ctx context.Context, e *Engine, files []lake.File) (any, []stats.Caveat, error) {
		v, err := e.Realtime(ctx, files, q.query)
		return object{{"visitors", v.CurrentVisitors}}, v.Meta.List(), err
	}
	return q, nil
}
