package receive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

const token = "correct horse"

// name is what an event is called for ever.
type name struct {
	edge  shared.EdgeID
	epoch shared.Epoch
	seq   uint64
}

// registry knows what was registered.
type registry struct {
	mu    sync.Mutex
	sites map[string]state.Site
}

func newRegistry(domains ...string) *registry {
	r := &registry{sites: map[string]state.Site{}}
	for _, d := range domains {
		_, _ = r.Register(d)
	}
	return r
}

func (r *registry) Register(domain string) (state.Site, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.ContainsAny(domain, "/\x00'") {
		return state.Site{}, errors.New("not a domain")
	}
	s := state.Site{ID: strings.ReplaceAll(domain, ".", "-"), Domains: []string{domain}}
	r.sites[domain] = s
	return s, nil
}

func (r *registry) Resolve(name string) (state.Site, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.sites[name]
	return s, ok
}

// rig is an aggregator's front half on real directories.
type rig struct {
	t     testing.TB
	dir   string
	state *state.State
	spool *spool.Spool
	recv  *Receiver
	sink  *tally
	sites *registry
	log   *zap.Logger
	reg   *prometheus.Registry

	tokens    Tokens
	directory Directory
}

func newRig(t testing.TB) *rig {
	t.Helper()
	g := &rig{t: t, dir: t.TempDir(), sink: newTally(), sites: newRegistry("example.com"), log: zap.NewNop(), tokens: theToken(token)}
	if testing.Verbose() {
		if tt, ok := t.(*testing.T); ok {
			g.log = zaptest.NewLogger(tt)
		}
	}
	g.open()
	t.Cleanup(g.close)
	return g
}

func (g *rig) open() {
	g.t.Helper()
	var err error
	if g.state, err = state.Open(filepath.Join(g.dir, "state"), g.log); err != nil {
		g.t.Fatal(err)
	}
	if g.spool, err = spool.Open(spool.Config{Dir: filepath.Join(g.dir, "spool"), ReserveFree: 16 << 20}); err != nil {
		g.t.Fatal(err)
	}
	g.reg = prometheus.NewRegistry()
	g.recv, err = New(Config{
		Tokens: g.tokens, Registry: g.sites, Directory: g.directory, State: g.state, Spool: g.spool, Sink: g.sink,
		DeadLetters: filepath.Join(g.dir, "dead-letters"), Registerer: g.reg, Logger: g.log,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	if err := g.recv.Recover(context.Background()); err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) close() {
	if g.recv == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(g.recv.Close(ctx), g.spool.Close(), g.state.Close()); err != nil {
		g.t.Error(err)
	}
	g.recv = nil
}

// settle waits until the sink has what was recorded.
func (g *rig) settle() {
	g.t.Helper()
	for range 1000 {
		g.recv.hand.mu.Lock()
		done := g.recv.hand.next == g.spool.Next()
		g.recv.hand.mu.Unlock()
		if done && g.recv.room.TryAcquire(pendingEvents) { // nothing is with the sink
			g.recv.room.Release(pendingEvents)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	g.t.Fatal("the sink never got everything")
}

// restart loses what was not committed, and what was on its way to the sink.
func (g *rig) restart() {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := errors.Join(g.recv.Close(ctx), g.spool.Close(), g.state.Close()); err != nil {
		g.t.Fatal(err)
	}
	g.sink.crash()
	g.open()
}

func (g *rig) metric(name string, labels ...string) float64 {
	g.t.Helper()
	families, err := g.reg.Gather()
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetValue())
			}
			if strings.Join(got, ",") == strings.Join(labels, ",") {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// edgeSim is an edge: it makes frames and sends them.
type edgeSim struct {
	id         shared.EdgeID
	epoch      shared.Epoch
	epochFirst uint64
	boot       shared.Epoch
	counters   shared.Counters
	started    time.Time
	offset     time.Duration // of its clock
}

func newEdge(epochFirst uint64) *edgeSim {
	return &edgeSim{
		id: shared.NewEdgeID(), epoch: shared.NewEpoch(), boot: shared.NewEpoch(),
		epochFirst: epochFirst, started: time.Now().Add(-time.Hour),
	}
}

func (e *edgeSim) now() time.Time { return time.Now().Add(e.offset) }

func (e *edgeSim) header(first, count uint64) shared.Header {
	e.counters.Captured = max(e.counters.Captured, first+count-1)
	return shared.Header{
		Edge: e.id, Epoch: e.epoch, EpochFirst: e.epochFirst, FirstSeq: first, Count: count,
		BaseTime: e.now().UnixMicro(), Counters: e.counters,
	}
}

// frame is a sealed batch; change may spoil its events.
func (e *edgeSim) frame(first, count uint64, change func(*shared.Event)) []byte {
	h := e.header(first, count)
	var raw []byte
	for seq := first; seq < first+count; seq++ {
		ev := shared.Event{
			Seq: seq, Site: "example.com", Kind: shared.KindPageview, Origin: shared.OriginEdge, Verdict: shared.VerdictLikely,
			Time: h.BaseTime, Hostname: "example.com", Pathname: fmt.Sprint("/", seq),
		}
		if change != nil {
			change(&ev)
		}
		raw = shared.AppendEvent(raw, &ev, h.BaseTime)
	}
	return batch.Seal(nil, &h, raw)
}

func (e *edgeSim) lost(first, count uint64, reason shared.LossReason) []byte {
	h := e.header(first, count)
	h.LossReason = reason
	return batch.SealLost(nil, &h)
}

// undecodable is a frame with a right checksum whose payload is no events.
func (e *edgeSim) undecodable(first, count uint64) []byte {
	h := e.header(first, count)
	return batch.Seal(nil, &h, []byte(strings.Repeat("not events ", 9)))
}

func (e *edgeSim) headers(req *http.Request) {
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set(shared.HeaderBoot, e.boot.String())
	req.Header.Set(shared.HeaderSentAt, strconv.FormatInt(e.now().UnixMicro(), 10))
	req.Header.Set(shared.HeaderMonotonic, strconv.FormatInt(time.Since(e.started).Microseconds(), 10))
}

func (e *edgeSim) request(path, contentType string, body []byte) *http.Request {
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	e.headers(req)
	return req
}

// answer is what came back of a request.
type answer struct {
	status int
	header http.Header
	ack    shared.Ack
	err    shared.ErrorDetail
	hello  shared.HelloReply
}

func (g *rig) do(req *http.Request) (a answer) {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.recv.ServeHTTP(w, req)
	a.status, a.header = w.Code, w.Header()
	var v any = &shared.ErrorBody{}
	switch {
	case w.Code == http.StatusOK && req.URL.Path == shared.PathHello:
		v = &a.hello
	case w.Code == http.StatusOK:
		v = &a.ack
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		g.t.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
	}
	if e, ok := v.(*shared.ErrorBody); ok {
		a.err = e.Error
	}
	return a
}

func (g *rig) hello(e *edgeSim, kept ...shared.EpochSpan) answer {
	g.t.Helper()
	body, err := json.Marshal(shared.Hello{
		Edge: e.id, Epoch: e.epoch, Boot: e.boot, Name: "edge-1", Version: "1.0", Kept: kept,
		Sites: []shared.SiteHello{{Domain: "example.com"}},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.do(e.request(shared.PathHello, "application/json", body))
}

func (g *rig) post(e *edgeSim, frames ...[]byte) answer {
	g.t.Helper()
	return g.do(e.request(shared.PathBatches, shared.ContentTypeBatches, bytes.Join(frames, nil)))
}

// mustAck posts and expects an acknowledgement through a sequence.
func (g *rig) mustAck(e *edgeSim, through uint64, frames ...[]byte) shared.Ack {
	g.t.Helper()
	a := g.post(e, frames...)
	if a.status != http.StatusOK || a.ack.AckedThrough != through || a.ack.Expected != through+1 || a.ack.Epoch != e.epoch {
		g.t.Fatalf("answer %d %+v %+v, want an acknowledgement through %d", a.status, a.ack, a.err, through)
	}
	return a.ack
}

// wantCounts checks that exactly the sequences of e in want count, once each.
func (g *rig) wantCounts(e *edgeSim, want ...uint64) {
	g.t.Helper()
	got := g.sink.counts()
	for _, seq := range want {
		n := name{e.id, e.epoch, seq}
		if got[n] != 1 {
			g.t.Errorf("sequence %d counts %d times", seq, got[n])
		}
		delete(got, n)
	}
	for n, k := range got {
		if n.edge == e.id && n.epoch == e.epoch {
			g.t.Errorf("sequence %d counts %d times, it must not", n.seq, k)
		}
	}
}

func seqs(first, last uint64) (list []uint64) {
	for s := first; s <= last; s++ {
		list = append(list, s)
	}
	return list
}

// theToken allows everything to who shows it.
type theToken string

func (t theToken) Authorize(token string) (Permission, bool) {
	return Permission{Name: "shared"}, token == string(t)
}
