package aggregator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/shared"
)

const chromeAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

// collect sends a message as the script of a page elsewhere does.
func (r *running) collect(path, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("User-Agent", chromeAgent)
	req.Header.Set("Accept-Language", "de")
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Origin", "https://shop.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(answer)
}

func TestWhatIsCollectedHereIsCounted(t *testing.T) {
	dir := t.TempDir()
	r := run(t, dir)
	site, err := r.store.AddSite(context.Background(), "shop.example", sites.Change{})
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("the site is known to the intake", func() bool { return r.registry.Load().Site(site.ID) != nil })

	for i := range 3 { // three people, told apart by what a proxy on this machine says
		client := fmt.Sprintf("198.51.100.%d", i+1)
		res, body := r.collect("/api/event", `{"n":"pageview","u":"https://shop.example/a","d":"shop.example"}`, "X-Forwarded-For", client)
		if res.StatusCode != http.StatusAccepted || res.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		res, body = r.collect("/api/send", `{"type":"event","payload":{"website":"`+site.UUID+`","url":"/b","hostname":"shop.example"}}`, "X-Forwarded-For", client)
		if res.StatusCode != http.StatusOK || !strings.Contains(body, `"cache"`) {
			t.Fatalf("%d %s", res.StatusCode, body)
		}
	}
	if res, body := r.collect("/api/event", `{"n":"x","u":"https://shop.example/","d":"shop.example"}`, "User-Agent", "curl/8.0"); res.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	r.eventually("three people with two views each", func() bool {
		_, body := r.get("/api/stats/main?site_id=shop.example&period=day")
		return strings.Contains(body, `"visitors":3`) && strings.Contains(body, `"pageviews":6`)
	})
	if _, body := r.get("/metrics"); !strings.Contains(body, `eider_collection_messages_total{outcome="taken"} 6`) ||
		!strings.Contains(body, `eider_collection_messages_total{outcome="bot"} 1`) {
		t.Error("the metrics do not say so")
	}
	r.stop()

	// The books of the aggregator's own edge close, and go on with the next start.
	r = run(t, dir)
	if res, body := r.collect("/api/event", `{"n":"x","u":"https://shop.example/","d":"shop.example"}`); res.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	report, err := r.store.Verify(context.Background())
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("%v %q", err, report.Problems)
	}
	if len(report.Edges) != 1 || report.Edges[0].Edge != receive.LocalEdge.String() || report.Edges[0].Captured != 8 || report.Edges[0].Stored != 8 || report.Edges[0].Queued != 0 {
		t.Errorf("%+v", report.Edges)
	}
}

// What is not collection stays closed to other origins, and what is collection
// is not reachable by methods that only its own pages may use.
func TestOnlyCollectionIsOpenToOtherOrigins(t *testing.T) {
	r := run(t, t.TempDir())
	for path, want := range map[string]int{"/api/heartbeat": 200, "/api/sites": 403, "/api/stats/main?site_id=x": 403} {
		req, _ := http.NewRequest(http.MethodGet, r.url+path, nil)
		req.Header.Set("Origin", "https://elsewhere.example")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}

func TestTrustedProxiesAreChecked(t *testing.T) {
	_, err := Open(Config{Data: t.TempDir(), Listen: "127.0.0.1:0", TrustedProxies: []string{"10.0.0.0/64"}}, "test", nil)
	if err == nil || !strings.Contains(err.Error(), "10.0.0.0/64") {
		t.Errorf("%v", err)
	}
}

func TestServersSendBatchesOnce(t *testing.T) {
	r := run(t, t.TempDir())
	site, err := r.store.AddSite(context.Background(), "shop.example", sites.Change{})
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("the site is known to the intake", func() bool { return r.registry.Load().Site(site.ID) != nil })
	issued, err := r.store.AddKey(context.Background(), auth.New{Name: "shop", Scopes: []string{auth.ScopeIngest}, Sites: []string{site.ID}})
	if err != nil {
		t.Fatal(err)
	}
	stats, err := r.store.AddKey(context.Background(), auth.New{Name: "reader", Scopes: []string{auth.ScopeStats}})
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`[{"site":"shop.example","name":"pageview","url":"https://shop.example/a","ip":"198.51.100.7","user_agent":%q,"dedupe_key":"a-1"},
		{"site":"shop.example","name":"pageview","url":"https://shop.example/b","ip":"198.51.100.7","user_agent":%[1]q}]`, chromeAgent)
	for token, want := range map[string]int{"": 401, stats.Token: 401, r.token: 401} {
		if res, text := r.collect("/api/events", body, "Authorization", "Bearer "+token); res.StatusCode != want {
			t.Errorf("%d %s", res.StatusCode, text)
		}
	}
	for range 3 { // the answer got lost, twice
		res, text := r.collect("/api/events", body, "Authorization", "Bearer "+issued.Token, "Idempotency-Key", "batch-1")
		if res.StatusCode != http.StatusAccepted || !strings.Contains(text, `"accepted":2`) {
			t.Fatalf("%d %s", res.StatusCode, text)
		}
	}
	r.eventually("one visitor with two views", func() bool {
		_, body := r.get("/api/stats/main?site_id=shop.example&period=day")
		return strings.Contains(body, `"visitors":1`) && strings.Contains(body, `"pageviews":2`)
	})
}

func TestLinksOfASite(t *testing.T) {
	r := run(t, t.TempDir())
	links := []shared.Link{{Slug: "go", URL: "https://elsewhere.example/a"}, {Slug: "px"}}
	if _, err := r.store.AddSite(context.Background(), "shop.example", sites.Change{Links: &links}); err != nil {
		t.Fatal(err)
	}
	r.eventually("the link is known to the intake", func() bool { l, _ := r.registry.Load().Link("go"); return l != nil })
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]int{"/q/go": 307, "/p/px": 200, "/q/nothing": 404} {
		res, err := client.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want || want == 307 && res.Header.Get("Location") != links[0].URL {
			t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
		}
	}
}
