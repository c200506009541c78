package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/programs"
)

const (
	token = "a-token-for-the-collector"
	agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)

// rig is an aggregator and its collectors, as processes.
type rig struct {
	t    *testing.T
	bin  string
	dir  string
	addr string // of the aggregator
	eye  *child.Server
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, bin: programs.Build(t, programs.Eider, programs.Collector), dir: t.TempDir(), addr: free(t)}
	return r
}

func free(t *testing.T) string {
	t.Helper()
	addr, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func (r *rig) start(c child.Config) *child.Server {
	r.t.Helper()
	c.Env = append(os.Environ(), "EIDER_EDGE_TOKEN="+token, "XDG_DATA_HOME="+r.dir, "XDG_CONFIG_HOME="+r.dir)
	s, err := child.Start(context.Background(), c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Stop(10 * time.Second) })
	return s
}

func (r *rig) aggregator() {
	r.eye = r.start(child.Config{
		Name: "eider", Path: filepath.Join(r.bin, "eider"), Ready: "http://" + r.addr + "/health/ready",
		Args: []string{"serve", "--data", filepath.Join(r.dir, "data"), "--listen", r.addr},
	})
}

// collector is one process and the address that it listens on.
type collector struct {
	*child.Server
	addr string
}

func (r *rig) collector(name string, more ...string) collector {
	addr := free(r.t)
	return collector{r.start(child.Config{
		Name: name, Path: filepath.Join(r.bin, "eider-collector"), Ready: "http://" + addr + "/readyz",
		Args: append([]string{
			"--aggregator", "http://" + r.addr, "--dir", filepath.Join(r.dir, name), "--listen", addr, "--reserve-free", "16MiB", "--unsafe-fs",
		}, more...),
	}), addr}
}

// view sends one page view, as a load balancer on this machine passes it on.
func (r *rig) view(c collector, site, path, client string) *http.Response {
	r.t.Helper()
	body := fmt.Sprintf(`{"n":"pageview","u":"https://%s%s","d":%q}`, site, path, site)
	req, err := http.NewRequest(http.MethodPost, "http://"+c.addr+"/api/event", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Accept-Language", "en")
	req.Header.Set("X-Forwarded-For", client)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res
}

// totals asks the API.
func (r *rig) totals(site string) (t struct{ Visitors, Pageviews int }) {
	r.t.Helper()
	res, err := http.Get("http://" + r.addr + "/api/stats/main?period=day&site_id=" + site)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	_ = json.NewDecoder(res.Body).Decode(&t) // of an unknown site there is nothing yet
	return t
}

func (r *rig) waitFor(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	r.t.Fatalf("waited in vain for %s", what)
}

func (r *rig) addSite(domain string) {
	r.t.Helper()
	if out, err := programs.Run(filepath.Join(r.bin, "eider"), "site", "add", domain, "--data", filepath.Join(r.dir, "data")); err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
}

// TestSeveralCollectorsCountAsOne: one visitor behind a load balancer is one,
// and what was answered as taken survives a kill of its collector.
func TestSeveralCollectorsCountAsOne(t *testing.T) {
	r := newRig(t)
	r.aggregator()
	r.addSite("example.com")
	a, b := r.collector("a"), r.collector("b")
	// Both must have the salts: until then identities are their own.
	r.waitFor("the registry at both", func() bool { return hasRegistry(t, a) && hasRegistry(t, b) })
	const each = 20
	for i := range each {
		for _, c := range []collector{a, b} {
			if res := r.view(c, "example.com", fmt.Sprintf("/%d", i), "203.0.113.9"); res.StatusCode != http.StatusAccepted {
				t.Fatal(res.Status)
			}
		}
	}
	if err := syscall.Kill(-a.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-a.Done()
	a = r.collector("a")
	r.waitFor("every page view", func() bool { return r.totals("example.com").Pageviews >= 2*each })
	time.Sleep(time.Second) // one too many would come now
	if got := r.totals("example.com"); got.Pageviews != 2*each || got.Visitors != 1 {
		t.Errorf("%+v, want %d page views of one visitor", got, 2*each)
	}
	for _, c := range []collector{a, b} {
		if err := c.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	}
}

// TestServersSendToACollector: a key that the aggregator made is known at a
// collector within moments, for its site and no other, and not once revoked.
func TestServersSendToACollector(t *testing.T) {
	r := newRig(t)
	r.aggregator()
	r.addSite("example.com")
	r.addSite("other.example")
	eider := func(args ...string) string {
		out, err := programs.Run(filepath.Join(r.bin, "eider"), append(args, "--data", filepath.Join(r.dir, "data"))...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	key := regexp.MustCompile(`eider_[0-9a-f]{8}_[A-Za-z0-9_-]+`).FindString(eider("key", "add", "--name", "shop", "--scope", "ingest", "--sites", "example.com"))
	if key == "" {
		t.Fatal("no key was printed")
	}
	c := r.collector("k")
	send := func(site string) (status int, body string) {
		t.Helper()
		text := fmt.Sprintf(`[{"name":"signup","site":%q,"url":"https://%s/","dedupe_key":"1"}]`, site, site)
		req, err := http.NewRequest(http.MethodPost, "http://"+c.addr+"/api/events", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	r.waitFor("the key at the collector", func() bool { status, _ := send("example.com"); return status == http.StatusAccepted })
	if status, body := send("other.example"); status == http.StatusAccepted && !strings.Contains(body, `"accepted":0`) {
		t.Errorf("another site: %d %s", status, body)
	}
	eider("key", "revoke", key[:len("eider_")+8])
	r.waitFor("the end of the key", func() bool { status, _ := send("example.com"); return status == http.StatusUnauthorized })
	kept, err := os.ReadFile(filepath.Join(r.dir, "k", "sites.json"))
	if err != nil || strings.Contains(string(kept), "digest") {
		t.Errorf("what the collector keeps: %v\n%s", err, kept)
	}
}

func hasRegistry(t *testing.T, c collector) bool {
	t.Helper()
	res, err := http.Get("http://" + c.addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), "eider_collector_registry_age_seconds") &&
		!strings.Contains(string(b), "eider_collector_registry_age_seconds -1")
}

// TestServesWhileTheAggregatorIsAway: messages are taken before the aggregator
// was ever reached, and counted once it is there.
func TestServesWhileTheAggregatorIsAway(t *testing.T) {
	r := newRig(t)
	c := r.collector("alone")
	for i := range 5 {
		if res := r.view(c, "example.com", fmt.Sprintf("/%d", i), "203.0.113.9"); res.StatusCode != http.StatusAccepted {
			t.Fatal(res.Status)
		}
	}
	if res, err := http.Get("http://" + c.addr + "/livez"); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("livez: %v %v", res, err)
	}
	// The registry first, so that the site exists when the events come.
	if out, err := programs.Run(filepath.Join(r.bin, "eider"), "site", "add", "example.com", "--data", filepath.Join(r.dir, "data")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r.aggregator()
	r.waitFor("what was taken before", func() bool { return r.totals("example.com").Pageviews == 5 })
}

// TestMetricsAreForTrustedPeers: what is passed on by a proxy is somebody
// else's question.
func TestMetricsAreForTrustedPeers(t *testing.T) {
	r := newRig(t)
	c := r.collector("m")
	req, err := http.NewRequest(http.MethodGet, "http://"+c.addr+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.9")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("metrics for a proxy's client: %s", res.Status)
	}
}

// TestCaddyHandsOver runs a real Caddy before the collector's socket.
func TestCaddyHandsOver(t *testing.T) {
	r := newRig(t)
	caddy := filepath.Join(programs.Build(t, programs.Caddy), "caddy")
	r.aggregator()
	short, err := os.MkdirTemp("", "eider") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	socket := filepath.Join(short, "s")
	r.collector("beside", "--socket", socket)
	site := free(t)
	_, port, _ := strings.Cut(site, ":")
	config := filepath.Join(r.dir, "Caddyfile")
	text := fmt.Sprintf(`{
	admin off
	auto_https off
	default_bind 127.0.0.1
	eider {
		aggregator unix/%s
	}
}
http://:%s {
	eider {
		site shop.example
	}
	header Content-Type text/html
	respond "<!doctype html><title>A page</title>"
}
`, socket, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.start(child.Config{
		Name: "caddy", Path: caddy, Args: []string{"run", "--config", config, "--adapter", "caddyfile"}, Ready: "http://" + site + "/ready.css",
	})
	const views = 30
	for range views {
		req, err := http.NewRequest(http.MethodGet, "http://"+site+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", agent)
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Accept-Language", "en")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	r.waitFor("Caddy's page views", func() bool { return r.totals("shop.example").Pageviews >= views })
	time.Sleep(time.Second)
	if got := r.totals("shop.example"); got.Pageviews != views {
		t.Errorf("%d page views, want %d", got.Pageviews, views)
	}
	// Caddy's own storage may be there, but no queue.
	if _, err := os.Stat(filepath.Join(r.dir, "caddy", "eider")); err == nil {
		t.Error("Caddy has made a queue of its own")
	}
}

// BenchmarkStart measures a collector from its start until it is ready, and
// what it takes in memory a moment later.
func BenchmarkStart(b *testing.B) {
	bin := programs.Build(b, programs.Collector)
	dir := b.TempDir()
	var rss float64
	for b.Loop() {
		b.StopTimer()
		addr, err := child.FreeAddress()
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s, err := child.Start(context.Background(), child.Config{
			Name: "collector", Path: filepath.Join(bin, "eider-collector"), Ready: "http://" + addr + "/readyz",
			Env:  append(os.Environ(), "EIDER_EDGE_TOKEN="+token),
			Args: []string{"--aggregator", "http://127.0.0.1:9", "--dir", dir, "--listen", addr, "--reserve-free", "16MiB", "--unsafe-fs"},
		})
		b.StopTimer()
		if err != nil {
			b.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		rss = max(rss, residentMiB(b, s.Pid()))
		if err := s.Stop(10 * time.Second); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(rss, "MiB-idle")
}

// residentMiB is what a process holds in memory, from /proc.
func residentMiB(b *testing.B, pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("no /proc here: ", err)
	}
	var kib float64
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(rest, &kib)
		}
	}
	return kib / 1024
}
