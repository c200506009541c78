package aggregator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// running is an aggregator that runs until stop.
type running struct {
	*Aggregator
	t     *testing.T
	url   string
	token string
	stop  func()
}

func run(t *testing.T, dir string) *running {
	t.Helper()
	return runWith(t, Config{Data: dir, Listen: "127.0.0.1:0"}, zaptest.NewLogger(t))
}

func runWith(t *testing.T, cfg Config, log *zap.Logger) *running {
	t.Helper()
	a, err := Open(cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(a.TokenPath())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	r := &running{Aggregator: a, t: t, url: "http://" + a.Addr().String(), token: strings.TrimSpace(string(token))}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("it does not stop within 10 seconds")
		}
	}
	t.Cleanup(r.stop)
	r.eventually("ready", func() bool { code, _ := r.get("/health/ready"); return code == http.StatusOK })
	return r
}

func (r *running) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not within 10 seconds: %s", what)
		}
	}
}

func (r *running) get(path string) (int, string) {
	r.t.Helper()
	res, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// edge sends as one edge does.
type edge struct {
	id    shared.EdgeID
	epoch shared.Epoch
	next  uint64
}

func (r *running) post(path, contentType string, e *edge, body []byte) []byte {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set(shared.HeaderSentAt, strconv.FormatInt(time.Now().UnixMicro(), 10))
	req.Header.Set(shared.HeaderBoot, e.epoch.String())
	req.Header.Set(shared.HeaderMonotonic, "3600000000")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("POST %s: %s %s %v", path, res.Status, answer, err)
	}
	return answer
}

func (r *running) hello(e *edge, domains ...string) shared.HelloReply {
	r.t.Helper()
	hello := shared.Hello{Edge: e.id, Epoch: e.epoch, Boot: e.epoch, NextSeq: e.next, Name: "test", Version: "1"}
	for _, d := range domains {
		hello.Sites = append(hello.Sites, shared.SiteHello{Domain: d})
	}
	body, err := json.Marshal(hello)
	if err != nil {
		r.t.Fatal(err)
	}
	var reply shared.HelloReply
	if err := json.Unmarshal(r.post(shared.PathHello, "application/json", e, body), &reply); err != nil {
		r.t.Fatal(err)
	}
	return reply
}

// send delivers one batch of pageviews, the visitors numbered from visitor on.
func (r *running) send(e *edge, site string, visitor, count uint64) shared.Ack {
	r.t.Helper()
	now := time.Now().UnixMicro()
	h := shared.Header{Edge: e.id, Epoch: e.epoch, EpochFirst: 1, FirstSeq: e.next, Count: count, BaseTime: now}
	h.Counters.Captured = e.next + count - 1
	h.Counters.Queued = h.Counters.Captured
	var raw []byte
	for i := range count {
		raw = shared.AppendEvent(raw, &shared.Event{
			Site: site, Kind: shared.KindPageview, Origin: shared.OriginEdge, Time: now, VisitorID: visitor + i,
			Pathname: "/", Browser: "Firefox", Verdict: shared.VerdictLikely,
		}, now)
	}
	e.next += count
	var ack shared.Ack
	if err := json.Unmarshal(r.post(shared.PathBatches, shared.ContentTypeBatches, e, batch.Seal(nil, &h, raw)), &ack); err != nil {
		r.t.Fatal(err)
	}
	return ack
}

func (r *running) visitors(site string) string {
	r.t.Helper()
	_, body := r.get("/api/stats/main?period=all&site_id=" + site)
	var m struct {
		Visitors, Pageviews int
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		r.t.Fatalf("%v: %s", err, body)
	}
	return fmt.Sprintf("%d visitors, %d pageviews", m.Visitors, m.Pageviews)
}

func verify(t *testing.T, dir string) ops.Report {
	t.Helper()
	var report ops.Report
	err := Operate(t.Context(), Config{Data: dir}, zaptest.NewLogger(t), func(ctx context.Context, c ops.Control) error {
		var err error
		report, err = c.Verify(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestFromEdgeToAnswer delivers events as an edge does, finds them in the
// answers within two seconds, restarts, and finds them again, once.
func TestFromEdgeToAnswer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := run(t, dir)
	e := &edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}
	reply := r.hello(e, "www.example.com", "../evil")
	if len(reply.Sites) != 2 || reply.Sites[0].SiteID != "example-com" || reply.Sites[1].Error == "" {
		t.Fatalf("the sites became %+v", reply.Sites)
	}
	if ack := r.send(e, "example.com", 1, 100); ack.AckedThrough != 100 || len(ack.Rejected) != 0 {
		t.Fatalf("acknowledged %+v", ack)
	}
	asked := time.Now()
	r.eventually("the events are in the answer", func() bool { return r.visitors("example.com") == "100 visitors, 100 pageviews" })
	if waited := time.Since(asked); waited > 2*time.Second {
		t.Errorf("it took %s", waited)
	}
	if ack := r.send(e, "unknown.example", 1, 3); len(ack.Rejected) != 3 || ack.Rejected[0].Reason != shared.RejectUnknownSite {
		t.Errorf("events of an unknown site: %+v", ack)
	}
	if report := verify(t, dir); len(report.Problems) > 0 { // by the socket, while it runs
		t.Errorf("verify: %+v", report)
	}
	if _, err := Open(Config{Data: dir, Listen: "127.0.0.1:0"}, "test", zaptest.NewLogger(t)); err == nil {
		t.Fatal("a second process opened the data directory")
	}
	r.send(e, "example.com", 101, 100)
	r.stop()

	report := verify(t, dir) // with nothing running
	if len(report.Problems) > 0 || report.Rows != 200 || len(report.Edges) != 1 || report.Edges[0].Stored != 200 || report.Edges[0].Rejected != 3 {
		t.Errorf("verify after the stop: %+v", report)
	}
	again := run(t, dir)
	if again.token != r.token {
		t.Error("the edge token changed")
	}
	again.eventually("the events are in the answer again", func() bool {
		return again.visitors("example.com") == "200 visitors, 200 pageviews"
	})
	_, accounting := again.get("/api/stats/accounting?site_id=example.com")
	if !strings.Contains(accounting, `"captured":203,"stored":200,"queued":0,"dropped":0,"rejected":3,"lost":0`) {
		t.Errorf("the books are %s", accounting)
	}
	for _, path := range []string{"/", "/health/detailed", "/metrics"} {
		if code, body := again.get(path); code != http.StatusOK && path != "/" || body == "" {
			t.Errorf("GET %s: %d %s", path, code, body)
		}
	}
}

// TestVerifyFindsDamage plants what verify is there for.
func TestVerifyFindsDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := run(t, dir)
	e := &edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}
	r.hello(e, "example.com")
	r.send(e, "example.com", 1, 50)
	r.stop()
	var segment string
	err := filepath.WalkDir(filepath.Join(dir, "lake", "events"), func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".parquet") {
			segment = path
		}
		return err
	})
	if err != nil || segment == "" {
		t.Fatalf("no segment: %v", err)
	}
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	for what, damage := range map[string]func() error{
		"cut":          func() error { return os.Truncate(segment, int64(len(whole)-8)) },
		"gone":         func() error { return os.Remove(segment) },
		"another file": func() error { return os.WriteFile(segment, bytes.Repeat([]byte("x"), len(whole)), 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		report := verify(t, dir)
		if len(report.Problems) == 0 || !strings.Contains(strings.Join(report.Problems, "\n"), "segment") {
			t.Errorf("%s: verify found %q", what, report.Problems)
		}
		if err := os.WriteFile(segment, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if report := verify(t, dir); len(report.Problems) > 0 {
		t.Errorf("after the repair verify finds %q", report.Problems)
	}
}

// TestSitesWithoutServer: operator commands open the store themselves.
func TestSitesWithoutServer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	err := Operate(t.Context(), Config{Data: dir}, zaptest.NewLogger(t), func(ctx context.Context, c ops.Control) error {
		zone := "Asia/Kolkata"
		_, err := c.AddSite(ctx, "example.com", sites.Change{TimeZone: &zone})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, dir)
	if _, body := r.get("/api/sites"); !strings.Contains(body, `"time_zone":"Asia/Kolkata"`) {
		t.Errorf("the server does not know the site: %s", body)
	}
}
