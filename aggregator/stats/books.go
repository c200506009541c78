package stats

import (
	"context"
	"fmt"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Books are the accounts of a range: what became of its requests, and what its
// page views are made of.
type Books struct {
	// Requests at the edges, as they report them once a minute; null where none
	// did. Results sum to them.
	Requests *int64           `json:"requests"`
	Results  map[string]int64 `json:"results"`
	// Events are the rows that proxies and imports recorded, of whatever kind;
	// what they report of their requests is aside.
	Events    int64         `json:"events"`
	Pageviews PageviewBooks `json:"pageviews"`
}

// PageviewBooks close: people = recorded + activated + script_only + cached -
// reclassified.
type PageviewBooks struct {
	Recorded     int64 `json:"recorded"`     // at the proxy, of people
	Activated    int64 `json:"activated"`    // fetched ahead, and seen
	ScriptOnly   int64 `json:"script_only"`  // that only a script or a server knew of
	Cached       int64 `json:"cached"`       // that a cache answered
	Reclassified int64 `json:"reclassified"` // of these, of visitors that turned out to be bots
	People       int64 `json:"people"`       // what every report counts
}

// keptBooks are for the tabs that ask again.
const keptBooks = 8

// Books answers about the query's range. Filters don't matter.
func (e *Engine) Books(ctx context.Context, files []lake.File, q Query) (*Books, error) {
	s := compileBooks(q)
	list, _ := relevant(files, q.SiteID, &s)
	key := fmt.Sprintf("%s %s %d %d %s", q.SiteID, q.Range.Zone, q.Range.From, q.Range.To, digest(list))
	return e.books.Do(ctx, key, func(ctx context.Context) (*Books, error) {
		return e.makeBooks(ctx, list, q)
	})
}

func (e *Engine) makeBooks(ctx context.Context, files []lake.File, q Query) (*Books, error) {
	b := &Books{Results: map[string]int64{}}
	v := &b.Pageviews
	err := e.run(ctx, files, q.SiteID, compileBooks(q), func(scan func(...any) error) error {
		return scan(&v.Recorded, &v.Activated, &v.ScriptOnly, &v.Cached, &v.Reclassified, &v.People)
	})
	if err != nil {
		return nil, err
	}
	list := within(files, q.SiteID, q.Range.From, q.Range.To)
	if err := e.run(ctx, list, q.SiteID, compileEvents(q), func(scan func(...any) error) error { return scan(&b.Events) }); err != nil {
		return nil, err
	}
	if facts := factsOf(list); facts.Requests == 0 {
		return b, nil
	}
	err = e.run(ctx, list, q.SiteID, compileRequests(q), func(scan func(...any) error) error {
		var result string
		var n int64
		err := scan(&result, &n)
		b.Results[result] = n
		if b.Requests == nil {
			b.Requests = new(int64)
		}
		*b.Requests += n
		return err
	})
	return b, err
}

func compileBooks(q Query) statement {
	b := &builder{}
	q.Filter = nil
	p := newPlan(&q, q.Range, b)
	s := p.statement(false)
	of := func(class string) string {
		return "count(*) FILTER (class = '" + class + "' AND (" + peoples + " OR reclassified)), "
	}
	s.text = "SELECT " + of("recorded") + of("activated") + of("script_only") + of("cached") +
		"count(*) FILTER (reclassified), count(*) FILTER (" + peoples + ") FROM counted WHERE kind = 'pageview' AND " + window(b, s.from, s.to)
	s.args = b.args
	return s
}

// compileEvents counts rows as they lie there: one that is lost, or there twice,
// shows.
func compileEvents(q Query) statement {
	b := &builder{}
	s := statement{from: q.Range.From, to: q.Range.To, raw: true}
	s.text = "SELECT count(*) FROM events WHERE NOT (kind = 'completion' AND name = 'requests') AND " + ofProxy + " AND " + window(b, s.from, s.to)
	s.args = b.args
	return s
}

// What one row can say of a result, and a sum of them: an edge whose counts are
// garbage must not cost the site its books.
const (
	maxRequestsSaid = 1e12      // no site has as many in a day
	maxRequests     = 1<<53 - 1 // the largest number that every reader of JSON has
)

// compileRequests adds up what edges say of their requests. An edge that does
// not know whether it was heard says it again under the same key.
func compileRequests(q Query) statement {
	b := &builder{}
	s := statement{from: q.Range.From, to: q.Range.To, raw: true}
	s.text = "SELECT key, least(sum(n), " + b.arg(int64(maxRequests)) + "::BIGINT)::BIGINT FROM (SELECT said.key AS key, TRY_CAST(said.value AS BIGINT) AS n FROM" +
		" (SELECT unnest(map_entries(any_value(props))) AS said FROM events" +
		" WHERE kind = 'completion' AND name = 'requests' AND " + ofProxy + " AND " + window(b, s.from, s.to) +
		" GROUP BY coalesce(dedupe_key, edge || epoch::VARCHAR || '-' || seq::VARCHAR)))" +
		" WHERE n BETWEEN 1 AND " + b.arg(int64(maxRequestsSaid)) + "::BIGINT GROUP BY key"
	s.args = b.args
	return s
}
