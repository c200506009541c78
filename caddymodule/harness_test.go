package caddymodule

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

const edgeToken = "edge-token-8d1f0c"

// aggregator is the far end of the network: it acknowledges what it gets and
// keeps it.
type aggregator struct {
	*httptest.Server
	away atomic.Bool // answers 503

	mu      sync.Mutex
	known   *shared.EdgeState       // what it says of the sites; nil = it is an old one
	report  map[string]uint64       // unknown hosts
	events  map[string]shared.Event // by epoch and sequence
	hellos  []shared.Hello
	onHello func() // before it is answered; set before there is an edge
	tokens  map[string]int
	mark    map[shared.Epoch]uint64
}

func newAggregator(t testing.TB) *aggregator {
	a := &aggregator{report: map[string]uint64{}, events: map[string]shared.Event{}, tokens: map[string]int{}, mark: map[shared.Epoch]uint64{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *aggregator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.away.Load() {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path == shared.PathHello && a.onHello != nil {
		a.onHello()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]++
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case shared.PathHello:
		var h shared.Hello
		if err := json.NewDecoder(r.Body).Decode(&h); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.hellos = append(a.hellos, h)
		reply := shared.HelloReply{}
		for _, span := range h.Kept {
			if m, ok := a.mark[span.Epoch]; ok {
				reply.Expected = append(reply.Expected, shared.EpochMark{Epoch: span.Epoch, Expected: m + 1})
			}
		}
		_ = json.NewEncoder(w).Encode(reply)
	case shared.PathBatches:
		a.batches(w, r)
	case shared.PathEdge:
		if a.known == nil {
			http.NotFound(w, r)
			return
		}
		var report shared.EdgeReport
		if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&report) != nil {
			http.Error(w, "no report", http.StatusBadRequest)
			return
		}
		for _, u := range report.UnknownHosts {
			a.report[u.Host] += u.Requests
		}
		_ = json.NewEncoder(w).Encode(a.known)
	default:
		http.NotFound(w, r)
	}
}

func (a *aggregator) batches(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var ack shared.Ack
	for len(body) > 0 && err == nil {
		var f batch.Frame
		if f, body, err = batch.Next(body); err != nil {
			break
		}
		err = f.Events(func(_ uint64, e *shared.Event, err error) {
			if err == nil {
				a.events[fmt.Sprint(e.Epoch, e.Seq)] = *e
			}
		})
		a.mark[f.Header.Epoch] = max(a.mark[f.Header.Epoch], f.Header.LastSeq())
		ack = shared.Ack{Epoch: f.Header.Epoch, AckedThrough: a.mark[f.Header.Epoch], Expected: a.mark[f.Header.Epoch] + 1}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode(ack)
}

// all returns the events that have come, in no order, without the sums of
// requests that a stop adds.
func (a *aggregator) all() []shared.Event {
	return a.filtered(func(e shared.Event) bool { return e.Name != shared.CompletionRequests })
}

// sums returns the sums of requests that have come.
func (a *aggregator) sums() []shared.Event {
	return a.filtered(func(e shared.Event) bool { return e.Name == shared.CompletionRequests })
}

func (a *aggregator) filtered(keep func(shared.Event) bool) []shared.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []shared.Event
	for _, e := range a.events {
		if keep(e) {
			list = append(list, e)
		}
	}
	return list
}

// wait returns the events as soon as there are n of them, or fails.
func (a *aggregator) wait(t testing.TB, n int) []shared.Event {
	t.Helper()
	eventually(t, fmt.Sprintf("%d events at the aggregator", n), func() bool { return len(a.all()) >= n })
	time.Sleep(50 * time.Millisecond) // one too many would come now
	all := a.all()
	if len(all) != n {
		t.Fatalf("%d events at the aggregator, want %d", len(all), n)
	}
	return all
}

func (a *aggregator) lastHello(t testing.TB) shared.Hello {
	t.Helper()
	eventually(t, "a hello", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.hellos) > 0 })
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hellos[len(a.hellos)-1]
}

// eventually polls; what it waits for happens on other goroutines and disks.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

// edge is a Caddy in this process with its module, before an aggregator.
type edge struct {
	t    testing.TB
	agg  *aggregator
	dir  string // of everything that it writes
	addr string // of the site
	// admin is the address of Caddy's own endpoint. Over a unix socket, which Caddy
	// copies at each reload, a listener can block in accept(2) for ever while Caddy
	// waits for it to be closed.
	admin string
	token string
	queue string // lines of the queue's block
	// global are more global options of the Caddyfile.
	global string
	volume string // that the queue's directory is made on; "" = dir
}

func newEdge(t testing.TB) *edge {
	t.Helper()
	e := &edge{t: t, agg: newAggregator(t), dir: t.TempDir(), addr: freeAddr(t), admin: freeAddr(t), token: edgeToken}
	// The smallest reserve: tests run on volumes of any size.
	e.queue = "reserve_free 16MiB\nseal_age 5ms\nsync 10ms"
	return e
}

// freeAddr is an address that no outgoing connection of another test takes.
func freeAddr(t testing.TB) string {
	t.Helper()
	addr, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func (e *edge) port() string    { _, port, _ := strings.Cut(e.addr, ":"); return port }
func (e *edge) logFile() string { return filepath.Join(e.dir, "caddy.log") }
func (e *edge) queueDir() string {
	if e.volume != "" {
		return filepath.Join(e.volume, "q")
	}
	return filepath.Join(e.dir, "queue")
}

// caddyfile puts sites behind the global options of the test. $ADDR stands for
// the address, whatever the host.
func (e *edge) caddyfile(sites string) string {
	global := fmt.Sprintf(`{
	admin %s
	persist_config off
	auto_https off
	default_bind 127.0.0.1
	grace_period 5s
	storage file_system %s
	log {
		output file %s
		level DEBUG
	}
	%s
	eider {
		aggregator %s
		token %s
		queue %s {
			%s
		}
	}
}
`, e.admin, filepath.Join(e.dir, "storage"), e.logFile(), e.global, e.agg.URL, e.token, e.queueDir(), e.queue)
	return global + strings.ReplaceAll(sites, "$ADDR", "http://:"+e.port())
}

// load starts the edge, or reloads it.
func (e *edge) load(sites string) {
	e.t.Helper()
	if err := e.try(sites); err != nil {
		e.t.Fatal(err)
	}
}

func (e *edge) try(sites string) error { return e.tryText(e.caddyfile(sites)) }

func (e *edge) tryText(caddyfile string) error {
	e.t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	e.t.Cleanup(e.stop)
	return caddy.Load(config, true)
}

func (e *edge) stop() {
	if err := caddy.Stop(); err != nil {
		e.t.Error(err)
	}
}

// get asks as Chrome does for a page, unless headers say otherwise.
func (e *edge) get(path string, headers ...string) *http.Response {
	e.t.Helper()
	req, err := http.NewRequest("GET", "http://"+e.addr+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	asReader(req, headers...)
	resp, err := plainClient.Do(req)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		// While Caddy hands a listener over to a new configuration, it can close
		// a fresh connection without having looked at it.
		plainClient.CloseIdleConnections()
		resp, err = plainClient.Do(req)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		e.t.Fatal(err)
	}
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

// plainClient neither follows redirects nor unpacks bodies.
var plainClient = &http.Client{
	Timeout:       time.Minute,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
}

const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"

// asReader sets a browser's headers, and "Name: value" on top of them.
func asReader(req *http.Request, headers ...string) {
	req.Header.Set("User-Agent", chrome)
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	req.Header.Set("Accept-Language", "de-DE,de;q=0.9")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
}

func bodyOf(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// adminGet asks Caddy's admin endpoint.
func (e *edge) adminGet(path string) string {
	e.t.Helper()
	network, address, host := "tcp", e.admin, e.admin
	if socket, ok := strings.CutPrefix(e.admin, "unix/"); ok {
		network, address, host = "unix", socket, "127.0.0.1"
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial(network, address)
		},
	}}
	resp, err := client.Get("http://" + host + path)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		e.t.Fatalf("%s: %s", path, resp.Status)
	}
	return bodyOf(e.t, resp)
}

// metrics reads the values of Caddy's own /metrics by the text before them.
func (e *edge) metrics() map[string]float64 {
	e.t.Helper()
	values := map[string]float64{}
	lines := bufio.NewScanner(strings.NewReader(e.adminGet("/metrics")))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") || !strings.HasPrefix(name, "eider_edge_") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			e.t.Fatalf("metric %q: %v", lines.Text(), err)
		}
		values[name] = v
	}
	return values
}

// results sums the requests of all sites by result; what is 0 is left out.
func (e *edge) results() map[string]float64 {
	sums := map[string]float64{}
	for name, v := range e.metrics() {
		if !strings.HasPrefix(name, "eider_edge_requests_total{") || v == 0 {
			continue
		}
		_, result, _ := strings.Cut(name, `result="`)
		sums[strings.TrimSuffix(strings.TrimSuffix(result, `}`), `"`)[:strings.IndexByte(result, '"')]] += v
	}
	return sums
}

func sum(values map[string]float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// origin is a site behind the proxy.
func origin(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html><title>A page</title>")
}
