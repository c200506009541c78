package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// moduleFile reads a file of a module that go.mod names.
func moduleFile(ctx context.Context, module, name string) ([]byte, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, fmt.Errorf("go: %w", errMissing)
	}
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
	var m struct{ Dir string }
	if jsonErr := json.Unmarshal(out, &m); jsonErr != nil || m.Dir == "" {
		return nil, fmt.Errorf("the module %s: %w (%v)", module, errMissing, err)
	}
	return os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(name)))
}

// lines are those that a header can carry, n of them at even distances; 0 = all.
func lines(b []byte, n int, want func(string) bool) []string {
	var list []string
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, s.Text())
		if line = strings.TrimSpace(line); line != "" && want(line) {
			list = append(list, line)
		}
	}
	if n <= 0 || n >= len(list) {
		return list
	}
	some := make([]string, 0, n)
	for i := range n {
		some = append(some, list[i*len(list)/n])
	}
	return some
}

var feedWords = regexp.MustCompile(`(?i)feed|rss|podcast|reader`)

func crawlerAgents(ctx context.Context, n int) ([]string, error) {
	b, err := moduleFile(ctx, "github.com/x-way/crawlerdetect", "testdata/crawlers.txt")
	return lines(b, n, func(ua string) bool { return !feedWords.MatchString(ua) }), err
}

func feedAgents(ctx context.Context, n int) ([]string, error) {
	b, err := moduleFile(ctx, "github.com/x-way/crawlerdetect", "testdata/crawlers.txt")
	return lines(b, n, feedWords.MatchString), err
}

// corpus asks once with each user agent, and with nothing else that a browser
// would send.
func corpus(path string, agents func(context.Context, int) ([]string, error)) func(context.Context, *rig, string, *options) (int, error) {
	return func(ctx context.Context, r *rig, host string, o *options) (int, error) {
		list, err := agents(ctx, o.agents)
		if err != nil {
			return 0, err
		}
		return r.each(ctx, host, path, list, func(ua string) http.Header { return http.Header{"User-Agent": {ua}, "Accept": {"*/*"}} })
	}
}

// each asks for a path once with each user agent.
func (r *rig) each(ctx context.Context, host, path string, agents []string, headers func(string) http.Header) (int, error) {
	t := r.transport()
	defer t.CloseIdleConnections()
	c := &http.Client{Transport: t, Timeout: 20 * time.Second}
	for i, ua := range agents {
		if err := ask(ctx, c, r.url(host, path), headers(ua)); err != nil {
			return i, err
		}
	}
	return len(agents), nil
}

var (
	modern   = regexp.MustCompile(`^Mozilla/5\.0 \([^)]+\) (AppleWebKit|Gecko)/.*(Chrome|Firefox|FxiOS|CriOS|Version)/\d`)
	robots   = regexp.MustCompile(`(?i)bot\b|crawl|spider|headless|synthetic|https?:`)
	chromes  = regexp.MustCompile(` Chrome/(\d+)`)
	defaultN = 4000 // of 70,000: the whole corpus is counted by shared/enrich
)

// visitors asks with the user agents of people, and with the headers that these
// browsers send beside them over TLS.
func visitors(ctx context.Context, r *rig, host string, o *options) (int, error) {
	b, err := moduleFile(ctx, "github.com/medama-io/go-useragent", "data/5.txt")
	if err != nil {
		return 0, err
	}
	n := o.agents
	if n == 0 {
		n = defaultN
	}
	list := lines(b, n, func(ua string) bool { return modern.MatchString(ua) && !robots.MatchString(ua) })
	return r.each(ctx, host, "/p/1", list, func(ua string) http.Header {
		h := http.Header{"User-Agent": {ua}, "Accept": {"text/html,*/*;q=0.8"}, "Accept-Language": {"fr-FR,fr;q=0.9"}}
		for name, value := range map[string]string{"Dest": "document", "Mode": "navigate", "Site": "none"} {
			h.Set("Sec-Fetch-"+name, value)
		}
		if m := chromes.FindStringSubmatch(ua); m != nil && !strings.Contains(ua, "; wv)") && !strings.Contains(ua, "Edge/") {
			h.Set("Sec-Ch-Ua", fmt.Sprintf(`"Chromium";v="%s", "Not/A)Brand";v="99"`, m[1]))
		}
		return h
	})
}
