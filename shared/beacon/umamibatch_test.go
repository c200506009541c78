package beacon

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestABatchKeepsItsVisitorsApart: a server's batch is of many visitors, and the
// token of one message says nothing about the next.
func TestABatchKeepsItsVisitorsApart(t *testing.T) {
	const website = `"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11","hostname":"site.example"`
	item := func(rest string) string {
		return `{"type":"event","payload":{` + website + `,"userAgent":"` + chrome + `"` + rest + `}}`
	}
	d := newDoor(t, Mount{})
	body := "[" + strings.Join([]string{
		item(`,"url":"/a","ip":"203.0.113.1"`), item(`,"url":"/b","ip":"203.0.113.2"`), item(`,"url":"/c","ip":"203.0.113.1"`),
	}, ",") + "]"
	r := d.send("POST", "/api/batch", body, "Authorization", "Bearer "+apiToken)
	var answer struct{ Cache string }
	if got := text(r); r.StatusCode != 200 || json.Unmarshal([]byte(got), &answer) != nil || answer.Cache == "" || len(d.log.events) != 3 {
		t.Fatalf("%d %s", r.StatusCode, got)
	}
	e := d.log.events
	if e[0].VisitorID == 0 || e[0].VisitorID == e[1].VisitorID || e[0].VisitorID != e[2].VisitorID {
		t.Errorf("visitors %x, %x, %x; want the first and the last to be one", e[0].VisitorID, e[1].VisitorID, e[2].VisitorID)
	}
	// The token that the batch brings holds for all of it.
	r = d.send("POST", "/api/batch", "["+item("")+","+item("")+"]", "x-umami-cache", answer.Cache, "X-Test-Client", "203.0.113.9")
	if r.StatusCode != 200 || len(d.log.events) != 5 {
		t.Fatalf("%d %s", r.StatusCode, text(r))
	}
	for _, later := range d.log.events[3:] {
		if later.VisitorID != e[0].VisitorID {
			t.Errorf("%x, want the token's %x", later.VisitorID, e[0].VisitorID)
		}
	}
	// A bot among them takes it from nobody.
	bot := strings.Replace(item(""), chrome, "curl/8", 1)
	r = d.send("POST", "/api/batch", "["+bot+","+item("")+"]", "x-umami-cache", answer.Cache, "Authorization", "Bearer "+apiToken, "X-Test-Client", "203.0.113.9")
	if got := d.log.events[len(d.log.events)-1]; r.StatusCode != 200 || len(d.log.events) != 7 || got.VisitorID != e[0].VisitorID {
		t.Errorf("%d, %x behind a bot, want the token's %x", r.StatusCode, got.VisitorID, e[0].VisitorID)
	}
}
