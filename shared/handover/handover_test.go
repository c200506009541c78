package handover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/queue"
	"github.com/eider-analytics/eider/shared/ship"
)

func event(i int) shared.Event {
	return shared.Event{
		Site: "example.com", Origin: shared.OriginEdge, Kind: shared.KindPageview, Time: time.Now().UnixMicro(),
		Pathname: fmt.Sprintf("/%d", i), DedupeKey: fmt.Sprint(i),
	}
}

// side is a collector's socket over a real queue, which can be taken away.
type side struct {
	t      *testing.T
	dir    string
	queue  *queue.Queue
	server *Server
	http   *http.Server
	cut    atomic.Bool // connections break instead of answering
	rnd    *rand.Rand
}

func (s *side) socket() string { return filepath.Join(s.dir, "s") }

func (s *side) start() {
	s.t.Helper()
	var err error
	if s.queue, err = queue.Open(queue.Config{Dir: filepath.Join(s.dir, "queue"), ReserveFree: queue.MinReserve, UnsafeFS: true}); err != nil {
		s.t.Fatal(err)
	}
	if s.server, err = NewServer(Config{Log: s.queue, Marks: filepath.Join(s.dir, "marks")}); err != nil {
		s.t.Fatal(err)
	}
	_ = os.Remove(s.socket())
	l, err := net.Listen("unix", s.socket())
	if err != nil {
		s.t.Fatal(err)
	}
	s.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.cut.Load() {
			s.server.ServeHTTP(w, r)
			return
		}
		// The batch is taken, and the answer never arrives.
		s.server.ServeHTTP(discard{http.Header{}}, r)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})}
	go func() { _ = s.http.Serve(l) }()
}

func (s *side) stop() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := errors.Join(s.http.Shutdown(ctx), s.server.Close(), s.queue.Close(ctx)); err != nil {
		s.t.Fatal(err)
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header       { return d.h }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// stored reads everything that is in the queue by its keys.
func (s *side) stored() map[string]int {
	s.t.Helper()
	found := map[string]int{}
	if err := s.queue.Flush(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	for pos := uint64(1); pos < s.queue.NextSeq(); {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		f, err := s.queue.Read(ctx, pos)
		cancel()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := f.Events(func(_ uint64, e *shared.Event, err error) {
			if err != nil {
				s.t.Error(err)
				return
			}
			found[e.DedupeKey]++
		}); err != nil {
			s.t.Fatal(err)
		}
		pos = f.Header.LastSeq() + 1
	}
	return found
}

func shipper(t *testing.T, b *Buffer, socket string) (stop func()) {
	t.Helper()
	s, err := ship.New(ship.Config{URL: "http://collector", Token: "none", Transport: Transport(socket)}, b)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	return func() { cancel(); <-done }
}

// TestEveryEventArrivesOnce hands over while connections break after the batch
// was taken and the collector is started anew in between.
func TestEveryEventArrivesOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &side{t: t, dir: t.TempDir(), rnd: rand.New(rand.NewPCG(seed, 0))}
	s.start()
	b := NewBuffer(0, 5*time.Millisecond)
	stop := shipper(t, b, s.socket())
	const rounds, each = 6, 200
	n := 0
	for round := range rounds {
		s.cut.Store(round%2 == 1)
		for range each {
			e := event(n)
			b.Capture(1)
			b.Add(&e)
			n++
			if s.rnd.IntN(20) == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(20 * time.Millisecond)
		s.cut.Store(false)
		if round%3 == 2 {
			s.stop()
			s.start()
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for c := b.Counters(); c.Queued > 0; c = b.Counters() {
		if time.Now().After(deadline) {
			t.Fatalf("%+v after half a minute", c)
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	defer s.stop()
	c := b.Counters()
	if c.Stored != rounds*each || c.Unbalanced() != 0 {
		t.Errorf("books %+v", c)
	}
	found := s.stored()
	for i := range n {
		if got := found[fmt.Sprint(i)]; got != 1 {
			t.Fatalf("event %d is in the queue %d times", i, got)
		}
	}
}

// TestWaitingSenderIsAnsweredOnceWritten: the message is in the queue when
// AddWait returns.
func TestWaitingSenderIsAnsweredOnceWritten(t *testing.T) {
	s := &side{t: t, dir: t.TempDir()}
	s.start()
	defer s.stop()
	b := NewBuffer(0, 50*time.Millisecond)
	defer shipper(t, b, s.socket())()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.AddWait(ctx, []shared.Event{event(1), event(2)}); err != nil {
		t.Fatal(err)
	}
	if found := s.stored(); found["1"] != 1 || found["2"] != 1 {
		t.Errorf("in the queue: %v", found)
	}
}

// TestDropsStandInTheCollectorsBooks: a proxy whose collector was away says how
// many events that cost.
func TestDropsStandInTheCollectorsBooks(t *testing.T) {
	s := &side{t: t, dir: t.TempDir()}
	b := NewBuffer(64<<10, time.Millisecond)
	taken, dropped := 0, uint64(0)
	for i := 0; dropped < 50; i++ {
		e := event(i)
		e.Title = fmt.Sprint(rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64())
		b.Capture(1)
		b.Add(&e)
		c := b.Counters()
		if dropped = c.DroppedTotal(); dropped == 0 {
			taken++
		}
		if i%50 == 0 {
			_ = b.Flush(context.Background())
		}
		if i > 1_000_000 {
			t.Fatal("the buffer has no bound")
		}
	}
	if err := b.AddWait(context.Background(), []shared.Event{event(-1)}); !errors.Is(err, ErrFull) {
		t.Errorf("a full buffer answers a waiting sender with %v", err)
	}
	s.start()
	defer s.stop()
	defer shipper(t, b, s.socket())()
	_ = b.Flush(context.Background())
	deadline := time.Now().Add(20 * time.Second)
	for {
		// Counters travel with the next batch.
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := b.AddWait(ctx, []shared.Event{event(-2)})
		cancel()
		c := s.queue.Counters()
		if err == nil && c.DroppedTotal() >= 50 {
			if c.Unbalanced() != 0 {
				t.Errorf("collector's books %+v", c)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("collector's books %+v, %v", c, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestAProxyThatRunsOnIsNotForgotten: however many others come and go, also
// before the collector is started anew.
func TestAProxyThatRunsOnIsNotForgotten(t *testing.T) {
	s := &side{t: t, dir: t.TempDir()}
	s.start()
	defer func() { s.stop() }()
	const runsOn = 1
	var last []byte
	seq := uint64(0)
	next := func() {
		seq++
		last = frameOf(runsOn, seq, event(int(seq)))
		send(t, s.server, http.StatusOK, last)
	}
	for other := range 2 * maxLives {
		if other%(maxLives/2) == 0 {
			next()
		}
		send(t, s.server, http.StatusOK, frameOf(shared.Epoch(runsOn+1+other), 1, event(1000+other)))
	}
	s.stop()
	s.start()
	for other := range maxLives/2 - 1 {
		send(t, s.server, http.StatusOK, frameOf(shared.Epoch(5000+other), 1, event(5000+other)))
	}
	send(t, s.server, http.StatusOK, last) // its answer was lost
	next()
	found := s.stored()
	for i := range seq {
		if key := fmt.Sprint(i + 1); found[key] != 1 {
			t.Errorf("event %s is in the queue %d times", key, found[key])
		}
	}
	if n := len(s.server.lives); n != maxLives || len(s.server.order) != n {
		t.Errorf("%d lives are remembered, %d in order", n, len(s.server.order))
	}
}

// TestHostileRequests: what is no batch is refused and changes nothing.
func TestHostileRequests(t *testing.T) {
	s := &side{t: t, dir: t.TempDir()}
	s.start()
	defer s.stop()
	client := http.Client{Transport: Transport(s.socket()), Timeout: 5 * time.Second}
	for _, c := range []struct{ path, body string }{
		{shared.PathBatches, "EIDB garbage"},
		{shared.PathBatches, "\x00\x01"},
		{shared.PathHello, "{"},
		{shared.PathHello, `{"edge":"00"}`},
		{shared.PathHello, "{}"},
	} {
		res, err := client.Post("http://collector"+c.path, "application/octet-stream", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %q: %s", c.path, c.body, res.Status)
		}
	}
	if n := s.queue.NextSeq(); n != 1 {
		t.Errorf("%d events in the queue", n-1)
	}
	res, err := client.Get("http://collector" + shared.PathEdge)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("state that is not known: %s", res.Status)
	}
}

// TestReports: what a proxy saw of unknown hosts goes on to the aggregator, once
// the proxy is answered, and not before.
func TestReports(t *testing.T) {
	s := &side{t: t, dir: t.TempDir()}
	s.start()
	defer s.stop()
	var state *shared.EdgeState
	var got []shared.UnknownHost
	server, err := NewServer(Config{
		Log: s.queue, State: func() *shared.EdgeState { return state },
		Report: func(hosts []shared.UnknownHost) { got = append(got, hosts...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(body string) int {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequest(http.MethodPost, shared.PathEdge, strings.NewReader(body)))
		return w.Code
	}
	const report = `{"unknown_hosts":[{"host":"shop.example","requests":3,"last_seen":7}]}`
	if code := ask(report); code != http.StatusServiceUnavailable || len(got) != 0 {
		t.Errorf("while nothing is known: %d, %v", code, got)
	}
	state = &shared.EdgeState{Version: "1"}
	if code := ask(report); code != http.StatusOK || len(got) != 1 || got[0] != (shared.UnknownHost{Host: "shop.example", Requests: 3, LastSeen: 7}) {
		t.Errorf("%d, %v", code, got)
	}
	if code := ask("{"); code != http.StatusBadRequest || len(got) != 1 {
		t.Errorf("garbage: %d, %v", code, got)
	}
}
