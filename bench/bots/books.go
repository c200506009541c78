package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// hits counts what reached the origin, by host: the number of requests that
// nobody of ours has counted.
type hits struct {
	mu    sync.Mutex
	by    map[string]int
	kinds map[string]map[string]int // by host, and by what the site has there
}

func (h *hits) count(host string) {
	name, _, _ := strings.Cut(host, ":")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.by[name]++
}

// What a request asks the site for.
const (
	aPage  = "page"
	aPart  = "part"
	aFeed  = "feed"
	aMiss  = "miss"
	aMoved = "moved"
)

func (h *hits) sort(host, path string) {
	kind := aMiss
	switch {
	case strings.HasPrefix(path, "/p/"):
		kind = aPage
	case path == "/a/style.css", path == "/a/script.js", path == "/a/picture.svg":
		kind = aPart
	case path == "/feed.xml":
		kind = aFeed
	case path == "/moved":
		kind = aMoved
	}
	name, _, _ := strings.Cut(host, ":")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.kinds[name] == nil {
		h.kinds[name] = map[string]int{}
	}
	h.kinds[name][kind]++
}

// of is what the site of a host was asked for.
func (h *hits) of(host string) map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.kinds[host])
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
	all := map[string]results{}
	err := r.metrics(ctx, "eider_edge_requests_total", func(labels string, n float64) {
		site, result := label(labels, "site"), shared.Result(label(labels, "result"))
		if all[site] == nil {
			all[site] = results{}
		}
		all[site][result] += int(n)
	})
	return all, err
}

// metrics reads one of Caddy's metrics.
func (r *rig) metrics(ctx context.Context, name string, each func(labels string, value float64)) error {
	err := get(ctx, "http://"+r.admin+"/metrics", func(body io.Reader) error {
		s := bufio.NewScanner(body)
		for s.Scan() {
			rest, ok := strings.CutPrefix(s.Text(), name+"{")
			labels, value, labelled := strings.Cut(rest, "} ")
			if !ok || !labelled {
				continue
			}
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return fmt.Errorf("metric %q: %w", s.Text(), err)
			}
			each(labels, n)
		}
		return s.Err()
	})
	if err != nil {
		return fmt.Errorf("read the metrics: %w", err)
	}
	return nil
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
		if e.Kind == shared.KindCompletion || e.Origin != shared.OriginEdge {
			continue // of no request of its own
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
