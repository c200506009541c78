package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/aggregator/turns"
	"github.com/eider-analytics/eider/shared"
)

// rig is the API over a real lake, with a heavy question of its own.
type rig struct {
	*Server
	mux   *http.ServeMux
	heavy http.Handler // the funnel-like question, by a server that stays
	db    *duck.DB
	turns *turns.Turns
}

// noon of the rig's last day.
var rigNow = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// endless is a statement that does not come to its end.
const endless = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 5"

// sequence is what a funnel has to do first: every visitor's pages in order. The
// argument only makes one question another one.
const sequence = "WITH x AS (SELECT visitor_id, pathname, lag(pathname, 1) OVER w AS one, lag(pathname, 2) OVER w AS two, lag(time, 2) OVER w AS since, time" +
	" FROM events, range(6) r WINDOW w AS (PARTITION BY visitor_id, r.range ORDER BY time))" +
	" SELECT count(DISTINCT visitor_id) FROM x WHERE one <> two AND pathname <> one AND time - since < INTERVAL 2 HOUR AND pathname <> $2"

func newRig(t testing.TB, cfg turns.Config, memory int64, timeout time.Duration, events int) *rig {
	t.Helper()
	dir := t.TempDir()
	st, err := state.Open(filepath.Join(dir, "state"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if err := st.PutSite(state.Site{ID: "a", UUID: "0d2f4c1e-7a54-4b5e-9c53-1f1e8a6f9a01", Domains: []string{"a.example"}, Zone: "UTC"}); err != nil {
		t.Fatal(err)
	}
	registry, err := sites.Open(st, "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(lake.Config{Dir: filepath.Join(dir, "lake"), State: st, Zone: registry.Zone})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	fill(t, l, events)
	keys, err := auth.Open(st, registry)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{turns: turns.New(cfg)}
	r.db, err = duck.Open(duck.Config{Lake: filepath.Join(dir, "lake"), Temp: filepath.Join(dir, "tmp"), Memory: memory, Turns: r.turns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.db.Close() })
	nothing := http.NotFoundHandler()
	r.Server = New(Config{
		Engine: stats.NewEngine(r.db), Sites: registry, Registry: registry, Keys: keys, Snapshot: l.Snapshot,
		Edges: nothing, Ops: nothing, Dashboard: nothing, QueryTimeout: timeout, Now: func() time.Time { return rigNow }, Logger: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)),
	})
	r.mux = http.NewServeMux()
	r.mux.Handle("/", r.Server)
	r.mux.Handle("/endless", r.handle(r.answer(r.ask(endless))))
	r.heavy = r.handle(r.answer(r.ask(sequence)))
	r.mux.Handle("/sequence", r.heavy)
	r.mux.Handle("/large", r.handle(r.answer(r.ask("SELECT len(list(range)) FROM range(500000000)"))))
	return r
}

// fill adds page views of the last week, ten by each visitor.
func fill(t testing.TB, l *lake.Lake, n int) {
	t.Helper()
	var events []shared.Event
	for i := range n {
		at := rigNow.Add(-time.Duration(i) * 7 * 24 * time.Hour / time.Duration(n)).UnixMicro()
		events = append(events, shared.Event{
			SiteID: "a", Kind: shared.KindPageview, Origin: shared.OriginEdge, Pathname: fmt.Sprintf("/%d", i*i%97), VisitorID: uint64(1 + i%(1+n/10)),
			Browser: []string{"Chrome", "Firefox", "Safari"}[i%3], CountryCode: "DE", Edge: shared.EdgeID{1}, Epoch: 1, Seq: uint64(i + 1), Time: at, ReceivedAt: at,
		})
		if len(events) == 10_000 || i == n-1 {
			if err := l.Ingest(context.Background(), lake.Batch{SpoolPos: uint64(i + 1), Events: events}); err != nil {
				t.Fatal(err)
			}
			events = nil
		}
	}
	if err := l.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// ask is the heavy question that runs a statement; its parameter n makes it
// another question.
func (r *rig) ask(query string) parser {
	return func(site stats.Site, req *http.Request, now time.Time) (question, error) {
		q, err := ranged("heavy", site, req.URL.Query(), now)
		q.heavy = true
		n := req.URL.Query().Get("n")
		q.ask = func(ctx context.Context, _ *Engine, files []lake.File) (any, []stats.Caveat, error) {
			var paths []string
			for i := range files {
				paths = append(paths, files[i].Path)
			}
			var args []any
			if strings.Contains(query, "$2") {
				args = []any{n}
			}
			var found int64
			err := r.db.Query(ctx, paths, query, args, func(scan func(...any) error) error { return scan(&found) })
			return found, nil, err
		}
		return q, err
	}
}

// settled waits until so much runs and waits in the heavy class.
func (r *rig) settled(t *testing.T, want turns.Load) time.Duration {
	t.Helper()
	began := time.Now()
	for r.turns.Load(turns.Heavy) != want {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("it is %+v, want %+v", r.turns.Load(turns.Heavy), want)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// TestGone: a client that goes away ends its statement, unless somebody else
// waits for the same answer; over either protocol.
func TestGone(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%t", http2), func(t *testing.T) {
			r := newRig(t, turns.Config{Light: 1, Heavy: 1}, 0, time.Minute, 100)
			server := httptest.NewUnstartedServer(r.mux)
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			before := runtime.NumGoroutine()
			ask := func(n int) (leave func()) {
				ctx, cancel := context.WithCancel(t.Context())
				req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/endless?site_id=a&n=%d", server.URL, n), nil)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					if response, err := server.Client().Do(req); err == nil {
						t.Errorf("answered with %s over %s", response.Status, response.Proto)
						_ = response.Body.Close()
					}
				}()
				return func() { cancel(); <-done }
			}
			leaveFirst := ask(1)
			r.settled(t, turns.Load{Running: 1})
			leaveSecond := ask(1)
			for r.answers.Stats().Shared == 0 {
				time.Sleep(time.Millisecond)
			}
			leaveThird := ask(2)
			r.settled(t, turns.Load{Running: 1, Waiting: 1})
			leaveThird()
			r.settled(t, turns.Load{Running: 1})
			leaveFirst()
			time.Sleep(100 * time.Millisecond)
			if r.turns.Load(turns.Heavy) != (turns.Load{Running: 1}) {
				t.Error("the statement ended although somebody waits for it")
			}
			leaveSecond()
			least := r.settled(t, turns.Load{})
			for range 3 { // other work on the machine is no matter
				leave := ask(1)
				r.settled(t, turns.Load{Running: 1})
				leave()
				least = min(least, r.settled(t, turns.Load{}))
			}
			if t.Logf("the statement ended %s after its last client", least); least > 100*time.Millisecond {
				t.Errorf("the statement ended %s after its last client", least)
			}
			server.Client().CloseIdleConnections()
			for began := time.Now(); runtime.NumGoroutine() > before+2; time.Sleep(time.Millisecond) { // the server's own come and go
				if time.Since(began) > 10*time.Second {
					t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				}
			}
		})
	}
}

// get asks and reads the refusal, if it is one.
func (r *rig) get(path, address string) (*httptest.ResponseRecorder, shared.ErrorDetail) {
	req := httptest.NewRequest("GET", "http://localhost"+path, nil)
	req.RemoteAddr = address
	w := httptest.NewRecorder()
	r.mux.ServeHTTP(w, req)
	var e shared.ErrorBody
	_ = json.Unmarshal(w.Body.Bytes(), &e)
	return w, e.Error
}

// TestRefusals: too slow, too long in line, too many, too large: each is a 503
// that says what to do, and none is an error of ours.
func TestRefusals(t *testing.T) {
	r := newRig(t, turns.Config{Light: 1, Heavy: 1, Waiting: 1}, 64<<20, 4*time.Second, 100)
	type answer struct {
		w   *httptest.ResponseRecorder
		err shared.ErrorDetail
	}
	ask := func(path, address string) chan answer {
		c := make(chan answer, 1)
		go func() { w, err := r.get(path, address); c <- answer{w, err} }()
		return c
	}
	slow := ask("/endless?site_id=a&n=1", "192.0.2.1:1")
	r.settled(t, turns.Load{Running: 1})
	// This one waits as long as it may, unless the first one's time is over
	// before: then it runs for what is left of its own.
	waits := ask("/endless?site_id=a&n=2", "192.0.2.1:1")
	r.settled(t, turns.Load{Running: 1, Waiting: 1})
	w, e := r.get("/endless?site_id=a&n=3", "192.0.2.1:1")
	if w.Code != 503 || e.Code != "busy" || !strings.Contains(e.Message, "come back in 1 seconds") || w.Header().Get("Retry-After") != "1" || w.Header().Get("ETag") != "" {
		t.Errorf("one too many: %d %+v %v", w.Code, e, w.Header())
	}
	if w, _ := r.get("/api/stats/main?site_id=a", "192.0.2.1:1"); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Server-Timing"), "wait;dur=") {
		t.Errorf("an overview beside them: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w, _ := r.get("/api/stats/main?site_id=a", "192.0.2.1:1"); w.Code != 200 || w.Header().Get("Server-Timing") != "cache" {
		t.Errorf("the same again: %d %v", w.Code, w.Header())
	}
	if a := <-slow; a.w.Code != 503 || a.err.Code != "too_slow" || !strings.Contains(a.err.Message, "shorter range") {
		t.Errorf("what took too long: %d %+v", a.w.Code, a.err)
	} else if timing := a.w.Header().Get("Server-Timing"); !strings.Contains(timing, "query;dur=") {
		t.Errorf("what took too long says %q", timing)
	}
	if a := <-waits; a.w.Code != 503 || a.err.Code != "too_slow" && a.err.Code != "busy" {
		t.Errorf("what waited: %d %+v", a.w.Code, a.err)
	}
	if w, e := r.get("/large?site_id=a", "192.0.2.1:1"); w.Code != 503 || e.Code != "too_large" || !strings.Contains(e.Message, "query_memory") {
		t.Errorf("what needs too much memory: %d %+v", w.Code, e)
	}
	if w, e := r.get("/sequence?site_id=a&n=4", "192.0.2.1:1"); w.Code != 200 {
		t.Errorf("afterwards: %d %+v", w.Code, e)
	}
}

// TestTimeOverInLine: one whose time is over before its turn comes hears of that,
// not of a shorter range.
func TestTimeOverInLine(t *testing.T) {
	r := newRig(t, turns.Config{Light: 1, Heavy: 1}, 0, 200*time.Millisecond, 100)
	ctx, cancel := context.WithCancel(turns.With(t.Context(), turns.Ask{Class: turns.Heavy}))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.db.Query(ctx, nil, endless, nil, func(func(...any) error) error { return nil })
	}()
	r.settled(t, turns.Load{Running: 1})
	w, e := r.get("/sequence?site_id=a", "192.0.2.1:1")
	if w.Code != 503 || e.Code != "busy" || !strings.Contains(e.Message, "before its turn came") || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %+v %v", w.Code, e, w.Header())
	}
	if timing := w.Header().Get("Server-Timing"); !strings.HasPrefix(timing, "wait;dur=") || strings.HasPrefix(timing, "wait;dur=0.0") {
		t.Errorf("it says %q", timing)
	}
	cancel()
	<-ended
}

// TestClass: what a question asks for and how much it reads make its class.
func TestClass(t *testing.T) {
	s := &Server{cfg: Config{ClientIP: peer}}
	for _, c := range []struct {
		what    string
		rows    int64
		heavy   bool
		address string
		want    turns.Ask
	}{
		{"an overview", 1_000_000, false, "192.0.2.1:5", turns.Ask{Class: turns.Light, Client: "192.0.2.1", Cost: time.Second / 2}},
		{"a long range", 10_000_000, false, "192.0.2.1:5", turns.Ask{Class: turns.Heavy, Client: "192.0.2.1", Cost: 5 * time.Second}},
		{"a small funnel", 1000, true, "[2001:db8::1:2:3]:5", turns.Ask{Class: turns.Heavy, Client: "2001:db8::/64", Cost: 2 * time.Millisecond}},
		{"over a socket", 0, false, "@", turns.Ask{Class: turns.Light, Client: netip.Addr{}.String()}},
		{"from a mapped address", 0, false, "[::ffff:192.0.2.7]:5", turns.Ask{Class: turns.Light, Client: "192.0.2.7"}},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.address
		c.want.Site = "s"
		if got := s.turn(r, "s", c.heavy, []lake.File{{Rows: c.rows / 2}, {Rows: c.rows - c.rows/2}}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
}

// BenchmarkOverviewBesideFunnels: how much longer an overview takes while more
// funnels come than can run, in pairs in one run.
func BenchmarkOverviewBesideFunnels(b *testing.B) {
	r := newRig(b, turns.Config{}, 0, time.Minute, 400_000)
	overview := func() time.Duration {
		cfg := r.cfg
		cfg.Engine = stats.NewEngine(r.db) // nothing is remembered
		r := &rig{mux: http.NewServeMux()}
		r.mux.Handle("/", New(cfg))
		began := time.Now()
		var wg sync.WaitGroup
		for _, path := range []string{"main", "timeseries", "breakdown/pages", "breakdown/sources", "breakdown/browsers"} {
			wg.Go(func() {
				if w, e := r.get("/api/stats/"+path+"?site_id=a&period=7d", "192.0.2.1:1"); w.Code != 200 {
					b.Errorf("%d %+v", w.Code, e)
				}
			})
		}
		wg.Wait()
		return time.Since(began)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	n, served, refused := 0, 0, 0
	var mu sync.Mutex
	crowd := func(ctx context.Context) *sync.WaitGroup {
		var wg sync.WaitGroup
		for client := range 16 {
			wg.Go(func() {
				for ctx.Err() == nil {
					mu.Lock()
					n++
					path := fmt.Sprintf("/sequence?site_id=a&n=%d", n)
					mu.Unlock()
					req := httptest.NewRequest("GET", "http://localhost"+path, nil).WithContext(ctx)
					req.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", client)
					w := httptest.NewRecorder()
					r.heavy.ServeHTTP(w, req)
					mu.Lock()
					if w.Code == 200 {
						served++
					} else if ctx.Err() == nil {
						refused++
					}
					mu.Unlock()
				}
			})
		}
		return &wg
	}
	overview() // reads the footers
	var alone, beside []time.Duration
	for b.Loop() {
		alone = append(alone, overview(), overview())
		with, end := context.WithCancel(ctx)
		wg := crowd(with)
		time.Sleep(200 * time.Millisecond)
		beside = append(beside, overview(), overview())
		end()
		wg.Wait()
	}
	median := func(list []time.Duration) float64 {
		slices.Sort(list)
		return float64(list[len(list)/2].Microseconds()) / 1000
	}
	b.ReportMetric(median(alone), "alone-ms")
	b.ReportMetric(median(beside), "beside-ms")
	b.ReportMetric(median(beside)/median(alone), "times")
	b.ReportMetric(float64(served), "funnels")
	b.ReportMetric(float64(refused), "refused")
}
