package aggregator

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/seal"
	"github.com/eider-analytics/eider/shared"
)

// tomorrow is a clock by which today is over for long enough.
func tomorrow() time.Time { return time.Now().Add(30 * time.Hour) }

func sealed(t *testing.T, dir string, sel seal.Selection) (report seal.Report, err error) {
	t.Helper()
	err = Operate(t.Context(), Config{Data: dir, now: tomorrow}, zaptest.NewLogger(t), func(ctx context.Context, c ops.Control) error {
		var err error
		report, err = c.Seal(ctx, sel)
		return err
	})
	return report, err
}

// TestSeal seals a day in the stopped server's store, and again in the running
// one, and finds answers and books as they were.
func TestSeal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := run(t, dir)
	e := &edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}
	r.hello(e, "example.com")
	send := func() {
		r.sendVerdicts(e, "example.com", []shared.Event{
			{VisitorID: 1, Verdict: shared.VerdictLikely, DeviceType: "desktop"}, {VisitorID: 2, Verdict: shared.VerdictLikely, DeviceType: "desktop"},
		})
	}
	send()
	r.eventually("the events", func() bool { return r.visitors("example.com") == "2 visitors, 2 pageviews" })
	// By the server's clock the day is not over.
	if report, err := sealed(t, dir, seal.Selection{Site: "example.com"}); err != nil || report.Days != 0 || report.Sealed != 0 {
		t.Errorf("today: %+v %v", report, err)
	}
	for _, sel := range []seal.Selection{{Site: "nowhere.example"}, {From: "yesterday"}} {
		if _, err := sealed(t, dir, sel); err == nil || !strings.Contains(err.Error(), "is n") {
			t.Errorf("%+v: %v", sel, err)
		}
	}
	r.stop()
	report, err := sealed(t, dir, seal.Selection{Site: "example.com"})
	if err != nil || report.Days != 1 || report.Sealed != 1 || report.Rows != 2 || len(report.Failed) != 0 {
		t.Fatalf("in the stopped one's store: %+v %v", report, err)
	}
	check := verify(t, dir)
	if len(check.Problems) != 0 || check.Rows != 2 || check.Days != 1 || check.LateDays != 0 {
		t.Errorf("verify: %+v", check)
	}

	r = run(t, dir)
	r.hello(e, "example.com")
	send()
	r.eventually("more events", func() bool { return r.visitors("example.com") == "2 visitors, 4 pageviews" })
	if err := r.lake.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := r.health.Detailed().Seal; d == nil || d.Sealed != 1 || d.Late != 1 {
		t.Errorf("health: %+v", d)
	}
	r.stop()
	if check := verify(t, dir); len(check.Problems) != 0 || check.Rows != 4 || check.Days != 1 || check.LateDays != 1 {
		t.Errorf("verify, with late rows: %+v", check)
	}
	if report, err := sealed(t, dir, seal.Selection{}); err != nil || report.Sealed != 1 || report.Rows != 4 {
		t.Errorf("sealed again: %+v %v", report, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "lake", "events", "*", "*", "*.parquet"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q %v", files, err)
	}
	if err := os.Truncate(files[0], 100); err != nil {
		t.Fatal(err)
	}
	if check := verify(t, dir); len(check.Problems) == 0 {
		t.Error("a torn segment is no problem")
	}
}

// TestTheServerSealsByItself finds a day at its start that is over.
func TestTheServerSealsByItself(t *testing.T) {
	cfg := Config{Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0", Seal: true}
	r := runWith(t, cfg, zaptest.NewLogger(t))
	e := &edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}
	r.hello(e, "example.com")
	r.sendVerdicts(e, "example.com", []shared.Event{{VisitorID: 1, Verdict: shared.VerdictLikely}})
	r.stop()
	if n := r.health.Detailed().Seal.Sealed; n != 0 {
		t.Fatalf("%d days are sealed", n)
	}
	cfg.Seal, cfg.now = false, tomorrow
	r = runWith(t, cfg, zaptest.NewLogger(t))
	if d := r.health.Detailed().Seal; d.Due != 1 {
		t.Errorf("%+v", d)
	}
	r.stop()
	cfg.Seal = true
	r = runWith(t, cfg, zaptest.NewLogger(t))
	r.eventually("a sealed day", func() bool { d := r.health.Detailed(); return d.Seal.Sealed == 1 && d.Seal.Due == 0 })
	r.stop()
	if check := verify(t, cfg.Data); len(check.Problems) != 0 || check.Days != 1 || check.Rows != 1 {
		t.Errorf("%+v", check)
	}
}
