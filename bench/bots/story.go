package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// storyHost is a site on which everything happens that books know, in numbers
// that are known beforehand. It is no row of the matrix.
const storyHost = "story.localhost"

// story sends the requests of the site, and keeps the books of them as a person
// would who knows what each is.
type story struct {
	r       *rig
	client  *http.Client
	results results
	views   views
}

// readers are enough for a day on which the want of a page's parts speaks
// against somebody.
const readers = 24

func (r *rig) tell(ctx context.Context) (*story, error) {
	t := r.transport()
	defer t.CloseIdleConnections()
	s := &story{r: r, results: results{}, client: &http.Client{
		Transport: t, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, part := range []func(context.Context) error{s.people, s.mute, s.ahead, s.script, s.others} {
		if err := part(ctx); err != nil {
			return nil, fmt.Errorf("story: %w", err)
		}
	}
	return s, nil
}

// reader is the address of somebody.
func reader(n int) string { return fmt.Sprintf("203.0.113.%d", 100+n) }

// get asks as Chrome does, with some headers otherwise, and notes what the
// request is. It returns the answer's headers.
func (s *story) get(ctx context.Context, is shared.Result, addr, path string, other map[string]string) (http.Header, error) {
	return s.send(ctx, http.MethodGet, is, addr, path, "", other)
}

func (s *story) send(ctx context.Context, method string, is shared.Result, addr, path, body string, other map[string]string) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.r.url(storyHost, path), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = from(browserHeaders(), addr)
	for name, value := range other {
		if value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if _, err = io.Copy(io.Discard, res.Body); err != nil {
		return nil, err
	}
	if is == shared.ResultCollection {
		if res.StatusCode != http.StatusAccepted {
			return nil, fmt.Errorf("a message is answered %s", res.Status)
		}
		s.r.hits.count(storyHost) // Caddy answers it: no origin sees it
	}
	s.results[is]++
	return res.Header, nil
}

// page asks for a page, which counts.
func (s *story) page(ctx context.Context, addr, path string) (http.Header, error) {
	s.views.Recorded++
	return s.get(ctx, shared.ResultPageview, addr, path, nil)
}

// style asks for a page's style, as the page does.
func (s *story) style(ctx context.Context, addr, page string) error {
	_, err := s.get(ctx, shared.ResultAsset, addr, "/a/style.css", map[string]string{
		"Sec-Fetch-Dest": "style", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "",
		"Accept": "text/css,*/*;q=0.1", "Referer": s.r.url(storyHost, page),
	})
	return err
}

// people read two pages with their parts.
func (s *story) people(ctx context.Context) error {
	for n := range readers {
		for _, path := range numbered(2, "/p/%d") {
			if _, err := s.page(ctx, reader(n), path); err != nil {
				return err
			}
			if err := s.style(ctx, reader(n), path); err != nil {
				return err
			}
		}
	}
	return nil
}

// mute looks like Chrome, reads four pages and no part of them.
func (s *story) mute(ctx context.Context) error {
	for _, path := range numbered(4, "/p/%d") {
		if _, err := s.page(ctx, reader(readers), path); err != nil {
			return err
		}
		s.views.Reclassified++
	}
	return nil
}

// ahead fetches three pages ahead, of which one is seen.
func (s *story) ahead(ctx context.Context) error {
	for _, path := range numbered(3, "/p/ahead-%d") {
		if _, err := s.get(ctx, shared.ResultPrefetch, reader(0), path, map[string]string{
			"Sec-Purpose": "prefetch", "Sec-Fetch-User": "", "Sec-Fetch-Site": "same-origin", "Referer": s.r.url(storyHost, "/p/1"),
		}); err != nil {
			return err
		}
	}
	s.views.Activated++
	return s.style(ctx, reader(0), "/p/ahead-1")
}

// script is what the beacon script says of one page: that it is shown, two
// soft navigations from it, and that it was shown again from a cache.
func (s *story) script(ctx context.Context) error {
	h, err := s.page(ctx, reader(1), "/p/script")
	if err != nil {
		return err
	}
	_, id, _ := strings.Cut(h.Get("Server-Timing"), `eider;desc="`)
	id, _, _ = strings.Cut(id, `"`)
	if len(id) != 16 {
		return fmt.Errorf("no view id in Server-Timing %q", h.Get("Server-Timing"))
	}
	for _, m := range []struct{ load, ordinal, view, path string }{
		{"00000000000000a1", "0", "v", "/p/script"}, // completes the page
		{"00000000000000a1", "1", "pv", "/p/soft-1"},
		{"00000000000000a1", "2", "pv", "/p/soft-2"},
		{"00000000000000a1", "2", "pv", "/p/soft-2"}, // it was not sure to have been heard
		{"00000000000000b2", "0", "v", "/p/script"},  // by Back
	} {
		body := fmt.Sprintf(`[{"l":%q,"o":%s,%q:%q,"n":"pageview","u":%q}]`, m.load, m.ordinal, m.view, id, s.r.url(storyHost, m.path))
		if _, err := s.send(ctx, http.MethodPost, shared.ResultCollection, reader(1), "/e/event", body, map[string]string{
			"Content-Type": "text/plain", "Origin": strings.TrimSuffix(s.r.url(storyHost, ""), "/"), "Sec-Fetch-Dest": "empty",
			"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "",
		}); err != nil {
			return err
		}
	}
	s.views.ScriptOnly += 2
	s.views.Cached++
	return nil
}

// others are requests that are no page views, of a reader and of a bot.
func (s *story) others(ctx context.Context) error {
	for _, r := range []struct {
		method, path string
		is           shared.Result
		other        map[string]string
	}{
		{http.MethodHead, "/p/1", shared.ResultMethod, nil},
		{http.MethodGet, "/moved", shared.ResultRedirect, nil},
		{http.MethodGet, "/gone", shared.ResultError, nil},
		{http.MethodGet, "/feed.xml", shared.ResultFeed, nil},
		{http.MethodGet, "/p/framed", shared.ResultFrame, map[string]string{"Sec-Fetch-Dest": "iframe"}},
		{http.MethodGet, "/p/1", shared.ResultBot, map[string]string{"User-Agent": "curl/8.5.0"}},
		{http.MethodGet, "/p/2", shared.ResultBot, map[string]string{"User-Agent": googleUA}},
	} {
		if _, err := s.send(ctx, r.method, r.is, reader(2), r.path, "", r.other); err != nil {
			return err
		}
	}
	return nil
}

// compare holds the aggregator's books against the story's.
func (s *story) compare(l *ledger) error {
	s.views.People = s.views.Recorded + s.views.Activated + s.views.ScriptOnly + s.views.Cached - s.views.Reclassified
	if !maps.Equal(l.Results, s.results) || l.Requests != s.results.sum() || l.Pageviews != s.views {
		return fmt.Errorf("the story's books do not close: there were %v and %+v, the aggregator answers %v and %+v",
			s.results, s.views, l.Results, l.Pageviews)
	}
	return nil
}
