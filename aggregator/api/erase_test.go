package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/aggregator/api"
	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/erasure"
	"github.com/eider-analytics/eider/aggregator/state"
)

// eraser notes what it is asked for.
type eraser struct{ asked []erasure.Request }

func (e *eraser) Erase(_ context.Context, r erasure.Request) (erasure.Report, error) {
	e.asked = append(e.asked, r)
	switch {
	case r.Site != "example.com":
		return erasure.Report{}, erasure.ErrUnknownSite
	case r.VisitorID == "none":
		return erasure.Report{}, &erasure.InvalidError{Field: "visitor_id", Message: "it is a number"}
	case r.VisitorID == "broken":
		return erasure.Report{}, errors.New("the volume with visitor 17 is full")
	}
	return erasure.Report{LedgerID: "019f", State: state.ErasureDone, Erasing: state.Erasing{Hot: 1, Events: 2, DeadLetters: 3, Spool: 4}, Accounting: "books"}, nil
}

func TestErase(t *testing.T) {
	i := start(t)
	e := &eraser{}
	i.config.Eraser = e
	i.Server = api.New(i.config)
	admin := i.key(t, auth.New{Scopes: []string{"admin"}})
	adminID := admin[len("eider_"):][:8]
	reader := i.key(t, auth.New{Scopes: []string{"stats:read", "ingest"}})
	for _, c := range []struct {
		method, target, token string
		status                int
		says                  string           // in the answer
		want                  *erasure.Request // that is passed on; nil = none
	}{
		{"DELETE", "/api/erase?site_id=example.com&visitor_id=7", "", 401, "owner", nil}, // not even on this machine
		{"DELETE", "/api/erase?site_id=example.com&visitor_id=7", reader, 403, "admin", nil},
		{"DELETE", "/api/erase?site_id=example.com&visitor_id=7", "wrong", 401, "token", nil},
		{"GET", "/api/erase?site_id=example.com&visitor_id=7", admin, 405, "DELETE", nil},
		{"POST", "/api/erase?site_id=example.com&visitor_id=7", admin, 405, "DELETE", nil},
		{"DELETE", "/api/erase?visitor_id=7", admin, 400, "site_id: ", nil},
		{"DELETE", "/api/erase?site_id=example.com&vistor_id=7&start_date=2026-11-01&end_date=2026-11-02", admin, 400, `there is no such parameter`, nil},
		{"DELETE", "/api/erase?site_id=example.com&visitor_id=7&visitor_id=8", admin, 400, "visitor_id: give it once", nil},
		{"DELETE", "/api/erase?site_id=example.com&visitor_id=&start_date=2026-11-01&end_date=2026-11-02", admin, 400, "visitor_id: give it once", nil},
		{"DELETE", "/api/erase?site_id=example.com&everything=perhaps", admin, 400, "everything: ", nil},
		{"DELETE", "/api/erase?site_id=example.com&visitor_id=%zz", admin, 400, "percent-encode", nil},
		{"DELETE", "/api/erase?site_id=example.com;visitor_id=7", admin, 400, "percent-encode", nil},
		{
			"DELETE", "/api/erase?site_id=example.com&visitor_id=7", admin, 200, `"hot":1,"events":2,"set_aside":0,"dead_letters":3,"spool":4,"visits":0,"rollups":0,"ledger_id":"019f"`,
			&erasure.Request{Site: "example.com", VisitorID: "7", By: adminID},
		},
		{
			"DELETE", "/api/gdpr/erase?site_id=example.com&distinct_id=a%26b&start_date=2026-11-01&end_date=2026-11-02&dry_run=true", ownerToken, 200, `"state":"done"`,
			&erasure.Request{Site: "example.com", DistinctID: "a&b", Start: "2026-11-01", End: "2026-11-02", DryRun: true, By: "owner"},
		},
		{"DELETE", "/api/erase?site_id=example.com&everything=true", ownerToken, 200, `"accounting":"books"`, &erasure.Request{Site: "example.com", Everything: true, By: "owner"}},
		{"DELETE", "/api/erase?site_id=other.org&everything=1", ownerToken, 404, "unknown_site", &erasure.Request{Site: "other.org", Everything: true, By: "owner"}},
		{"DELETE", "/api/erase?site_id=example.com&visitor_id=none", ownerToken, 400, "visitor_id: it is a number", &erasure.Request{Site: "example.com", VisitorID: "none", By: "owner"}},
		{"DELETE", "/api/erase?site_id=example.com&visitor_id=broken", ownerToken, 500, "see the aggregator's log", &erasure.Request{Site: "example.com", VisitorID: "broken", By: "owner"}},
	} {
		e.asked = nil
		w := i.send(c.method, own+c.target, c.token, "")
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s: %d %s, want %d with %q", c.method, c.target, w.Code, w.Body, c.status, c.says)
		}
		if w.Code >= 400 && w.Code != 405 {
			var body struct {
				Error struct{ Code, Message string }
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error.Message == "" {
				t.Errorf("%s: %s", c.target, w.Body)
			}
		}
		if c.want == nil && len(e.asked) != 0 || c.want != nil && (len(e.asked) != 1 || e.asked[0] != *c.want) {
			t.Errorf("%s %s: asked for %+v, want %+v", c.method, c.target, e.asked, c.want)
		}
	}
	if w := i.send(http.MethodDelete, own+"/api/gdpr/else", ownerToken, ""); w.Code != 405 {
		t.Errorf("another path: %d", w.Code)
	}
}
