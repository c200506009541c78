package importer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/receive"
	registry "github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

const (
	sample    = "../../../../shared/data/access.log.gz"
	testSite  = "semicomplete.example"
	testToken = "a-token-for-the-import-test"
)

// childEnv makes the test binary an import of its own, which can be killed.
const childEnv = "EIDER_TEST_IMPORT"

func TestMain(m *testing.M) {
	if given := os.Getenv(childEnv); given != "" {
		var o Options
		if err := json.Unmarshal([]byte(given), &o); err != nil {
			panic(err)
		}
		if _, err := Run(context.Background(), o, io.Discard); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// asProcess is an import in a process of its own.
func asProcess(t testing.TB, o Options) *exec.Cmd {
	t.Helper()
	given, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(given))
	cmd.Stderr = new(bytes.Buffer)
	return cmd
}

// rig is the half of an aggregator that takes events in, all of it real.
type rig struct {
	t      testing.TB
	dir    string
	state  *state.State
	sites  *registry.Registry
	spool  *spool.Spool
	lake   *lake.Lake
	recv   *receive.Receiver
	server *httptest.Server
}

func newRig(t testing.TB, domains ...string) *rig {
	t.Helper()
	g := &rig{t: t, dir: t.TempDir()}
	g.open()
	t.Cleanup(g.close)
	for _, d := range domains {
		if _, err := g.sites.Add(d, registry.Change{}); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g *rig) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *rig) open() {
	g.t.Helper()
	var err error
	g.state, err = state.Open(filepath.Join(g.dir, "state"), zap.NewNop())
	g.must(err)
	g.sites, err = registry.Open(g.state, "UTC")
	g.must(err)
	g.spool, err = spool.Open(spool.Config{Dir: filepath.Join(g.dir, "spool"), ReserveFree: 16 << 20})
	g.must(err)
	g.lake, err = lake.Open(lake.Config{
		Dir: filepath.Join(g.dir, "lake"), State: g.state, Zone: g.sites.Zone, SpoolOldest: g.spool.Stats().Oldest,
		OnCommitted: func(through uint64) { _ = g.spool.Trim(through + 1) },
	})
	g.must(err)
	g.recv, err = receive.New(receive.Config{
		Tokens: theToken(testToken), Registry: g.sites, State: g.state, Spool: g.spool, Sink: g.lake,
		DeadLetters: filepath.Join(g.dir, "dead-letters"), Registerer: prometheus.NewRegistry(),
		ImportKey: []byte("key of the test"), Days: g.lake,
	})
	g.must(err)
	g.must(g.recv.Recover(context.Background()))
	g.server = httptest.NewServer(g.recv)
}

// theToken allows everything to who shows it.
type theToken string

func (t theToken) Authorize(token string) (receive.Permission, bool) {
	return receive.Permission{Name: "shared"}, token == string(t)
}

func (g *rig) close() {
	g.t.Helper()
	g.server.Close()
	ctx := context.Background()
	for _, err := range []error{g.recv.Close(ctx), g.lake.Close(ctx), g.spool.Close(), g.state.Close()} {
		if err != nil {
			g.t.Error(err)
		}
	}
}

// options import for the test's site.
func (g *rig) options(logs ...string) Options {
	return Options{
		Logs: logs, Site: testSite, Aggregator: g.server.URL, Token: testToken,
		Job: filepath.Join(g.dir, "import", "job"), Version: "test",
	}
}

// run imports, and makes sure that the books close.
func (g *rig) run(o Options) *Account {
	g.t.Helper()
	a, err := Run(context.Background(), o, io.Discard)
	g.must(err)
	g.must(a.Err())
	return a
}

// row is what tests want of an event.
type row struct {
	SiteID        string  `parquet:"site_id"`
	Edge          string  `parquet:"edge"`
	Seq           uint64  `parquet:"seq"`
	Time          int64   `parquet:"time,timestamp(microsecond)"`
	Origin        string  `parquet:"origin"`
	Kind          string  `parquet:"kind"`
	Name          *string `parquet:"name,optional"`
	Pathname      *string `parquet:"pathname,optional"`
	VisitorID     *uint64 `parquet:"visitor_id,optional"`
	Identity      *string `parquet:"identity,optional"`
	Status        *int16  `parquet:"status,optional"`
	ViewID        *uint64 `parquet:"view_id,optional"`
	Verdict       *string `parquet:"verdict,optional"`
	VerdictReason *string `parquet:"verdict_reason,optional"`

	Props map[string]string `parquet:"props,optional"`
}

// rows are all events of the lake that stand for a line, committed.
func (g *rig) rows() (all []row) {
	g.t.Helper()
	for _, r := range g.all() {
		if r.Name == nil || *r.Name != shared.CompletionRequests {
			all = append(all, r)
		}
	}
	return all
}

// sums are the requests by result that the lake has been told of.
func (g *rig) sums() map[shared.Result]uint64 {
	g.t.Helper()
	sums := map[shared.Result]uint64{}
	for _, r := range g.all() {
		if r.Name == nil || *r.Name != shared.CompletionRequests {
			continue
		}
		for result, n := range r.Props {
			count, err := strconv.ParseUint(n, 10, 64)
			g.must(err)
			sums[shared.Result(result)] += count
		}
	}
	return sums
}

func (g *rig) all() (all []row) {
	g.t.Helper()
	// What is acknowledged is in the spool, and a moment later in the lake.
	for {
		g.must(g.lake.Flush(context.Background()))
		if g.lake.Stats().SpoolThrough+1 >= g.spool.Next() {
			break
		}
		time.Sleep(time.Millisecond)
	}
	s := g.lake.Snapshot()
	defer s.Release()
	for _, f := range s.Files {
		part, err := parquet.ReadFile[row](f.Path)
		g.must(err)
		all = append(all, part...)
	}
	return all
}

// verify closes the aggregator's own books.
func (g *rig) verify() {
	g.t.Helper()
	g.rows() // commits
	report, err := ops.Verify(context.Background(), ops.Stores{LakeDir: filepath.Join(g.dir, "lake"), State: g.state, Spool: g.spool})
	g.must(err)
	for _, p := range report.Problems {
		g.t.Error(p)
	}
	for _, e := range report.Edges {
		if e.Queued != 0 {
			g.t.Errorf("edge %s: %d events are said to be on their way", e.Edge, e.Queued)
		}
	}
	if letters, _ := os.ReadDir(filepath.Join(g.dir, "dead-letters")); len(letters) > 0 {
		g.t.Errorf("%d dead letters", len(letters))
	}
}

// multiset is what rows say, without what differs by attempt: the visitors'
// hashes hang on the job.
func multiset(rows []row) map[string]int {
	m := map[string]int{}
	for _, r := range rows {
		text := func(s *string) string {
			if s == nil {
				return ""
			}
			return *s
		}
		m[fmt.Sprint(r.SiteID, r.Edge, r.Seq, r.Time, r.Kind, text(r.Name), text(r.Pathname), text(r.Verdict))]++
	}
	return m
}

func same(t testing.TB, got, want map[string]int) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d different events, want %d", len(got), len(want))
	}
	wrong := 0
	for k, n := range got {
		if n != want[k] {
			if wrong++; wrong < 5 {
				t.Errorf("%d times %s, want %d", n, k, want[k])
			}
		}
	}
}

// unpacked is the sample as it was written.
func unpacked(t testing.TB) []byte {
	t.Helper()
	f, err := os.Open(sample)
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the sample log is missing: put shared/data/access.log.gz beside the project's folder (%v)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	zr, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

// lineOf is a request in combined format.
func lineOf(client, at, request string, status int, referer, agent string) string {
	return fmt.Sprintf("%s - - [%s] \"%s\" %d 100 \"%s\" \"%s\"\n", client, at, request, status, referer, agent)
}

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// visits is a small log of n requests for pages, one a second, of one person.
func visits(n int) string {
	var b strings.Builder
	for i := range n {
		at := fmt.Sprintf("17/May/2015:%02d:%02d:%02d +0000", 8+i/3600, i/60%60, i%60)
		b.WriteString(lineOf("203.0.113.7", at, fmt.Sprintf("GET /page-%d HTTP/1.1", i), 200, "-", firefox))
	}
	return b.String()
}

// live puts an event into the lake that no import brought.
func (g *rig) live(at string) {
	g.t.Helper()
	when, err := time.Parse(time.RFC3339, at)
	g.must(err)
	site, ok := g.sites.Resolve(testSite)
	if !ok {
		g.t.Fatal("no site")
	}
	edge, epoch := shared.NewEdgeID(), shared.NewEpoch()
	g.must(g.lake.Ingest(context.Background(), lake.Batch{
		SpoolPos: g.spool.Next(), Mark: state.Mark{Edge: edge, Epoch: epoch, EpochFirst: 1, Expected: 2, Accepted: 1},
		Edge: state.Edge{ID: edge, Counters: shared.Counters{Captured: 1, Stored: 1}},
		Events: []shared.Event{{
			SiteID: site.ID, Edge: edge, Epoch: epoch, Seq: 1, Time: when.UnixMicro(), Origin: shared.OriginEdge,
			Kind: shared.KindPageview, Hostname: testSite, Pathname: "/", Verdict: shared.VerdictLikely,
		}},
	}))
}
