package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
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

// pageviews asks the aggregator's API for all page views of people that the
// proxy recorded for the site. What is learnt later of whose they were, and
// takes some out of the reports, is no loss on the way.
func pageviews(ctx context.Context, aggregator, site string) (uint64, error) {
	id, err := siteID(ctx, aggregator, site)
	if err != nil || id == "" {
		return 0, err
	}
	body, err := get(ctx, aggregator+"/api/stats/accounting?"+url.Values{"site_id": {id}, "period": {"all"}}.Encode())
	if err != nil {
		return 0, fmt.Errorf("ask the aggregator for page views: %w", err)
	}
	defer func() { _ = body.Close() }()
	var books struct {
		Pageviews struct {
			Recorded uint64 `json:"recorded"`
		} `json:"pageviews"`
	}
	if err := json.NewDecoder(body).Decode(&books); err != nil {
		return 0, fmt.Errorf("ask the aggregator for page views: %w", err)
	}
	return books.Pageviews.Recorded, nil
}
