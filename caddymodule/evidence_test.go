package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// parts is a site of pages, their parts, and what is neither.
func parts(w http.ResponseWriter, r *http.Request) {
	typ := "text/html; charset=utf-8"
	switch {
	case strings.HasSuffix(r.URL.Path, ".css"):
		typ = "text/css"
	case strings.HasSuffix(r.URL.Path, ".png"):
		typ = "image/png"
	case strings.HasPrefix(r.URL.Path, "/api"):
		typ = "application/json"
	}
	if r.Header.Get("If-None-Match") != "" {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", typ)
	if strings.HasPrefix(r.URL.Path, "/gone") {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, "x")
}

// What browsers send for a page, its style, and a page that is fetched ahead.
const (
	document = "Sec-Fetch-Dest: document|Sec-Fetch-Mode: navigate"
	style    = "Sec-Fetch-Dest: style|Sec-Fetch-Mode: no-cors|Accept: text/css,*/*;q=0.1"
	fetch    = "Sec-Fetch-Dest: empty|Sec-Fetch-Mode: cors|Accept: */*"
	prefetch = document + "|Sec-Purpose: prefetch"
	plainCSS = "Accept: text/css,*/*;q=0.1"
	crawler  = "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
)

// step is one request; $HOST in a header is the site's address.
type step struct{ path, headers string }

func (e *edge) steps(steps []step) {
	e.t.Helper()
	for _, s := range steps {
		var headers []string
		for _, h := range strings.Split(s.headers, "|") {
			if h != "" {
				headers = append(headers, strings.ReplaceAll(h, "$HOST", e.addr))
			}
		}
		e.get(s.path, headers...)
	}
}

// booksOf checks that the requests have one result each, and that the events
// are those of the recorded results and the completions.
func (e *edge) booksOf(requests int) {
	e.t.Helper()
	results, metrics := e.results(), e.metrics()
	if got := sum(results); got != float64(requests) {
		e.t.Errorf("%v results of %d requests: %v", got, requests, results)
	}
	var events float64
	for _, r := range shared.Results {
		if r.Recorded() {
			events += results[string(r)]
		}
	}
	for name, v := range metrics {
		if strings.HasPrefix(name, "eider_edge_completions_total") {
			events += v
		}
	}
	if got := metrics[`eider_edge_events_total{state="captured"}`]; got != events {
		e.t.Errorf("%v captured, %v results and completions: %v", got, events, metrics)
	}
}

func TestAssetEvidence(t *testing.T) {
	const own = "Referer: http://$HOST/page"
	for name, test := range map[string]struct {
		steps []step
		views int
		want  int // rows of evidence
		site  string
	}{
		"a page and its styles": {steps: []step{{"/page", document}, {"/a.css", style}, {"/b.css", style}}, views: 1, want: 1},
		"two pages": {
			steps: []step{{"/page", document}, {"/a.css", style}, {"/other", document}, {"/a.css", style}}, views: 2, want: 1,
		},
		"a warm cache":          {steps: []step{{"/page", document + "|If-None-Match: x"}, {"/a.css", style + "|If-None-Match: x"}}, views: 1, want: 1},
		"an error page's parts": {steps: []step{{"/gone", document}, {"/a.css", style}}, views: 1, want: 1},
		"over plain http":       {steps: []step{{"/page", ""}, {"/a.css", plainCSS + "|" + own}}, views: 1, want: 1},
		"over plain http, warm": {steps: []step{{"/page", ""}, {"/a.css", plainCSS + "|If-None-Match: x|" + own}}, views: 1, want: 1},
		"over plain http, from www": {
			steps: []step{{"/page", "Host: demo.localhost"}, {"/a.css", plainCSS + "|Host: demo.localhost|Referer: http://WWW.demo.localhost/page"}},
			views: 1, want: 1,
		},
		"no referrer on plain http": {steps: []step{{"/page", ""}, {"/a.css", plainCSS}}, views: 1},
		"a link from elsewhere":     {steps: []step{{"/page", ""}, {"/a.png", "Accept: image/*|Referer: http://other.example/page"}}, views: 1},
		"no part of a page":         {steps: []step{{"/page", document}, {"/api", fetch}, {"/api", "Accept: */*|" + own}}, views: 1},
		"a part without a page":     {steps: []step{{"/a.css", style}, {"/page", document}}, views: 1},
		"another browser's part":    {steps: []step{{"/page", document}, {"/a.css", style + "|User-Agent: " + chrome + " Vivaldi/7.1"}}, views: 1},
		"a missing part":            {steps: []step{{"/page", document}, {"/gone.css", style}}, views: 1},
		"a bot":                     {steps: []step{{"/page", document + "|" + crawler}, {"/a.css", style + "|" + crawler}}, views: 2},
		"switched off":              {steps: []step{{"/page", document}, {"/a.css", style}}, views: 1, site: "count evidence off"},
		"parts that are excluded":   {steps: []step{{"/page", document}, {"/a.css", style}}, views: 1, site: "exclude *.css"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t\t" + test.site + "\n\t}\n\treverse_proxy " + origin(t, parts) + "\n}")
			e.steps(test.steps)
			events := e.agg.wait(t, test.views+test.want)
			var visitor uint64
			for _, ev := range events {
				if ev.Kind != shared.KindCompletion {
					visitor = ev.VisitorID
				}
			}
			rows := 0
			for _, ev := range events {
				if ev.Kind != shared.KindCompletion {
					continue
				}
				rows++
				if ev.Name != shared.CompletionEvidence || ev.Verdict != shared.VerdictPerson || ev.VisitorID != visitor || visitor == 0 ||
					ev.Site != "demo.localhost" || ev.ViewID != 0 || ev.Pathname != "" || ev.ReferrerDomain != "" || ev.Status.OK {
					t.Errorf("recorded as %+v of visitor %x, want %x", ev, ev.VisitorID, visitor)
				}
			}
			if rows != test.want {
				t.Errorf("%d rows of evidence, want %d", rows, test.want)
			}
			e.booksOf(len(test.steps))
		})
	}
}

func TestActivationOfPrefetches(t *testing.T) {
	const here, there = "Referer: http://$HOST/here", "Referer: http://$HOST/there?p=1"
	ahead := []step{{"/here", document}, {"/there?p=1", prefetch + "|" + here}}
	for name, test := range map[string]struct {
		then        []step
		activations int
		evidence    int
	}{
		"never seen":                          {},
		"its parts are asked for":             {[]step{{"/a.css", style + "|" + there}, {"/b.css", style + "|" + there}}, 1, 0},
		"over plain http":                     {[]step{{"/a.css", plainCSS + "|" + there}}, 1, 0},
		"a script of it fetches":              {[]step{{"/api", fetch + "|" + there}}, 1, 0},
		"a link of it is followed":            {[]step{{"/next", document + "|" + there}}, 1, 0},
		"prepared, with its parts":            {[]step{{"/a.css", style + "|Sec-Purpose: prefetch;prerender|" + there}}, 0, 1},
		"prepared, then seen":                 {[]step{{"/a.css", style + "|Sec-Purpose: prefetch;prerender|" + there}, {"/api", fetch + "|" + there}}, 1, 1},
		"the parts of the page before it":     {[]step{{"/a.css", style + "|" + here}}, 0, 1},
		"another query":                       {[]step{{"/a.css", style + "|Referer: http://$HOST/there?p=2"}}, 0, 1},
		"another host":                        {[]step{{"/a.css", style + "|Referer: http://other.example/there?p=1"}}, 0, 1},
		"another visitor":                     {[]step{{"/a.css", style + "|" + there + "|User-Agent: " + chrome + " Vivaldi/7.1"}}, 0, 0},
		"fetched again, then its parts":       {[]step{{"/there?p=1", document}, {"/a.css", style + "|" + there}}, 0, 1},
		"a page that fetches itself ahead":    {[]step{{"/me", prefetch + "|Referer: http://$HOST/me"}, {"/a.css", style + "|Referer: http://$HOST/me"}}, 0, 1},
		"fetched ahead again after it's seen": {[]step{{"/a.css", style + "|" + there}, {"/there?p=1", prefetch + "|" + here}, {"/b.css", style + "|" + there}}, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n\t}\n\treverse_proxy " + origin(t, parts) + "\n}")
			steps := append(append([]step{}, ahead...), test.then...)
			e.steps(steps)
			results := e.results()
			recorded := int(results["pageview"] + results["prefetch"])
			ids, activated, evidence := map[uint64]bool{}, 0, 0
			events := e.agg.wait(t, recorded+test.activations+test.evidence)
			for _, ev := range events {
				if ev.Name == shared.CompletionPrefetch {
					if ev.ViewID == 0 || ids[ev.ViewID] || ev.Pathname == "" {
						t.Errorf("prefetch %+v", ev)
					}
					ids[ev.ViewID] = true
				}
			}
			for _, ev := range events {
				switch {
				case ev.Kind != shared.KindCompletion:
				case ev.Name == shared.CompletionActivation:
					activated++
					if !ids[ev.ViewID] || ev.VisitorID == 0 || ev.Pathname != "" {
						t.Errorf("activation %+v of none of the prefetches %v", ev, ids)
					}
					delete(ids, ev.ViewID) // once
				case ev.Name == shared.CompletionEvidence:
					evidence++
				}
			}
			if activated != test.activations || evidence != test.evidence {
				t.Errorf("%d activations, %d rows of evidence; want %d, %d", activated, evidence, test.activations, test.evidence)
			}
			e.booksOf(len(steps))
		})
	}
}

// What is switched off leaves no event, and a result that says why.
func TestSwitches(t *testing.T) {
	steps := []step{
		{"/page", document},
		{"/gone", document},
		{"/a.pdf", document},
		{"/feed", "Accept: application/rss+xml"},
		{"/page", crawler},
		{"/ahead", prefetch},
		{"/soft", fetch + "|HX-Request: true|HX-Boosted: true"},
		{"/frame", "Sec-Fetch-Dest: iframe|Sec-Fetch-Mode: navigate"},
	}
	up := origin(t, func(w http.ResponseWriter, r *http.Request) {
		typ, status := "text/html", 200
		switch r.URL.Path {
		case "/a.pdf":
			typ = "application/pdf"
		case "/feed":
			typ = "application/rss+xml"
		case "/gone":
			status = 404
		}
		w.Header().Set("Content-Type", typ)
		w.WriteHeader(status)
	})
	for lines, want := range map[string]string{
		"":                           "pageview pageview error download feed bot prefetch frame",
		"count errors off":           "pageview pageview switched_off download feed bot prefetch frame",
		"count downloads off":        "pageview pageview error switched_off feed bot prefetch frame",
		"count feeds off":            "pageview pageview error download switched_off bot prefetch frame",
		"count bots off":             "pageview pageview error download feed switched_off prefetch frame",
		"count prefetches off":       "pageview pageview error download feed bot switched_off frame",
		"count soft_navigations off": "pageview switched_off error download feed bot prefetch frame",
		"count frames on":            "pageview pageview error download feed bot prefetch pageview",
		"count errors on":            "pageview pageview error download feed bot prefetch frame",
		"count errors off\ncount downloads off\ncount feeds off\ncount bots off\ncount prefetches off\ncount soft_navigations off\ncount frames off": "pageview switched_off switched_off switched_off switched_off switched_off switched_off frame",
	} {
		t.Run(lines, func(t *testing.T) {
			e := newEdge(t)
			e.load("$ADDR {\n\teider {\n\t\tsite demo.localhost\n" + lines + "\n\t}\n\treverse_proxy " + up + "\n}")
			e.steps(steps)
			wanted, recorded := map[string]float64{}, 0
			for _, r := range strings.Fields(want) {
				wanted[r]++
				if shared.Result(r).Recorded() {
					recorded++
				}
			}
			if got := e.results(); len(got) != len(wanted) || !sameCounts(got, wanted) {
				t.Errorf("results %v, want %v", got, wanted)
			}
			e.agg.wait(t, recorded)
			e.booksOf(len(steps))
		})
	}
}

func sameCounts(a, b map[string]float64) bool {
	for name, n := range a {
		if b[name] != n {
			return false
		}
	}
	return true
}

func TestPartsOfReferers(t *testing.T) {
	for _, c := range []struct{ referer, host, target string }{
		{"https://example.com/a?b=c", "example.com", "/a?b=c"},
		{"http://Example.COM/a", "example.com", "/a"},
		{"https://example.com:8443/a", "example.com:8443", "/a"},
		{"https://example.com", "example.com", "/"},
		{"https://www.example.com/a", "example.com", "/a"},
		{"https://example.com/a", "www.example.com", "/a"},
		{"https://[2001:db8::1]/a", "[2001:db8::1]", "/a"},
		{"https://example.com/a", "example.com:8443", ""},
		{"https://example.com.evil.example/a", "example.com", ""},
		{"https://evil.example/example.com/", "example.com", ""},
		{"https://user@example.com/", "example.com", ""},
		{"android-app://example.com/a", "example.com", ""},
		{"about:blank", "example.com", ""},
		{"https:///a", "", ""},
		{"", "", ""},
		{"https://www./", "www.", "/"},
	} {
		target, ok := refererTarget(c.referer, c.host)
		if ok != (c.target != "") || ok && target != c.target {
			t.Errorf("%q at %q: %q %v, want %q", c.referer, c.host, target, ok, c.target)
		}
	}
}
