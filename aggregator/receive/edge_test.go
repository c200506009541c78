package receive

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/queue"
	"github.com/eider-analytics/eider/shared/ship"
)

// network is a real server behind a network that breaks: before a request
// arrives, in it, and before its answer is heard.
type network struct {
	mu   sync.Mutex
	r    *rand.Rand
	rate float64
	real http.RoundTripper
}

func (n *network) dice() float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.r.Float64() / max(n.rate, 1e-9)
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	if n.dice() < 1 {
		return nil, errors.New("connection refused")
	}
	if n.dice() < 1 {
		// The body breaks off somewhere; its length was promised.
		req = req.Clone(req.Context())
		req.Body = http.MaxBytesReader(nil, req.Body, int64(n.dice()*float64(req.ContentLength))%max(req.ContentLength, 1))
	}
	resp, err := n.real.RoundTrip(req)
	if err == nil && n.dice() < 1 {
		resp.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
	return resp, err
}

// TestFromTheQueueToTheSinkOverABrokenNetwork has the real queue, shipper,
// HTTP server, receiver, spool and state, and restarts both sides.
func TestFromTheQueueToTheSinkOverABrokenNetwork(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 9))
	g := newRig(t)
	var serving sync.RWMutex // held to write while the aggregator restarts
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		serving.RLock()
		defer serving.RUnlock()
		g.recv.ServeHTTP(w, req)
	}))
	defer srv.Close()
	net := &network{r: rand.New(rand.NewPCG(seed, 10)), rate: 0.1, real: srv.Client().Transport}
	dir := t.TempDir()
	want := map[string]bool{} // pathnames that must count
	var rejected uint64
	for life := range 4 {
		q := openQueue(t, dir)
		s, stop := shipping(t, srv.URL, q, net)
		for n := range 40 {
			events := make([]shared.Event, 1+r.IntN(30))
			for i := range events {
				path := fmt.Sprintf("/%d/%d/%d", life, n, i)
				events[i] = shared.Event{
					Site: "example.com", Kind: shared.KindPageview, Origin: shared.OriginEdge, Time: time.Now().UnixMicro(), Pathname: path,
				}
				if r.IntN(10) == 0 {
					events[i].Site = "unknown.example"
					rejected++
				} else {
					want[path] = true
				}
			}
			if err := q.AddWait(context.Background(), events); err != nil {
				t.Fatal(err)
			}
			switch r.IntN(15) {
			case 0:
				serving.Lock()
				g.restart()
				serving.Unlock()
			case 1:
				g.sink.commit(t, g.state)
			}
		}
		if life == 3 { // the network recovers: everything arrives
			net.mu.Lock()
			net.rate = 0
			net.mu.Unlock()
			waitFor(t, func() bool { st := s.Status(); return st.Lag == 0 && q.Stats().Synced == q.NextSeq() })
			c := q.Counters()
			if c.Unbalanced() != 0 || c.Queued != 0 || c.Stored != uint64(len(want)) || c.Rejected != rejected || c.Lost != 0 {
				t.Errorf("the edge's books: %+v, want %d stored and %d rejected", c, len(want), rejected)
			}
		}
		stop()
		if err := q.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	g.settle()
	g.sink.commit(t, g.state)
	g.wantPaths(want)
	if h := g.recv.Edges()[0]; h.Accepted != uint64(len(want)) || h.Rejected != rejected || h.Lost != 0 {
		t.Errorf("the aggregator's books: %+v", h)
	}
}

func openQueue(t *testing.T, dir string) *queue.Queue {
	t.Helper()
	q, err := queue.Open(queue.Config{Dir: dir, MaxSize: 64 << 20, ReserveFree: 16 << 20, Sync: 5 * time.Millisecond, UnsafeFS: true})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func shipping(t *testing.T, url string, q *queue.Queue, net http.RoundTripper) (*ship.Shipper, func()) {
	t.Helper()
	s, err := ship.New(ship.Config{
		URL: url, Token: token, Name: "edge", Transport: net,
		Sites: func() []shared.SiteHello { return []shared.SiteHello{{Domain: "example.com"}} },
	}, q)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	return s, func() { cancel(); <-done }
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it never came to that")
}

// wantPaths checks that each path counts once: names are the oracle here, as
// sequences are the queue's business.
func (g *rig) wantPaths(want map[string]bool) {
	g.t.Helper()
	g.sink.mu.Lock()
	defer g.sink.mu.Unlock()
	for path := range want {
		if k := g.sink.paths[path]; k != 1 {
			g.t.Errorf("%s counts %d times", path, k)
		}
	}
	if len(g.sink.paths) != len(want) {
		g.t.Errorf("%d paths count, want %d", len(g.sink.paths), len(want))
	}
}
