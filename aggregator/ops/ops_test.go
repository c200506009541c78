package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/erasure"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/relabel"
	"github.com/eider-analytics/eider/aggregator/seal"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// holdLock makes this test binary the process that owns a data directory.
const holdLock = "EIDER_TEST_HOLD_LOCK"

func TestMain(m *testing.M) {
	dir := os.Getenv(holdLock)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := ops.LockData(dir); err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString("locked\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test closes it
}

// TestOneProcessOwnsTheData: a second one is told who has it, and gets it when
// the first was killed.
func TestOneProcessOwnsTheData(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := exec.Command(os.Args[0])
	first.Env = append(os.Environ(), holdLock+"="+dir)
	in, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("locked\n"))
	if _, err := io.ReadFull(out, line); err != nil || string(line) != "locked\n" {
		t.Fatalf("the first process says %q, %v", line, err)
	}
	_, err = ops.LockData(dir)
	if !errors.Is(err, ops.ErrInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "process") {
		t.Errorf("the second process gets %v", err)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	lock, err := ops.LockData(dir)
	if err != nil {
		t.Fatalf("after the first was killed: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory has mode %v, %v", info.Mode(), err)
	}
}

// control answers commands as a server would.
type control struct{ list []state.Site }

func (c *control) Sites(context.Context) ([]state.Site, error) { return c.list, nil }

func (c *control) AddSite(_ context.Context, domain string, change sites.Change) (state.Site, error) {
	if domain == "" {
		return state.Site{}, errors.New("a site needs a name")
	}
	s := state.Site{ID: domain}
	if change.TimeZone != nil {
		s.Zone = *change.TimeZone
	}
	c.list = append(c.list, s)
	return s, nil
}

func (c *control) EditSite(_ context.Context, name string, change sites.Change) (state.Site, error) {
	return state.Site{ID: name, Archived: change.Archived != nil && *change.Archived}, nil
}

func (c *control) Keys(context.Context) ([]state.Key, error) { return []state.Key{{ID: "1"}}, nil }

func (c *control) AddKey(_ context.Context, n auth.New) (auth.Issued, error) {
	return auth.Issued{Key: state.Key{Name: n.Name, Scopes: n.Scopes}, Token: "secret"}, nil
}

func (c *control) RevokeKey(_ context.Context, id string) (state.Key, error) {
	return state.Key{ID: id}, nil
}

func (c *control) Verify(context.Context) (ops.Report, error) {
	return ops.Report{Segments: 3, Problems: []string{"one"}}, nil
}

func (c *control) Relabel(_ context.Context, o relabel.Options) (relabel.Report, error) {
	if err := o.Check(); err != nil {
		return relabel.Report{}, err
	}
	return relabel.Report{Rows: 7, Changed: 3, DryRun: o.DryRun}, nil
}

func (c *control) Seal(_ context.Context, sel seal.Selection) (seal.Report, error) {
	if sel.From > sel.To {
		return seal.Report{}, errors.New("it ends before it begins")
	}
	return seal.Report{Days: 5, Sealed: 4, Failed: []string{sel.Site}}, nil
}

func (c *control) Erase(_ context.Context, r erasure.Request) (erasure.Report, error) {
	if r.Site == "" {
		return erasure.Report{}, erasure.ErrUnknownSite
	}
	return erasure.Report{LedgerID: r.Site, Erasing: state.Erasing{Events: 5}, State: state.ErasureDone}, nil
}

func (c *control) Erasures(context.Context) ([]state.Erasure, error) {
	return []state.Erasure{{ID: "e1", To: 9}}, nil
}

func (c *control) ForgetErasure(_ context.Context, id string) (state.Erasure, error) {
	return state.Erasure{ID: id, ForgottenAt: 1}, nil
}

func (c *control) SQL(_ context.Context, q ops.SQLQuery, w io.Writer) error {
	switch q.SQL {
	case "wrong":
		return errors.New("only SELECT is answered")
	case "half":
		_, _ = io.WriteString(w, "a,b\r\n")
		return errors.New("the disk is full")
	}
	_, err := fmt.Fprintf(w, "%s,%s,%d,%s\r\n", q.Site, q.SQL, q.Limit, q.Format)
	return err
}

// TestSocketSQL: an answer is bytes; a refusal arrives as words; half of an answer
// is an error.
func TestSocketSQL(t *testing.T) {
	dir := t.TempDir()
	s, err := ops.ListenSocket(dir, &control{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(context.Background()) }()
	c, err := ops.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, q := range []struct{ sql, out, err string }{
		{"SELECT 1", "demo,SELECT 1,5,csv\r\n", ""},
		{"wrong", "", "only SELECT is answered"},
		{"half", "", "the running server"},
	} {
		var out strings.Builder
		err := c.SQL(t.Context(), ops.SQLQuery{Site: "demo", SQL: q.sql, Limit: 5, Format: "csv"}, &out)
		if (err == nil) != (q.err == "") || err != nil && !strings.Contains(err.Error(), q.err) || q.err == "" && out.String() != q.out {
			t.Errorf("%s: %q, %v", q.sql, out.String(), err)
		}
	}
}

// TestSocket talks over a socket whose path is longer than an address may be,
// and which a dead process left behind.
func TestSocket(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := ops.Dial(dir); err == nil {
		t.Error("somebody answers where nobody listens")
	}
	if err := os.WriteFile(filepath.Join(dir, ops.SocketName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ops.ListenSocket(dir, &control{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, ops.SocketName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v", info.Mode(), err)
	}
	c, err := ops.Dial(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	zone, archived := "Europe/Berlin", true
	if site, err := c.AddSite(ctx, "example.com", sites.Change{TimeZone: &zone}); err != nil || site.ID != "example.com" || site.Zone != "Europe/Berlin" {
		t.Errorf("added %+v, %v", site, err)
	}
	if _, err := c.AddSite(ctx, "", sites.Change{}); err == nil || err.Error() != "a site needs a name" {
		t.Errorf("the refusal arrives as %v", err)
	}
	if list, err := c.Sites(ctx); err != nil || len(list) != 1 {
		t.Errorf("listed %+v, %v", list, err)
	}
	if site, err := c.EditSite(ctx, "a/b?c", sites.Change{Archived: &archived}); err != nil || site.ID != "a/b?c" || !site.Archived {
		t.Errorf("edited %+v, %v", site, err)
	}
	if key, err := c.AddKey(ctx, auth.New{Name: "shop", Scopes: []string{"ingest"}}); err != nil || key.Token != "secret" || key.Name != "shop" || !slices.Equal(key.Scopes, []string{"ingest"}) {
		t.Errorf("made %+v, %v", key, err)
	}
	if keys, err := c.Keys(ctx); err != nil || len(keys) != 1 || keys[0].ID != "1" {
		t.Errorf("keys %+v, %v", keys, err)
	}
	if key, err := c.RevokeKey(ctx, "1"); err != nil || key.ID != "1" {
		t.Errorf("revoked %+v, %v", key, err)
	}
	if r, err := c.Verify(ctx); err != nil || r.Segments != 3 || !slices.Equal(r.Problems, []string{"one"}) {
		t.Errorf("verified %+v, %v", r, err)
	}
	if r, err := c.Erase(ctx, erasure.Request{Site: "a"}); err != nil || r.LedgerID != "a" || r.Events != 5 || r.State != state.ErasureDone {
		t.Errorf("erased %+v, %v", r, err)
	}
	if _, err := c.Erase(ctx, erasure.Request{}); err == nil || err.Error() != erasure.ErrUnknownSite.Error() {
		t.Errorf("the refusal arrives as %v", err)
	}
	if list, err := c.Erasures(ctx); err != nil || len(list) != 1 || list[0].To != 9 {
		t.Errorf("the ledger is %+v, %v", list, err)
	}
	if e, err := c.ForgetErasure(ctx, "a/b"); err != nil || e.ID != "a/b" || e.ForgottenAt != 1 {
		t.Errorf("forgot %+v, %v", e, err)
	}
	if r, err := c.Relabel(ctx, relabel.Options{DryRun: true}); err != nil || r.Rows != 7 || r.Changed != 3 || !r.DryRun {
		t.Errorf("relabelled %+v, %v", r, err)
	}
	if r, err := c.Seal(ctx, seal.Selection{Site: "a", From: "1", To: "2"}); err != nil || r.Days != 5 || r.Sealed != 4 || r.Failed[0] != "a" {
		t.Errorf("sealed %+v, %v", r, err)
	}
	if _, err := c.Seal(ctx, seal.Selection{From: "1"}); err == nil || err.Error() != "it ends before it begins" {
		t.Errorf("the refusal arrives as %v", err)
	}
	if _, err := c.Relabel(ctx, relabel.Options{From: "yesterday"}); err == nil || !strings.Contains(err.Error(), "is no day") {
		t.Errorf("the refusal arrives as %v", err)
	}
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	if _, err := c.Sites(ctx); err == nil {
		t.Error("a closed socket answers")
	}
}

// sources are those of an aggregator with one edge.
func sources(lakeErr, spoolErr error) ops.Sources {
	edge := receive.EdgeHealth{LagMS: 1500, Accepted: 90, Rejected: 2, Lost: 3}
	edge.ID, edge.Name = shared.EdgeID{1}, "shop"
	edge.Counters.Captured = 110
	edge.Counters.Dropped[shared.DropDisk].Count = 7
	l := lake.Stats{Segments: 4, HotRows: 5, Committed: 90, LastCommit: time.UnixMilli(1_795_305_600_500)}
	if lakeErr != nil {
		l.DegradedSince, l.Err = time.UnixMilli(1_795_305_600_000), lakeErr
	}
	return ops.Sources{
		Lake: func() lake.Stats { return l }, Spool: func() spool.Stats { return spool.Stats{Oldest: 1, Next: 9, Bytes: 100, Broken: spoolErr} },
		Edges: func() []receive.EdgeHealth { return []receive.EdgeHealth{edge} }, Pending: func() int64 { return 1 },
		Sites: func() int { return 2 }, DeadLetters: "does-not-exist", Version: "test",
	}
}

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		what                string
		lakeErr, spoolErr   error
		ready               bool
		readyCode           int
		status, errorInLake string
	}{
		{"starting", nil, nil, false, 503, "starting", ""},
		{"well", nil, nil, true, 200, "ok", ""},
		{"lake on a full disk", errors.New("no space"), nil, true, 200, "degraded", "no space"},
		{"spool after a failed sync", nil, errors.New("io"), true, 503, "degraded", ""},
	} {
		h := ops.NewHealth(sources(c.lakeErr, c.spoolErr))
		h.SetReady(c.ready)
		get := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			return w
		}
		if w := get("/health"); w.Code != 200 || w.Body.String() != "ok" {
			t.Errorf("%s: /health %d %s", c.what, w.Code, w.Body)
		}
		if w := get("/health/ready"); w.Code != c.readyCode {
			t.Errorf("%s: /health/ready %d", c.what, w.Code)
		}
		var d ops.Detailed
		if err := json.Unmarshal(get("/health/detailed").Body.Bytes(), &d); err != nil {
			t.Fatal(err)
		}
		if d.Status != c.status || d.Lake.Error != c.errorInLake || (len(d.Problems) > 0) != (c.status == "degraded") {
			t.Errorf("%s: status %q, problems %q, lake %q", c.what, d.Status, d.Problems, d.Lake.Error)
		}
		e := d.Edges[0]
		if e.Captured != e.Stored+e.Queued+e.Rejected+e.Lost+e.Dropped["disk_full"] || e.Queued != 8 || e.LagMS != 1500 {
			t.Errorf("%s: the edge's books are %+v", c.what, e)
		}
	}
}

func TestMetrics(t *testing.T) {
	r := ops.NewRegistry()
	if err := ops.RegisterMetrics(r, sources(nil, nil)); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	ops.MetricsHandler(r).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	const edge = `{edge="01000000000000000000000000000000",`
	for _, line := range []string{
		`eider_build_info{version="test"} 1`, "eider_events_committed_total 90", "eider_lake_degraded 0", "eider_lake_hot_events 5",
		"eider_lake_last_commit_timestamp_seconds 1.7953056005e+09", "eider_lake_segments 4", "eider_sites 2", "eider_spool_bytes 100",
		"eider_known_edge_events" + edge + `state="captured"} 110`, "eider_known_edge_events" + edge + `state="stored"} 90`,
		"eider_known_edge_events" + edge + `state="queued"} 8`, "eider_known_edge_dropped_events" + edge + `reason="disk_full"} 7`,
	} {
		if !strings.Contains(w.Body.String(), "\n"+line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	if !strings.Contains(w.Body.String(), "\ngo_goroutines ") {
		t.Error("/metrics lacks the process's own")
	}
}
