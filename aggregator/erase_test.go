package aggregator

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/eider-analytics/eider/aggregator/erasure"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// erase asks the running server, as its owner.
func (r *running) erase(query string) (int, erasure.Report, string) {
	r.t.Helper()
	owner, err := os.ReadFile(r.OwnerPath())
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodDelete, r.url+"/api/erase?"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(owner)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var report erasure.Report
	if res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, &report); err != nil {
			r.t.Fatal(err)
		}
	}
	return res.StatusCode, report, string(body)
}

// erased asks by the operator's way, whether a server runs or not.
func erased(t *testing.T, dir string, request erasure.Request) (report erasure.Report, err error) {
	t.Helper()
	err = Operate(t.Context(), Config{Data: dir}, zaptest.NewLogger(t), func(ctx context.Context, c ops.Control) error {
		report, err = c.Erase(ctx, request)
		return err
	})
	return report, err
}

// TestErase takes visitors away through the API, by the operator, and with
// nothing running; the books close all the while.
func TestErase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := run(t, dir)
	e := &edge{id: shared.NewEdgeID(), epoch: shared.NewEpoch(), next: 1}
	r.hello(e, "example.com")
	r.send(e, "example.com", 1, 10)
	r.eventually("the events", func() bool { return r.visitors("example.com") == "10 visitors, 10 pageviews" })
	if code, _, body := r.erase("site_id=example.com"); code != http.StatusBadRequest || !strings.Contains(body, "start_date: ") {
		t.Errorf("nothing named: %d %s", code, body)
	}
	if code, _, body := r.erase("site_id=nowhere.example&everything=true"); code != http.StatusNotFound {
		t.Errorf("an unknown site: %d %s", code, body)
	}
	code, report, body := r.erase("site_id=example.com&visitor_id=3")
	if code != http.StatusOK || report.Hot+report.Events != 1 || report.State != state.ErasureDone || report.LedgerID == "" {
		t.Fatalf("%d %s", code, body)
	}
	if got := r.visitors("example.com"); got != "9 visitors, 9 pageviews" {
		t.Errorf("the answer is %s", got)
	}
	if report, err := erased(t, dir, erasure.Request{Site: "example.com", VisitorID: "0x4"}); err != nil || report.Hot+report.Events != 1 || report.State != state.ErasureDone {
		t.Errorf("by the operator: %+v %v", report, err)
	}
	r.send(e, "example.com", 3, 2)
	_, accounting := r.get("/api/stats/accounting?period=all&site_id=example.com")
	if !strings.Contains(accounting, `"erased":2`) || !strings.Contains(accounting, `"stored":12`) {
		t.Errorf("the books are %s", accounting)
	}
	if v := verify(t, dir); len(v.Problems) > 0 || v.Erased != 2 {
		t.Errorf("verify: %+v", v)
	}
	r.stop()

	if report, err := erased(t, dir, erasure.Request{Site: "example.com", VisitorID: "5"}); err != nil || report.Events != 1 || report.State != state.ErasureDone {
		t.Errorf("in the stopped one's store: %+v %v", report, err)
	}
	if v := verify(t, dir); len(v.Problems) > 0 || v.Erased+v.Rows != 12 {
		t.Errorf("verify: %+v", v)
	}
	again := run(t, dir)
	again.eventually("the others", func() bool { return again.visitors("example.com") == "9 visitors, 9 pageviews" })
	list, err := again.store.Erasures(t.Context())
	if err != nil || len(list) != 3 || list[0].By != "owner" || list[1].By != "operator" || list[2].State != state.ErasureDone {
		t.Errorf("the ledger is %+v %v", list, err)
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, "key": 0o600, "ledger.json": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, "erasures", name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("erasures/%s: %v %v", name, info.Mode(), err)
		}
	}
}
