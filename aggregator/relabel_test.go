package aggregator

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/relabel"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// sendVerdicts sends page views of an edge whose lists are older than ours.
func (r *running) sendVerdicts(e *edge, site string, events []shared.Event) {
	r.t.Helper()
	now := time.Now().UnixMicro()
	h := shared.Header{Edge: e.id, Epoch: e.epoch, EpochFirst: 1, FirstSeq: e.next, Count: uint64(len(events)), BaseTime: now}
	h.Counters.Captured = e.next - 1 + uint64(len(events))
	h.Counters.Queued = h.Counters.Captured
	var raw []byte
	for i := range events {
		events[i].Site, events[i].Time, events[i].Origin, events[i].Kind, events[i].Pathname = site, now, shared.OriginEdge, shared.KindPageview, "/"
		raw = shared.AppendEvent(raw, &events[i], now)
	}
	e.next += uint64(len(events))
	var ack shared.Ack
	if err := json.Unmarshal(r.post(shared.PathBatches, shared.ContentTypeBatches, e, batch.Seal(nil, &h, raw)), &ack); err != nil || len(ack.Rejected) != 0 {
		r.t.Fatalf("%+v %v", ack, err)
	}
}

func relabelled(t *testing.T, dir string, o relabel.Options) (report relabel.Report, err error) {
	t.Helper()
	err = Operate(t.Context(), Config{Data: dir}, zaptest.NewLogger(t), func(ctx context.Context, c ops.Control) error {
		var err error
		report, err = c.Relabel(ctx, o)
		return err
	})
	return report, err
}

// TestRelabel judges history anew through the running server, and finds it done
// in the stopped one's store.
func TestRelabel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := run(t, dir)
	e := &edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}
	r.hello(e, "example.com")
	r.sendVerdicts(e, "example.com", []shared.Event{
		{VisitorID: 1, Verdict: shared.VerdictLikely, VerdictReason: "browser", Browser: "Firefox", BrowserVersion: "155", DeviceType: "desktop"},
		{VisitorID: 2, Verdict: shared.VerdictLikely, VerdictReason: "no_language", Browser: "Chrome", BrowserVersion: "60", DeviceType: "desktop"},
		{VisitorID: 3, Verdict: shared.VerdictBot, VerdictReason: "self_declared", BotName: "GPTBot", BotCategory: "other", AgentToken: "GPTBot/9"},
	})
	r.eventually("the events", func() bool { return r.visitors("example.com") == "2 visitors, 2 pageviews" })
	if err := r.lake.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	dry, err := relabelled(t, dir, relabel.Options{Site: "example.com", DryRun: true})
	if err != nil || dry.Rows != 3 || dry.Changed != 2 || dry.Written != 1 || !dry.DryRun {
		t.Fatalf("a dry run: %+v %v", dry, err)
	}
	if got := r.visitors("example.com"); got != "2 visitors, 2 pageviews" {
		t.Errorf("a dry run changed the answer to %s", got)
	}
	report, err := relabelled(t, dir, relabel.Options{Site: "example.com"})
	if err != nil || report.Rows != 3 || report.Changed != 2 || len(report.Changes) != 2 || report.DryRun {
		t.Fatalf("%+v %v", report, err)
	}
	if got := r.visitors("example.com"); got != "1 visitors, 1 pageviews" {
		t.Errorf("the answer is %s", got)
	}
	if _, err := relabelled(t, dir, relabel.Options{Site: "nowhere.example"}); err == nil || !strings.Contains(err.Error(), "is not known") {
		t.Errorf("an unknown site: %v", err)
	}
	r.stop()
	again, err := relabelled(t, dir, relabel.Options{})
	if err != nil || again.Rows != 3 || again.Changed != 0 {
		t.Errorf("in the stopped one's store: %+v %v", again, err)
	}
	if report := verify(t, dir); len(report.Problems) != 0 || report.Rows != 3 {
		t.Errorf("verify: %+v", report)
	}
}
