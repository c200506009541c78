package receive

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// sparse is a frame of which every third sequence holds an event.
func (e *edgeSim) sparse(first, count uint64) []byte {
	h := e.header(first, count)
	h.BaseTime, h.Counters = 0, shared.Counters{}
	var raw []byte
	for seq := first; seq < first+count; seq++ {
		if seq%3 != 0 {
			raw = shared.AppendBlank(raw)
			continue
		}
		ev := shared.Event{
			Site: "example.com", Kind: shared.KindPageview, Origin: shared.OriginImport, Verdict: shared.VerdictLikely,
			Time: 1_431_849_903_000_000, Pathname: "/",
		}
		raw = shared.AppendEvent(raw, &ev, 0)
	}
	return batch.Seal(nil, &h, raw)
}

// TestBlanksMoveTheMarkAndCountNothing: also where a batch straddles it, and
// after a restart.
func TestBlanksMoveTheMarkAndCountNothing(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 10, e.sparse(1, 10))
	g.mustAck(e, 10, e.sparse(1, 10)) // again
	g.mustAck(e, 20, e.sparse(8, 13))
	g.mustAck(e, 22, e.sparse(21, 2)) // 21 is an event
	g.settle()
	want := []uint64{3, 6, 9, 12, 15, 18, 21}
	g.wantCounts(e, want...)
	mark, ok := g.recv.marks.find(e.id, e.epoch)
	if !ok || mark.Accepted != 7 || mark.Rejected != 0 || mark.Expected != 23 {
		t.Errorf("%+v", mark)
	}
	g.restart()
	g.settle()
	g.wantCounts(e, want...)
	if again, _ := g.recv.marks.find(e.id, e.epoch); again != mark {
		t.Errorf("%+v after a restart, %+v before", again, mark)
	}
}

// TestTimesOfAnImportAreItsOwn: years ago, by a process that has just begun and
// whose clock is wrong.
func TestTimesOfAnImportAreItsOwn(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	e.offset = -3600e9
	g.hello(e)
	g.mustAck(e, 3, e.sparse(1, 3))
	g.settle()
	if n := g.metric("eider_events_time_adjusted_total", "clamped") + g.metric("eider_events_time_adjusted_total", "corrected"); n != 0 {
		t.Errorf("%v times were changed", n)
	}
}

// ask asks about an import.
func (g *rig) ask(h http.Handler, token, body string) (status int, reply shared.ImportReply) {
	g.t.Helper()
	req := httptest.NewRequest(http.MethodPost, shared.PathImport, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
			g.t.Fatal(err)
		}
	}
	return w.Code, reply
}

func TestAskingAboutAnImport(t *testing.T) {
	g := newRig(t)
	print := strings.Repeat("ab", 32)
	body := `{"prints": ["` + print + `", "` + strings.Repeat("00", 32) + `"], "sites": ["example.com", "elsewhere.example"]}`
	status, reply := g.ask(g.recv, token, body)
	if status != http.StatusOK || len(reply.Imports) != 2 || len(reply.Sites) != 2 {
		t.Fatalf("%d %+v", status, reply)
	}
	m := reply.Imports[0]
	if m.Expected != 0 || m.Edge == reply.Imports[1].Edge || strings.Contains(m.Edge.String(), print[:16]) {
		t.Errorf("%+v", reply.Imports)
	}
	if s := reply.Sites; s[0].Site == nil || s[0].Site.ID != "example-com" || s[1].Site != nil || !strings.Contains(s[1].Error, "eider site add") {
		t.Errorf("%+v", s)
	}
	e := newEdge(1)
	e.id, e.epoch = m.Edge, m.Epoch
	g.hello(e)
	g.mustAck(e, 10, e.sparse(1, 10))
	g.settle()
	g.restart()
	if _, reply = g.ask(g.recv, token, body); reply.Imports[0].Expected != 11 || reply.Imports[0].Accepted != 3 || reply.Imports[1].Expected != 0 {
		t.Errorf("%+v", reply.Imports)
	}
	for _, bad := range []string{"", "[]", `{"prints": ["x"]}`, `{"sites": [` + strings.Repeat(`"a",`, maxImportSites) + `"a"]}`, strings.Repeat("x", maxImportBody+1)} {
		if status, _ := g.ask(g.recv, token, bad); status < 400 || status > 499 {
			t.Errorf("%.40q is answered %d", bad, status)
		}
	}
	if status, _ := g.ask(g.recv, "wrong", body); status != http.StatusUnauthorized {
		t.Errorf("a wrong token is answered %d", status)
	}
	// The control socket's callers own the data, and have no token.
	if status, _ := g.ask(g.recv.Trusted(), "", body); status != http.StatusOK {
		t.Errorf("the control socket is answered %d", status)
	}
}
