package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	burst    = 60              // visits at once, so that the dashboard is not empty
	between  = 2 * time.Second // mean time from one visit to the next afterwards
	reading  = 6 * time.Second // mean time on a page
	crowd    = 2 * burst       // visitors at once at most
	giveUp   = 10 * time.Second
	maxPages = 5
)

// traffic sends made-up visits to a site, for ever but gently.
type traffic struct {
	site   string
	client *http.Client
	rng    *rand.Rand // of run alone; each visit gets its own
}

func newTraffic(site string, seed int64) *traffic {
	return &traffic{
		site: site,
		client: &http.Client{
			Timeout:       giveUp,
			Transport:     &http.Transport{MaxIdleConnsPerHost: crowd, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		rng: rand.New(rand.NewPCG(uint64(seed), 1)),
	}
}

// run returns when ctx ends, or with the error of the very first visit: a site
// that does not answer from the start is worth telling.
func (t *traffic) run(ctx context.Context) error {
	defer t.client.CloseIdleConnections()
	if err := t.visit(ctx, t.fork(), 0); err != nil && ctx.Err() == nil {
		return fmt.Errorf("made-up traffic: %w", err)
	}
	var visits sync.WaitGroup
	defer visits.Wait()
	seats := make(chan struct{}, crowd)
	for n := 1; ; n++ {
		if n >= burst && !pause(ctx, t.rng, between) {
			return nil
		}
		select {
		case seats <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		rng := t.fork()
		visits.Go(func() {
			// A failed page is the site's own affair now, and a later visit tries again.
			_ = t.visit(ctx, rng, reading)
			<-seats
		})
	}
}

// fork gives a visit randomness of its own.
func (t *traffic) fork() *rand.Rand { return rand.New(rand.NewPCG(t.rng.Uint64(), t.rng.Uint64())) }

// visit plays one visitor: pages with what belongs to them, and time between.
func (t *traffic) visit(ctx context.Context, rng *rand.Rand, stay time.Duration) error {
	v := newVisitor(rng)
	target, referrer, fetchSite := v.landing, v.referrer, "cross-site"
	if referrer == "" {
		fetchSite = "none"
	}
	for page := range maxPages {
		if err := t.get(ctx, target, v.headers("document", referrer, fetchSite)); err != nil {
			return err
		}
		address := t.site + target
		if !v.client.bot && page == 0 {
			for asset, dest := range map[string]string{"/style.css": "style", "/favicon.svg": "image"} {
				if err := t.get(ctx, asset, v.headers(dest, address, "same-origin")); err != nil {
					return err
				}
			}
		}
		path, _, _ := strings.Cut(target, "?")
		links := next[path]
		// Half of the people leave after the first page, and of the rest a third after each.
		if v.client.bot || len(links) == 0 || (page == 0 && rng.IntN(2) == 0) || (page > 0 && rng.IntN(3) == 0) {
			return nil
		}
		if !pause(ctx, rng, stay) {
			return nil
		}
		target, referrer, fetchSite = pick(rng, links), address, "same-origin"
	}
	return nil
}

func (t *traffic) get(ctx context.Context, target string, h http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.site+target, nil)
	if err != nil {
		return err
	}
	req.Header = h
	res, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// pause waits for an exponentially distributed time, so that visits come as
// they do: in clusters. It reports whether ctx still lives.
func pause(ctx context.Context, rng *rand.Rand, mean time.Duration) bool {
	if mean == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(min(time.Duration(rng.ExpFloat64()*float64(mean)), 5*mean))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
