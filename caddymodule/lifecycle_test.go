package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

const pageSite = `$ADDR {
	eider {
		site demo.localhost
		exclude /not/*
	}
	header Content-Type text/html
	respond "page"
}`

// traffic asks for pages and for excluded paths in turns until stopped, and
// counts what was served.
type traffic struct {
	served, views atomic.Int64
	stop          chan struct{}
	clients       sync.WaitGroup
}

func (e *edge) startTraffic(clients int) *traffic {
	tr := &traffic{stop: make(chan struct{})}
	for range clients {
		tr.clients.Go(func() {
			client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := 0; ; i++ {
				select {
				case <-tr.stop:
					return
				case <-time.After(time.Millisecond):
					tr.ask(e, client, []string{"/page", "/not/counted"}[i%2])
				}
			}
		})
	}
	return tr
}

func (tr *traffic) ask(e *edge, client *http.Client, path string) {
	req, _ := http.NewRequest("GET", "http://"+e.addr+path, nil)
	asReader(req)
	resp, err := client.Do(req)
	if err != nil {
		return // the connection was closed in a reload, before the request was read
	}
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 {
		e.t.Errorf("%s: %v", resp.Status, err)
	}
	tr.served.Add(1)
	if path == "/page" {
		tr.views.Add(1)
	}
}

func (tr *traffic) end() {
	close(tr.stop)
	tr.clients.Wait()
}

// Fifty reloads while requests come: each request that was served is counted,
// each page view arrives once, and nothing stays behind.
func TestReloadsUnderLoadLoseNothing(t *testing.T) {
	e := newEdge(t)
	e.load(pageSite)
	reload := func(n int) *traffic {
		tr := e.startTraffic(6)
		for i := range n {
			e.load(strings.Replace(pageSite, `respond "page"`, fmt.Sprintf(`respond "page %d"`, i), 1))
			time.Sleep(10 * time.Millisecond) // there must be requests between reloads, too
		}
		tr.end()
		return tr
	}
	warm := reload(5)
	time.Sleep(100 * time.Millisecond)
	goroutines, descriptors := goruntime.NumGoroutine(), len(openFiles(t))
	hot := reload(50)
	eventually(t, "goroutines to end", func() bool { return goruntime.NumGoroutine() <= goroutines+5 })
	eventually(t, "descriptors to be closed", func() bool { return len(openFiles(t)) <= descriptors+5 })

	served, views := warm.served.Load()+hot.served.Load(), warm.views.Load()+hot.views.Load()
	if served < 100 {
		t.Fatalf("only %d requests were served", served)
	}
	got := e.agg.wait(t, int(views))
	seqs := map[string]bool{}
	for _, ev := range got {
		seqs[fmt.Sprint(ev.Edge, ev.Epoch, ev.Seq)] = true
	}
	if len(seqs) != len(got) {
		t.Errorf("%d names for %d events", len(seqs), len(got))
	}
	// A request that the client gave up on may have been served nevertheless;
	// with 200 answered by clients and counts from the edge they agree.
	results := e.results()
	if got := sum(results); got != float64(served) || results["pageview"] != float64(views) {
		t.Errorf("results %v, %d requests served, %d of them pages", results, served, views)
	}
	m := e.metrics()
	if m[`eider_edge_events_total{state="captured"}`] != float64(views) || m[`eider_edge_events_total{state="dropped"}`] != 0 {
		t.Errorf("captured %v of %d, dropped %v", m[`eider_edge_events_total{state="captured"}`], views, m[`eider_edge_events_total{state="dropped"}`])
	}
	n := 0
	runtimes.Range(func(_, _ any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d runtimes for one queue", n)
	}
}

// openFiles lists what this process has open.
func openFiles(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	var files []string
	for _, entry := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil {
			files = append(files, target)
		}
	}
	return files
}

func TestReloadChangesWhereEventsGo(t *testing.T) {
	e := newEdge(t)
	first := e.agg
	e.load(pageSite)
	e.get("/1")
	first.wait(t, 1)
	eventually(t, "the acknowledgement", func() bool { return e.metrics()[`eider_edge_events_total{state="stored"}`] == 1 })

	e.agg, e.token = newAggregator(t), "another-token"
	e.load(strings.ReplaceAll(pageSite, "demo.localhost", "other.localhost"))
	e.get("/2")
	got := e.agg.wait(t, 1)[0]
	if got.Site != "other.localhost" || len(first.all()) != 1 {
		t.Errorf("recorded for %s, %d events at the first aggregator", got.Site, len(first.all()))
	}
	if e.agg.tokens["another-token"] == 0 || len(e.agg.tokens) != 1 {
		t.Errorf("tokens %v", e.agg.tokens)
	}

	e.load(pageSite) // other sites, same aggregator: announced anew
	eventually(t, "a hello with the new sites", func() bool {
		return reflect.DeepEqual(e.agg.lastHello(t).Sites, []shared.SiteHello{{Domain: "demo.localhost"}})
	})
	if got := e.results()["pageview"]; got != 2 {
		t.Errorf("%v page views counted through the reloads, want 2", got)
	}
}

// A configuration that is refused leaves the one before it in force.
func TestRefusedReloadChangesNothing(t *testing.T) {
	e := newEdge(t)
	e.load(pageSite)
	good := e.agg.URL
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := strings.Cut(taken.Addr().String(), ":")
	e.token = "wrong"
	if err := e.try(pageSite + "\nhttp://:" + port + " {\n\trespond x\n\tbind tcp/127.0.0.1\n\ttls /none /none\n}"); err == nil {
		t.Fatal("a broken configuration was loaded")
	}
	e.get("/")
	e.agg.wait(t, 1)
	if e.agg.tokens["wrong"] != 0 {
		t.Error("the refused configuration's token was used")
	}
	var urls []string
	runtimes.Range(func(_, v any) bool { urls = append(urls, v.(*runtime).shippingNow().to.url); return true })
	if !reflect.DeepEqual(urls, []string{good}) {
		t.Errorf("events go to %v", urls)
	}
}

// The first start makes the directory; the reload finds it by the same name,
// although the way to it leads over a link.
func TestReloadFindsAQueueBehindALink(t *testing.T) {
	e := newEdge(t)
	e.volume = filepath.Join(e.dir, "link", "not", "yet", "there")
	if err := os.Symlink(t.TempDir(), filepath.Join(e.dir, "link")); err != nil {
		t.Fatal(err)
	}
	e.load(pageSite)
	e.get("/1")
	e.load(pageSite)
	e.get("/2")
	e.agg.wait(t, 2)
}

func TestDirectoriesThatCannotBeTheQueues(t *testing.T) {
	e := newEdge(t)
	file := filepath.Join(e.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(e.dir, "foreign")
	if err := os.MkdirAll(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "letters.txt"), []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{file: "not a directory", filepath.Join(file, "below"): "not a directory", foreign: "foreign"} {
		config := strings.ReplaceAll(e.caddyfile(pageSite), e.queueDir(), dir)
		err := e.tryText(config)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "queue") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if b := readFile(t, filepath.Join(foreign, "letters.txt")); b != "dear" {
		t.Error("the foreign directory was changed")
	}
}

// What a queue can't be opened with is refused by a reload, too, which opens
// none: the next start would serve no site.
func TestReloadRefusesWhatTheNextStartWould(t *testing.T) {
	e := newEdge(t)
	e.load(pageSite)
	for _, option := range []string{"max_size 1MiB", "reserve_free 1MiB", "seal_age 1h", "sync 1h", "drop all"} {
		name, _, _ := strings.Cut(option, " ")
		lines := strings.Split(e.queue, "\n")
		e.queue = strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, name) }), "\n") + "\n" + option
		if err := e.try(pageSite); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", option, err)
		}
		e.queue = strings.Join(lines, "\n")
	}
}

// balanced checks the equation of the books.
func balanced(t testing.TB, m map[string]float64) {
	t.Helper()
	total := m["eider_edge_queued_events"]
	for _, state := range []string{"stored", "dropped", "rejected", "lost"} {
		total += m[`eider_edge_events_total{state="`+state+`"}`]
	}
	if c := m[`eider_edge_events_total{state="captured"}`]; c != total {
		t.Errorf("captured %v, accounted for %v: %v", c, total, m)
	}
}

// The aggregator is away: the queue grows to its cap, drops are counted, and
// visitors wait no longer than before.
func TestAggregatorAwayFillsTheQueueToItsCap(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a queue")
	}
	e := newEdge(t)
	e.agg.away.Store(true)
	e.queue = "max_size 16MiB\nreserve_free 16MiB\nseal_age 5ms\nsync 50ms"
	e.load(pageSite)
	var rt *runtime
	runtimes.Range(func(_, v any) bool { rt = v.(*runtime); return true })
	fill := func() {
		o := shared.Observation{
			Site: "demo.localhost", Result: shared.ResultPageview, Kind: shared.KindPageview, UserAgent: chrome, Method: "GET", Host: "demo.localhost",
		}
		for i := 0; i < 2_000_000 && e.metricsDropped(rt) == 0; i++ {
			o.Time = time.Now().UnixMicro()
			// Paths that don't compress fill the queue sooner.
			o.Path = fmt.Sprintf("/%x/%x", uint64(i)*0x9E3779B97F4A7C15, uint64(i)*0xC2B2AE3D27D4EB4F)
			rt.ring.push(&o, new(texts))
			if i%1024 == 0 {
				for rt.ring.len() > ringSize/2 {
					time.Sleep(time.Millisecond)
				}
			}
		}
	}
	fill()
	if e.metricsDropped(rt) == 0 {
		t.Fatal("the cap was never reached")
	}
	began := time.Now()
	const n = 300
	for range n {
		e.get("/")
	}
	if each := time.Since(began) / n; each > 20*time.Millisecond {
		t.Errorf("a request takes %s with a full queue", each)
	}
	m := e.metrics()
	if size := m["eider_edge_queue_bytes"]; size > 16<<20 {
		t.Errorf("the queue takes %v bytes", size)
	}
	if m[`eider_edge_dropped_events_total{reason="max_size"}`] == 0 {
		t.Errorf("no drop for the cap: %v", m)
	}
	balanced(t, m)
	if e.results()["pageview"] != n {
		t.Errorf("results %v", e.results())
	}
}

func (e *edge) metricsDropped(rt *runtime) uint64 {
	c := rt.queue.Load().Counters()
	return c.Dropped[shared.DropCap].Count
}

// Stopping with the aggregator away keeps everything; the next start ships it.
func TestStopKeepsWhatCannotBeShipped(t *testing.T) {
	e := newEdge(t)
	e.agg.away.Store(true)
	e.load(pageSite)
	const n = 50
	for range n {
		e.get("/")
	}
	began := time.Now()
	e.stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if len(e.agg.all()) != 0 {
		t.Fatal("events have come although the aggregator was away")
	}
	e.agg.away.Store(false)
	e.load(pageSite)
	e.agg.wait(t, n)
}

// Stopping right after the last request ships it, if the aggregator is there.
func TestStopShipsTheLastRequests(t *testing.T) {
	e := newEdge(t)
	e.queue = "reserve_free 16MiB\nseal_age 500ms\nsync 500ms"
	e.load(pageSite)
	const n = 20
	for range n {
		e.get("/")
	}
	e.stop()
	if got := len(e.agg.all()); got != n {
		t.Errorf("%d of %d events were shipped by the stop", got, n)
	}
}

// Without a token nothing is shipped, which is said, and nothing is lost.
func TestWithoutTokenEventsWait(t *testing.T) {
	t.Setenv("EIDER_EDGE_TOKEN", "")
	e := newEdge(t)
	e.token = "{env.EIDER_EDGE_TOKEN}"
	e.load(pageSite)
	e.get("/")
	eventually(t, "the event in the queue", func() bool { return e.metrics()["eider_edge_queue_oldest_age_seconds"] > 0 })
	if log := readFile(t, e.logFile()); !strings.Contains(log, "EIDER_EDGE_TOKEN") {
		t.Error("the log does not say what to set")
	}
	e.token = edgeToken
	e.load(pageSite)
	e.agg.wait(t, 1)
}
