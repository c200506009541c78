package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// hits counts what reached the origin, by host: the number of requests that
// nobody of ours has counted.
type hits struct {
	mu sync.Mutex
	by map[string]int
}

func (h *hits) count(host string) {
	name, _, _ := strings.Cut(host, ":")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.by[name]++
}

func (h *hits) all() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.by)
}

// results are a site's requests, by result, as Caddy's metrics have them.
type results map[shared.Result]int

func (r results) sum() (n int) {
	for _, v := range r {
		n += v
	}
	return n
}

// settled returns each site's results once they sum to what the origin saw:
// the last request is counted a moment after it is answered.
func (r *rig) settled(ctx context.Context) (map[string]results, error) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		got, err := r.results(ctx)
		if err != nil {
			return nil, err
		}
		var wrong []string
		for host, n := range r.hits.all() {
			if sum := got[host].sum(); sum != n {
				wrong = append(wrong, fmt.Sprintf("%s: the origin saw %d requests, the results sum to %d", host, n, sum))
			}
		}
		if len(wrong) == 0 {
			return got, nil
		}
		if time.Now().After(deadline) {
			return nil, errors.New("the books do not close: " + strings.Join(wrong, "; "))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (r *rig) results(ctx context.Context) (map[string]results, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	defer res.Body.Close()
	all := map[string]results{}
	for s := bufio.NewScanner(res.Body); s.Scan(); {
		labels, value, ok := strings.Cut(strings.TrimPrefix(s.Text(), "eider_edge_requests_total{"), "} ")
		if !ok || labels == s.Text() || !strings.HasPrefix(s.Text(), "eider_edge_requests_total{") {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("metric %q: %w", s.Text(), err)
		}
		site, result := label(labels, "site"), shared.Result(label(labels, "result"))
		if all[site] == nil {
			all[site] = results{}
		}
		all[site][result] += int(n)
	}
	return all, nil
}

// label is the value of one label of a metric.
func label(labels, name string) string {
	_, rest, _ := strings.Cut(labels, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// closeBooks compares what was counted at the requests with what was written:
// people's page views are those that were counted as page views, and bots'
// requests those that were counted as bots'.
func closeBooks(counted map[string]results, events []shared.Event) error {
	written := map[string]results{}
	for i := range events {
		e := &events[i]
		if e.Kind == shared.KindCompletion {
			continue
		}
		result := shared.Result(e.Kind) // page views, errors, downloads and feeds have one name
		if e.Verdict == shared.VerdictBot {
			result = shared.ResultBot
		}
		if written[e.Site] == nil {
			written[e.Site] = results{}
		}
		written[e.Site][result]++
	}
	var wrong []string
	for site, c := range counted {
		for _, result := range []shared.Result{shared.ResultPageview, shared.ResultError, shared.ResultDownload, shared.ResultFeed, shared.ResultBot} {
			if got := written[site][result]; got != c[result] {
				wrong = append(wrong, fmt.Sprintf("%s: %d are counted as %s, %d are written", site, c[result], result, got))
			}
		}
	}
	if len(wrong) > 0 {
		return errors.New("the books do not close: " + strings.Join(wrong, "; "))
	}
	return nil
}
