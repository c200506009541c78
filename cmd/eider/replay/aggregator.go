package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// siteID asks the aggregator what it calls the site; empty = it does not know
// it (yet: a site registers itself when its first edge says hello).
func siteID(ctx context.Context, aggregator, site string) (string, error) {
	body, err := get(ctx, aggregator+"/api/sites")
	if err != nil {
		return "", fmt.Errorf("ask the aggregator for its sites: %w", err)
	}
	defer func() { _ = body.Close() }()
	var sites []struct {
		SiteID  string   `json:"site_id"`
		Domains []string `json:"domains"`
	}
	if err := json.NewDecoder(body).Decode(&sites); err != nil {
		return "", fmt.Errorf("ask the aggregator for its sites: %w", err)
	}
	for _, s := range sites {
		if slices.ContainsFunc(s.Domains, func(d string) bool { return strings.EqualFold(d, site) }) {
			return s.SiteID, nil
		}
	}
	return "", nil
}

// Books are a site's books as the aggregator's API has them.
type Books struct {
	Requests uint64                   `json:"requests"` // null, which is 0 here: no edge has told any
	Results  map[shared.Result]uint64 `json:"results"`
	Events   int64                    `json:"events"` // rows, but for the sums of requests
	Views    `json:"pageviews"`
}

// Views are what the page views of people are made of: recorded by the proxy,
// fetched ahead and seen, known to a script alone, from a cache, less those of
// visitors that turned out to be bots.
type Views struct {
	Recorded     int64 `json:"recorded"`
	Activated    int64 `json:"activated"`
	ScriptOnly   int64 `json:"script_only"`
	Cached       int64 `json:"cached"`
	Reclassified int64 `json:"reclassified"`
	People       int64 `json:"people"`
}

// since subtracts what was there before. Views may be fewer than before: what
// is learnt of a visitor's day holds for its earlier views, too.
func (b Books) since(before Books) Books {
	return Books{
		Requests: b.Requests - before.Requests, Results: resultsSince(b.Results, before.Results), Events: b.Events - before.Events,
		Views: Views{
			Recorded: b.Recorded - before.Recorded, Activated: b.Activated - before.Activated, ScriptOnly: b.ScriptOnly - before.ScriptOnly,
			Cached: b.Cached - before.Cached, Reclassified: b.Reclassified - before.Reclassified, People: b.People - before.People,
		},
	}
}

// resultsSince are the requests since there were as many as before, by result.
func resultsSince(now, before map[shared.Result]uint64) map[shared.Result]uint64 {
	diff := map[shared.Result]uint64{}
	for result, n := range now {
		if n -= before[result]; n > 0 {
			diff[result] = n
		}
	}
	return diff
}

// has reports whether every request that an edge counted is in the books, by
// its result.
func (b Books) has(results map[shared.Result]uint64) bool {
	for result, n := range results {
		if b.Results[result] < n {
			return false
		}
	}
	return true
}

// readBooks asks the aggregator's API for all that it knows of the site.
func readBooks(ctx context.Context, aggregator, site string) (Books, error) {
	id, err := siteID(ctx, aggregator, site)
	if err != nil || id == "" {
		return Books{}, err
	}
	body, err := get(ctx, aggregator+"/api/stats/accounting?"+url.Values{"site_id": {id}, "period": {"all"}}.Encode())
	if err != nil {
		return Books{}, fmt.Errorf("ask the aggregator for its books: %w", err)
	}
	defer func() { _ = body.Close() }()
	var books Books
	if err := json.NewDecoder(body).Decode(&books); err != nil {
		return Books{}, fmt.Errorf("ask the aggregator for its books: %w", err)
	}
	return books, nil
}
