package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// ledger is what the aggregator answers of one site at /api/stats/accounting.
type ledger struct {
	Requests  int     `json:"requests"`
	Results   results `json:"results"`
	Pageviews views   `json:"pageviews"`
	Edges     []struct {
		Edge     shared.EdgeID `json:"edge"`
		Captured uint64        `json:"captured"`
		Stored   uint64        `json:"stored"`
		Queued   uint64        `json:"queued"`
		Dropped  uint64        `json:"dropped"`
		Rejected uint64        `json:"rejected"`
		Lost     uint64        `json:"lost"`
	} `json:"edges"`
}

// views are people's page views, by what they are made of.
type views struct {
	Recorded     int `json:"recorded"`
	Activated    int `json:"activated"`
	ScriptOnly   int `json:"script_only"`
	Cached       int `json:"cached"`
	Reclassified int `json:"reclassified"`
	People       int `json:"people"`
}

// knownSite is a site as /api/sites has it.
type knownSite struct {
	ID      string   `json:"site_id"`
	Domains []string `json:"domains"`
}

// get reads the answer to a GET.
func get(ctx context.Context, url string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is answered %s", url, res.Status)
	}
	return read(res.Body)
}

// ask decodes the aggregator's answer to a GET.
func (r *rig) ask(ctx context.Context, path string, into any) error {
	err := get(ctx, "http://"+r.api+path, func(body io.Reader) error { return json.NewDecoder(body).Decode(into) })
	if err != nil {
		return fmt.Errorf("ask the aggregator: %w", err)
	}
	return nil
}

// ledgers reads the books of every site that was asked for, once they have as
// many requests as there were: committing takes a moment.
func (r *rig) ledgers(ctx context.Context) (map[string]ledger, error) {
	var sites []knownSite
	if err := r.ask(ctx, "/api/sites", &sites); err != nil {
		return nil, err
	}
	all := map[string]ledger{}
	for host, n := range r.hits.all() {
		at := slices.IndexFunc(sites, func(s knownSite) bool { return slices.Contains(s.Domains, host) })
		if at < 0 {
			return nil, fmt.Errorf("the aggregator knows no site %s", host)
		}
		path := "/api/stats/accounting?" + url.Values{"site_id": {sites[at].ID}, "period": {"all"}}.Encode()
		for deadline := time.Now().Add(10 * time.Second); ; {
			var l ledger
			if err := r.ask(ctx, path, &l); err != nil {
				return nil, err
			}
			if all[host] = l; l.Requests >= n || time.Now().After(deadline) {
				break
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return all, nil
}

// closeLedgers compares the aggregator's books with the requests that there
// were, with what was counted at them, and with what was sent of the edge.
func (r *rig) closeLedgers(counted map[string]results, ledgers map[string]ledger, edge shared.EdgeID, events int) error {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for host, n := range r.hits.all() {
		l := ledgers[host]
		if l.Requests != n || l.Results.sum() != n {
			add("%s: there were %d requests, the aggregator answers %d with results that sum to %d", host, n, l.Requests, l.Results.sum())
		}
		for _, result := range shared.Results {
			if got, want := l.Results[result], counted[host][result]; got != want {
				add("%s: %d requests were counted as %s, the aggregator answers %d", host, want, result, got)
			}
		}
		v := l.Pageviews
		if v.Recorded != counted[host][shared.ResultPageview] {
			add("%s: %d page views were counted, the aggregator answers %d", host, counted[host][shared.ResultPageview], v.Recorded)
		}
		if v.People != v.Recorded+v.Activated+v.ScriptOnly+v.Cached-v.Reclassified {
			add("%s: people's page views are not made of their parts: %+v", host, v)
		}
		if len(l.Edges) != 1 {
			add("%s: there are %d edges, one has sent", host, len(l.Edges))
			continue
		}
		if e := l.Edges[0]; e.Edge != edge || e.Captured != uint64(events) || e.Stored != e.Captured || e.Queued+e.Dropped+e.Rejected+e.Lost > 0 {
			add("%s: edge %s has sent %d events, the aggregator answers %+v", host, edge, events, e)
		}
	}
	if len(wrong) > 0 {
		return errors.New("the aggregator's books do not close: " + strings.Join(wrong, "; "))
	}
	return nil
}
