package stats

import (
	"context"
	"encoding/json"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Tables of requests that are no interactions of people, or tell more of them
// than who came: each is one pass over the rows of the range.

// Bot is a line of the table of bots.
type Bot struct {
	Name     *string `json:"name"`
	Category *string `json:"category"`
	Operator *string `json:"operator"`
	Reason   *string `json:"reason"`   // why it is one
	Requests int64   `json:"requests"` //
	Pages    int64   `json:"pages"`    // different ones that it was shown
}

// Crawler is a line of the table of AI crawlers.
type Crawler struct {
	Operator *string          `json:"operator"`
	Purpose  *string          `json:"purpose"`
	Name     *string          `json:"name"`
	Verified *bool            `json:"verified"` // whether its address is its operator's; null = nobody knows
	Requests int64            `json:"requests"`
	Pages    int64            `json:"pages"`
	Statuses map[string]int64 `json:"statuses"`
	Bytes    *int64           `json:"bytes"`
	P95      *float64         `json:"p95_ms"` // of the time to the first byte
	Robots   int64            `json:"robots_fetched"`
	// Disallowed is null: what a robots.txt says is not recorded.
	Disallowed *int64 `json:"robots_disallowed_requests"`
}

// Missing is a page that is not there.
type Missing struct {
	Pathname  *string   `json:"pathname"`
	Hits      int64     `json:"hits"`
	Referrers []Pointer `json:"referrers"` // who points at it most often, up to 5
}

// Pointer is a page with a link to something.
type Pointer struct {
	Referrer string `json:"referrer"`
	Hits     int64  `json:"hits"`
}

// Download is a file with who took it.
type Download struct {
	Pathname  *string `json:"pathname"`
	Downloads int64   `json:"downloads"`
	Visitors  Count   `json:"visitors"`
	Bytes     *int64  `json:"bytes"`
}

// Hotlink is a file that another site's page links to.
type Hotlink struct {
	Pathname *string `json:"pathname"`
	Referrer string  `json:"referrer_domain"`
	Requests int64   `json:"requests"`
	Bytes    *int64  `json:"bytes"`
}

// Feed is a feed with its readers in the last week of the range.
type Feed struct {
	Feed        *string `json:"feed"`
	Subscribers Count   `json:"subscribers"` // hosted and direct
	Hosted      int64   `json:"hosted"`      // as readers that fetch for many say
	Direct      Count   `json:"direct"`      // visitors that fetch for themselves
	Polls       int64   `json:"polls"`       // of the range; those of the week before its end make the readers
}

// Delivery is how a page was delivered to people.
type Delivery struct {
	Pathname     *string          `json:"pathname"`
	Requests     int64            `json:"requests"`
	P50          *float64         `json:"p50_ms"`
	P95          *float64         `json:"p95_ms"`
	Bytes        *int64           `json:"bytes"`
	CacheHitRate *float64         `json:"cache_hit_rate"` // of what a cache said something about
	Statuses     map[string]int64 `json:"statuses"`
}

// The columns that several tables have.
const (
	countPages    = "count(DISTINCT pathname) FILTER (kind = 'pageview')"
	countStatuses = "to_json(coalesce(histogram(status::VARCHAR) FILTER (status IS NOT NULL), MAP {}))::VARCHAR"
	sumBytes      = "sum(bytes_sent)::BIGINT"
)

// Bots lists who is no person, by what they are and why.
func (e *Engine) Bots(ctx context.Context, files []lake.File, q Query) ([]Bot, error) {
	return requests(ctx, e, files, &q, bots, "bot_name, bot_category, bot_operator, verdict_reason, count(*) AS n, "+countPages,
		"n DESC, bot_name NULLS LAST, bot_category NULLS LAST, bot_operator NULLS LAST, verdict_reason NULLS LAST",
		func(v *Bot, scan func(...any) error) error {
			return scan(&v.Name, &v.Category, &v.Operator, &v.Reason, &v.Requests, &v.Pages)
		})
}

// Crawlers lists AI crawlers.
func (e *Engine) Crawlers(ctx context.Context, files []lake.File, q Query) ([]Crawler, error) {
	return requests(ctx, e, files, &q, bots+" AND ai_purpose IS NOT NULL",
		"bot_operator, ai_purpose, bot_name, verified, count(*) AS n, "+countPages+", "+countStatuses+", "+sumBytes+
			", quantile_cont(ttfb_us, 0.95) / 1e3, count(*) FILTER (pathname = '/robots.txt')",
		"n DESC, bot_operator NULLS LAST, ai_purpose, bot_name NULLS LAST, verified NULLS LAST",
		func(v *Crawler, scan func(...any) error) error {
			var statuses string
			if err := scan(&v.Operator, &v.Purpose, &v.Name, &v.Verified, &v.Requests, &v.Pages, &statuses, &v.Bytes, &v.P95, &v.Robots); err != nil {
				return err
			}
			return json.Unmarshal([]byte(statuses), &v.Statuses)
		})
}

// NotFound lists what people asked for and is not there, and who sent them.
func (e *Engine) NotFound(ctx context.Context, files []lake.File, q Query) ([]Missing, error) {
	const from = "CASE WHEN referrer_domain IS NOT NULL OR referrer_path IS NOT NULL THEN coalesce(referrer_domain, '') || coalesce(referrer_path, '') END"
	return requests(ctx, e, files, &q, "kind = 'error' AND status = 404 AND "+peoples, "pathname, sum(hits)::BIGINT AS n, "+
		"to_json(coalesce(list({'referrer': referrer, 'hits': hits} ORDER BY hits DESC, referrer) FILTER (referrer IS NOT NULL), [])[1:5])::VARCHAR",
		"n DESC, pathname NULLS LAST",
		func(v *Missing, scan func(...any) error) error {
			var referrers string
			if err := scan(&v.Pathname, &v.Hits, &referrers); err != nil {
				return err
			}
			return json.Unmarshal([]byte(referrers), &v.Referrers)
		}, "SELECT pathname, "+from+" AS referrer, count(*) AS hits FROM picked GROUP BY ALL")
}

// Downloads lists files that people took.
func (e *Engine) Downloads(ctx context.Context, files []lake.File, q Query) ([]Download, error) {
	return requests(ctx, e, files, &q, "kind = 'download' AND "+peoples, "pathname, count(*) AS n, "+countVisitors+", "+sumBytes, "n DESC, pathname NULLS LAST",
		func(v *Download, scan func(...any) error) error {
			return scan(&v.Pathname, &v.Downloads, &v.Visitors, &v.Bytes)
		})
}

// Hotlinks lists files that people took from a page of another site.
func (e *Engine) Hotlinks(ctx context.Context, files []lake.File, q Query) ([]Hotlink, error) {
	return requests(ctx, e, files, &q, "kind = 'download' AND referrer_domain IS NOT NULL AND referrer_domain IS DISTINCT FROM hostname AND "+peoples,
		"pathname, referrer_domain, count(*) AS n, "+sumBytes, "n DESC, pathname NULLS LAST, referrer_domain",
		func(v *Hotlink, scan func(...any) error) error {
			return scan(&v.Pathname, &v.Referrer, &v.Requests, &v.Bytes)
		})
}

// Delivery lists pages by how often people asked for them.
func (e *Engine) Delivery(ctx context.Context, files []lake.File, q Query) ([]Delivery, error) {
	return requests(ctx, e, files, &q, answered, "pathname, count(*) AS n, quantile_cont(ttfb_us, 0.5) / 1e3, quantile_cont(ttfb_us, 0.95) / 1e3, "+sumBytes+
		", avg((cache_status = 'hit')::INTEGER), "+countStatuses, "n DESC, pathname NULLS LAST",
		func(v *Delivery, scan func(...any) error) error {
			var statuses string
			if err := scan(&v.Pathname, &v.Requests, &v.P50, &v.P95, &v.Bytes, &v.CacheHitRate, &statuses); err != nil {
				return err
			}
			return json.Unmarshal([]byte(statuses), &v.Statuses)
		})
}

// feedWeek is how far back somebody reads a feed.
const feedWeek = 7 * 24 * time.Hour

// Feeds lists feeds. Readers that fetch for many say for how many, each in its
// own feed id: the last word of each counts. Whoever fetches for itself is a
// visitor, person or not.
func (e *Engine) Feeds(ctx context.Context, files []lake.File, q Query) ([]Feed, error) {
	if err := q.ofRequests(); err != nil {
		return nil, err
	}
	list := []Feed{}
	err := e.run(ctx, files, q.SiteID, compileFeeds(&q), func(scan func(...any) error) error {
		var f Feed
		err := scan(&f.Feed, &f.Hosted, &f.Direct, &f.Polls)
		if f.Subscribers = f.Direct; f.Direct >= 0 {
			f.Subscribers += Count(f.Hosted)
		}
		list = append(list, f)
		return err
	})
	return list, err
}

func compileFeeds(q *Query) statement {
	b := &builder{}
	p := newPlan(q, q.Range, b)
	week := max(q.Range.To-feedWeek.Microseconds(), 0)
	s := p.statement(false)
	s.from = min(s.from, week)
	recent := "t >= " + b.arg(week) + "::BIGINT"
	s.text = "WITH " + p.doers("counted", (*Dimension).sql, func() string { return people + " AND " + window(b, q.Range.From, q.Range.To) }) +
		"polls AS (SELECT pathname, visitor_id, epoch_us(time) AS t, seq, TRY_CAST(props['subscribers'] AS BIGINT) AS said," +
		" coalesce(bot_name, '') || ' ' || coalesce(props['feed_id'], '') AS reader FROM counted WHERE kind = 'feed' AND " +
		"(" + peoples + " OR bot_category = 'feed') AND " + window(b, s.from, s.to) + " AND " + p.filter(q.Filter, (*Dimension).sql) + ")," +
		" hosts AS (SELECT pathname, sum(said)::BIGINT AS hosted FROM (SELECT pathname, arg_max(said, (t, seq)) AS said FROM polls" +
		" WHERE said >= 0 AND " + recent + " GROUP BY pathname, reader) GROUP BY pathname)," +
		" direct AS (SELECT pathname, " + countVisitors + " AS direct FROM polls WHERE said IS NULL AND " + recent + " GROUP BY pathname)," +
		" counts AS (SELECT pathname, count(*) FILTER (" + p.inRange("t") + ") AS n FROM polls GROUP BY pathname)" +
		" SELECT c.pathname, coalesce(hosted, 0), coalesce(direct, 0), n FROM counts c" +
		" LEFT JOIN hosts h ON c.pathname IS NOT DISTINCT FROM h.pathname LEFT JOIN direct d ON c.pathname IS NOT DISTINCT FROM d.pathname" +
		" ORDER BY n DESC, c.pathname NULLS LAST LIMIT " + b.arg(q.Limit) + " OFFSET " + b.arg(q.Offset)
	s.args = b.args
	return s
}

// ofRequests refuses filters that requests are not of.
func (q *Query) ofRequests() error {
	if q.Filter.ofVisits() || q.Filter.hasGoal() {
		return invalid("filters", "these requests are of no visit: leave sources, channels, campaigns, entry and exit pages and goals out")
	}
	return nil
}

// requests answers with a table of rows. columns are grouped by those that are no
// aggregates; from is a relation over picked, if it is not picked itself.
func requests[T any](ctx context.Context, e *Engine, files []lake.File, q *Query, rows, columns, order string,
	read func(*T, func(...any) error) error, from ...string,
) ([]T, error) {
	if err := q.ofRequests(); err != nil {
		return nil, err
	}
	list := []T{}
	err := e.run(ctx, files, q.SiteID, compileRequestTable(q, rows, columns, order, from...), func(scan func(...any) error) error {
		var v T
		err := read(&v, scan)
		list = append(list, v)
		return err
	})
	return list, err
}

func compileRequestTable(q *Query, rows, columns, order string, from ...string) statement {
	b := &builder{}
	p := newPlan(q, q.Range, b)
	s := p.statement(false)
	relation := "picked"
	if len(from) > 0 {
		relation = "(" + from[0] + ")"
	}
	s.text = "WITH " + p.doers("counted", (*Dimension).sql, func() string { return people + " AND " + window(b, s.from, s.to) }) +
		"picked AS (SELECT * FROM counted WHERE " + rows + " AND " + window(b, s.from, s.to) + " AND " + p.filter(q.Filter, (*Dimension).sql) + ")" +
		" SELECT " + columns + " FROM " + relation + " GROUP BY ALL ORDER BY " + order + " LIMIT " + b.arg(q.Limit) + " OFFSET " + b.arg(q.Offset)
	s.args = b.args
	return s
}

// propertyKeys stands for the names of all properties of an event.
var propertyKeys = &Dimension{name: "properties", expr: "map_keys(props)"}

// Properties lists the names of custom properties, those of most events first.
func (e *Engine) Properties(ctx context.Context, files []lake.File, q Query) ([]string, error) {
	list := []string{}
	err := e.run(ctx, files, q.SiteID, compileProperties(&q), func(scan func(...any) error) error {
		var key string
		err := scan(&key)
		list = append(list, key)
		return err
	})
	return list, err
}

func compileProperties(q *Query) statement {
	b := &builder{}
	p := newPlan(q, q.Range, b, propertyKeys)
	s := p.picked(false, people)
	s.text += " SELECT key FROM (SELECT unnest(" + p.column(propertyKeys) + ") AS key FROM picked) GROUP BY key ORDER BY count(*) DESC, key" +
		" LIMIT " + b.arg(q.Limit) + " OFFSET " + b.arg(q.Offset)
	s.args = b.args
	return s
}

// RequestCaveats says what to know of a table of requests.
func RequestCaveats(q *Query, visitors ...Count) []Caveat {
	var numbers []string
	if len(visitors) > 0 {
		numbers = []string{"visitors"}
	}
	c := q.caution(q.Range, numbers...)
	for _, v := range visitors {
		c.saw(v)
	}
	if len(numbers) == 0 && len(c.asked) == 0 {
		return nil
	}
	return c.list()
}
