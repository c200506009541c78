package erasure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// rig is everything of an aggregator that stores, on real directories.
type rig struct {
	t      testing.TB
	dir    string
	log    *zap.Logger
	logged *bytes.Buffer

	state  *state.State
	sites  *sites.Registry
	spool  *spool.Spool
	ledger *Ledger
	lake   *lake.Lake
	recv   *receive.Receiver
	eraser *Eraser
}

func newRig(t testing.TB, dir string) *rig {
	t.Helper()
	g := &rig{t: t, dir: dir, logged: &bytes.Buffer{}}
	g.log = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(g.logged)), zap.DebugLevel))
	g.open()
	t.Cleanup(g.stop)
	return g
}

func (g *rig) path(name string) string { return filepath.Join(g.dir, name) }

func (g *rig) must(errs ...error) {
	g.t.Helper()
	if err := errors.Join(errs...); err != nil {
		g.t.Fatal(err)
	}
}

// open opens everything in the order of the aggregator.
func (g *rig) open() {
	g.t.Helper()
	var err error
	g.state, err = state.Open(g.path("state"), nil)
	g.must(err)
	g.sites, err = sites.Open(g.state, "Europe/Berlin")
	g.must(err)
	g.ledger, err = OpenLedger(g.path("erasures"), g.state, g.log)
	g.must(err)
	g.spool, err = spool.Open(spool.Config{Dir: g.path("spool"), ReserveFree: 16 << 20, Logger: g.log})
	g.must(err)
	g.lake, err = lake.Open(lake.Config{
		Dir: g.path("lake"), State: g.state, Zone: g.sites.Zone, SpoolOldest: g.spool.Stats().Oldest, Logger: g.log, CutAge: time.Hour,
		HotDelay: 5 * time.Millisecond, Erasures: g.ledger, OnErased: func() { g.eraser.Swept() },
		OnCommitted: func(through uint64) { g.must(g.spool.Trim(through + 1)) },
	})
	g.must(err)
	g.recv, err = receive.New(receive.Config{
		Tokens: anybody{}, Registry: g.sites, State: g.state, Spool: g.spool, Sink: g.lake, DeadLetters: g.path("dead-letters"),
		Erased: func() receive.Erased { return g.ledger.Erased() }, Registerer: prometheus.NewRegistry(), Logger: g.log,
	})
	g.must(err)
	g.eraser = New(Config{
		Ledger: g.ledger, Lake: g.lake, Spool: g.spool, Sites: g.sites, Letters: g.recv.EraseDeadLetters, Settle: g.settle, Logger: g.log,
	})
	g.must(g.recv.Recover(context.Background()))
}

func (g *rig) settle(ctx context.Context) (uint64, error) {
	if !g.recv.WaitThrough(ctx.Done(), g.spool.Next()-1) {
		return 0, ctx.Err()
	}
	if err := g.lake.Flush(ctx); err != nil {
		return 0, err
	}
	return g.lake.Stats().SpoolThrough, nil
}

// stop ends everything; what is not committed is left to the spool.
func (g *rig) stop() {
	if g.recv == nil {
		return
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	g.must(g.recv.Close(gone))
	_ = g.lake.Close(gone)
	g.must(g.spool.Close(), g.state.Close())
	g.recv = nil
}

func (g *rig) restart() {
	g.stop()
	g.open()
}

type anybody struct{}

func (anybody) Authorize(string) (receive.Permission, bool) { return receive.Permission{}, true }

// edge sends what visitors did.
type edge struct {
	id    shared.EdgeID
	epoch shared.Epoch
	next  uint64
}

func newEdge() *edge { return &edge{shared.NewEdgeID(), shared.NewEpoch(), 1} }

// event is a page view whose path tells its visitor and nobody else.
func event(domain string, visitor uint64, at int64) shared.Event {
	return shared.Event{
		Site: domain, Kind: shared.KindPageview, Origin: shared.OriginEdge, Verdict: shared.VerdictLikely, Time: at,
		Hostname: domain, Pathname: pathOf(visitor), VisitorID: visitor,
	}
}

func pathOf(visitor uint64) string { return fmt.Sprintf("/only-of-visitor-%d/", visitor) }

// seal makes the next batch of an edge.
func (e *edge) seal(events ...shared.Event) []byte {
	base := time.Now().UnixMicro()
	h := shared.Header{Edge: e.id, Epoch: e.epoch, EpochFirst: 1, FirstSeq: e.next, Count: uint64(len(events)), BaseTime: base}
	e.next += h.Count
	h.Counters.Captured, h.Counters.Queued = e.next-1, e.next-1
	var raw []byte
	for i := range events {
		raw = shared.AppendEvent(raw, &events[i], base)
	}
	return batch.Seal(nil, &h, raw)
}

func (g *rig) post(e *edge, path, contentType string, body []byte) {
	g.t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	req.Header.Set(shared.HeaderBoot, e.epoch.String())
	req.Header.Set(shared.HeaderSentAt, strconv.FormatInt(time.Now().UnixMicro(), 10))
	req.Header.Set(shared.HeaderMonotonic, strconv.FormatInt(int64(1000*24*time.Hour/time.Microsecond), 10))
	w := httptest.NewRecorder()
	g.recv.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		g.t.Fatalf("POST %s: %d %s", path, w.Code, w.Body)
	}
}

// send delivers a batch.
func (g *rig) send(e *edge, frame []byte) {
	g.t.Helper()
	hello, err := json.Marshal(shared.Hello{
		Edge: e.id, Epoch: e.epoch, Boot: e.epoch, NextSeq: 1, Name: "e", Version: "1", Sites: []shared.SiteHello{{Domain: "a.example"}, {Domain: "b.example"}},
	})
	g.must(err)
	g.post(e, shared.PathHello, "application/json", hello)
	g.post(e, shared.PathBatches, shared.ContentTypeBatches, frame)
}

// paths are how often each page is in the lake, committed or not.
func (g *rig) paths() map[string]int {
	g.t.Helper()
	_, err := g.settle(g.t.Context())
	g.must(err)
	s := g.lake.Snapshot()
	defer s.Release()
	seen := map[string]int{}
	for _, f := range s.Files {
		for _, r := range readPaths(g.t, f.Path) {
			seen[r.Site+r.Pathname]++
		}
	}
	return seen
}

func (g *rig) wantPaths(want map[string]int) {
	g.t.Helper()
	got := g.paths()
	for path, n := range want {
		if got[path] != n {
			g.t.Errorf("%s is there %d times, want %d", path, got[path], n)
		}
		delete(got, path)
	}
	for path, n := range got {
		if n != 0 {
			g.t.Errorf("%s is there %d times", path, n)
		}
	}
}

// verify closes the books, and says how many rows there are and were.
func (g *rig) verify() (rows, erased int64) {
	g.t.Helper()
	_, err := g.settle(g.t.Context())
	g.must(err)
	m, err1 := g.state.Manifest()
	marks, err2 := g.state.Marks()
	counts, err3 := g.state.Erased()
	g.must(err1, err2, err3)
	for i := range m.Segments {
		rows += m.Segments[i].Rows
	}
	for _, e := range counts {
		erased += e.Rows
	}
	var accepted int64
	for _, m := range marks {
		accepted += int64(m.Accepted)
	}
	if rows+erased != accepted {
		g.t.Errorf("%d rows and %d erased ones, %d were accepted", rows, erased, accepted)
	}
	return rows, erased
}

// holds lists the files that have a text, packed or not: segments and batches
// are zstd, a page or a batch a frame.
func (g *rig) holds(text string) (files []string) {
	g.t.Helper()
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	g.must(err)
	defer z.Close()
	err = filepath.WalkDir(g.dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err == nil && (bytes.Contains(b, []byte(text)) || unpacked(z, b, []byte(text))) {
			files = append(files, path)
		}
		return err
	})
	g.must(err)
	return files
}

func unpacked(z *zstd.Decoder, b, text []byte) bool {
	magic := []byte{0x28, 0xb5, 0x2f, 0xfd}
	for {
		at := bytes.Index(b, magic)
		if at < 0 {
			return false
		}
		b = b[at:]
		if z.Reset(bytes.NewReader(b)) == nil {
			out, _ := io.ReadAll(io.LimitReader(z, 16<<20)) // what follows the frame is an error
			if bytes.Contains(out, text) {
				return true
			}
		}
		b = b[len(magic):]
	}
}
