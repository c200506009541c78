package beacon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/registry"
)

func TestUmamiAnswers(t *testing.T) {
	body := func(n int) string {
		return fmt.Sprintf(`{"type":"event","payload":{"website":"%08x-9f0d-4a58-8a53-0d6d1f0f7c11","url":"/a","hostname":"site.example"}}`, n)
	}
	for what, c := range map[string]struct {
		body    string
		headers []string
		status  int
		answer  string
	}{
		"bot":           {body(1), []string{"User-Agent", "curl/8"}, 200, `{"beep":"boop"}`},
		"no user agent": {body(1), []string{"User-Agent", ""}, 200, `{"beep":"boop"}`},
		"schema":        {`{"type":"event","payload":{"website":"x"}}`, nil, 400, `{"error":{"message":"Bad request","code":"bad-request","status":400,"errors":[{"path":["payload","website"],"message":"must be a UUID"}]}}`},
		"no JSON":       {`x`, nil, 400, `{"error":{"message":"Bad request","code":"bad-request","status":400,"errors":[{"path":[],"message":"the body must be JSON"}]}}`},
		"unknown site":  {body(99), nil, 400, `{"error":{"message":"Website not found.","code":"bad-request","status":400}}`},
		"deleted site":  {body(4), nil, 400, `{"error":{"message":"Website not found.","code":"bad-request","status":400}}`},
		"forbidden":     {body(3), []string{"Origin", "https://evil.example"}, 403, `{"error":{"message":"Forbidden","code":"forbidden","status":403}}`},
		"asks not to":   {body(5), []string{"DNT", "1"}, 200, `{"beep":"boop"}`},
	} {
		d := newDoor(t, Mount{})
		r := d.send("POST", "/api/send", c.body, c.headers...)
		if got := text(r); r.StatusCode != c.status || got != c.answer || r.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %s", what, r.StatusCode, got)
		}
	}
	d := newDoor(t, Mount{})
	if r := d.send("GET", "/api/send", ""); r.StatusCode != 405 || !strings.Contains(r.Header.Get("Allow"), "POST") {
		t.Error(r.StatusCode)
	}
	r := d.send("OPTIONS", "/api/send", "", "Origin", "https://site.example")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*",
		"Access-Control-Allow-Methods": "GET, DELETE, POST, PUT", "Access-Control-Max-Age": "86400",
	} {
		if got := r.Header.Get(name); r.StatusCode != 204 || got != want {
			t.Errorf("preflight: %d %s: %q", r.StatusCode, name, got)
		}
	}
	if r := d.send("GET", "/api/heartbeat", ""); text(r) != `{"ok":true}` {
		t.Error("no heartbeat")
	}
}

func TestPreflightOfAPlaceWithASite(t *testing.T) {
	d := newDoor(t, Mount{Prefix: "/e", Site: func(*http.Request) string { return "picky.example" }})
	for origin, want := range map[string]int{"https://picky.example": 204, "https://evil.example": 403} {
		r := d.send("OPTIONS", "/e/api/send", "", "Origin", origin)
		if r.StatusCode != want || (r.Header.Get("Access-Control-Allow-Origin") == "*") != (want == 204) {
			t.Errorf("%s: %d %v", origin, r.StatusCode, r.Header)
		}
	}
	// Without a site of its own, an origin that no site would have is told so.
	d = newDoor(t, Mount{})
	d.view = registry.NewView(&shared.EdgeState{Version: "2", Sites: []shared.SiteConfig{{ID: "p", AllowedDomains: []string{"p.example"}}}})
	for origin, want := range map[string]int{"https://p.example": 204, "https://evil.example": 403} {
		if r := d.send("OPTIONS", "/api/event", "", "Origin", origin); r.StatusCode != want {
			t.Errorf("%s: %d", origin, r.StatusCode)
		}
	}
}

type umamiReply struct {
	Cache     string `json:"cache"`
	SessionID string `json:"sessionId"`
	VisitID   string `json:"visitId"`
}

func (d *door) umami(n int, payload string, headers ...string) umamiReply {
	d.t.Helper()
	r := d.send("POST", "/api/send", fmt.Sprintf(`{"type":"event","payload":{"website":"%08x-9f0d-4a58-8a53-0d6d1f0f7c11","url":"/a","hostname":"site.example"%s}}`, n, payload), headers...)
	var reply umamiReply
	if body := text(r); r.StatusCode != 200 || json.Unmarshal([]byte(body), &reply) != nil || reply.Cache == "" || reply.Cache != r.Header.Get("x-umami-cache") {
		d.t.Fatalf("%d %s", r.StatusCode, body)
	}
	return reply
}

func TestUmamiToken(t *testing.T) {
	d := newDoor(t, Mount{})
	first := d.umami(1, "")
	e := d.last()
	if first.SessionID != shared.VisitorUUID(e.VisitorID) || !validUUID(first.VisitID) {
		t.Errorf("%+v", first)
	}
	// It carries session and visit on, whatever address the next message has.
	moved := d.umami(1, "", "x-umami-cache", first.Cache, "X-Test-Client", "203.0.113.9")
	if moved.SessionID != first.SessionID || moved.VisitID != first.VisitID || d.last().VisitorID != e.VisitorID {
		t.Errorf("%+v became %+v", first, moved)
	}
	foreign := newDoor(t, Mount{})
	foreign.view = registry.NewView(&shared.EdgeState{Version: "1", Sites: foreign.view.Sites(), SigningKey: []byte("another key")})
	stranger := foreign.umami(1, "")
	_, body, _ := strings.Cut(first.Cache, ".")
	for what, token := range map[string]string{
		"the whole answer, as old trackers send": `{"cache":"` + first.Cache + `"}`, "garbage": "%%%..", "another server's": stranger.Cache,
		"tampered": first.Cache[:len(first.Cache)-2] + "AA", "unsigned": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + body, "long": strings.Repeat("a.", 5000),
	} {
		reply := d.umami(1, "", "x-umami-cache", token, "X-Test-Client", "203.0.113.9")
		if d.last().VisitorID == e.VisitorID || reply.SessionID == first.SessionID {
			t.Errorf("%s: is believed", what)
		}
	}
	d.umami(2, "", "x-umami-cache", first.Cache, "X-Test-Client", "203.0.113.9")
	if d.last().VisitorID == e.VisitorID {
		t.Error("a token of another site is believed")
	}
	for after, believed := range map[time.Duration]bool{29 * time.Minute: true, 31 * time.Minute: false} {
		d.in.now = func() time.Time { return testNow.Add(after) }
		if reply := d.umami(1, "", "x-umami-cache", first.Cache); (reply.VisitID == first.VisitID) != believed || reply.SessionID != first.SessionID {
			t.Errorf("after %s: %+v", after, reply)
		}
		d.last()
	}
	d.in.now = func() time.Time { return testNow.Add(25 * time.Hour) }
	if reply := d.umami(1, "", "x-umami-cache", first.Cache); reply.SessionID == first.SessionID {
		t.Error("an expired token is believed")
	}
}

func TestTokenOfThePeriodBefore(t *testing.T) {
	d := newDoor(t, Mount{})
	d.in.now = func() time.Time { return testNow.Add(-61 * time.Minute) } // before the salt's period
	old := d.umami(1, "")
	d.in.now = func() time.Time { return testNow }
	d.log.events = nil
	reply := d.umami(1, "", "x-umami-cache", old.Cache)
	if e := d.last(); reply.SessionID == old.SessionID || e.VisitorID == 0 {
		t.Errorf("%+v continues %+v", reply, old)
	}
}

// TestTokenAndMessageOfAnotherPeriod: who may say when a message was takes no
// identity over midnight by it, neither into the period before nor out of it.
func TestTokenAndMessageOfAnotherPeriod(t *testing.T) {
	d := newDoor(t, Mount{})
	midnight := testNow.Add(-time.Hour)
	key := []string{"Authorization", "Bearer " + apiToken, "x-umami-cache", ""}
	send := func(at time.Time, token string) (umamiReply, *shared.Event) {
		t.Helper()
		key[3] = token
		reply := d.umami(1, fmt.Sprintf(`,"userAgent":%q,"ip":%q,"timestamp":%d`, chrome, visitor, at.Unix()), key...)
		e := d.last()
		return reply, &e
	}
	today, first := send(testNow, "")
	_, before := send(midnight.Add(-time.Minute), today.Cache)
	if before.VisitorID == 0 || before.VisitorID == first.VisitorID || before.Time >= midnight.UnixMicro() {
		t.Errorf("the visitor of today, %x, is that of yesterday: %+v", first.VisitorID, before)
	}
	yesterday, before := send(midnight.Add(-time.Minute), "")
	if _, e := send(testNow, yesterday.Cache); e.VisitorID != first.VisitorID {
		t.Errorf("%x of yesterday lives on as %x, want %x", before.VisitorID, e.VisitorID, first.VisitorID)
	}
	// Another address has another identity before midnight, which is not the session's.
	key[3] = today.Cache
	d.umami(1, `,"userAgent":"`+chrome+`","ip":"203.0.113.9"`, key...)
	if e := d.last(); e.VisitorID != first.VisitorID || e.PrevVisitorID != 0 || first.PrevVisitorID == 0 {
		t.Errorf("%x, before %x; want the session's %x and nothing before", e.VisitorID, e.PrevVisitorID, first.VisitorID)
	}
}

func TestUmamiWithoutIdentity(t *testing.T) {
	d := newDoor(t, Mount{})
	first := d.umami(1, "")
	d.last()
	d.umami(1, "", "x-umami-cache", first.Cache, "Sec-GPC", "1")
	if e := d.last(); e.VisitorID != 0 {
		t.Error("a token makes an identity where there may be none")
	}
}

func TestIdentify(t *testing.T) {
	d := newDoor(t, Mount{})
	body := func(n int) string {
		return fmt.Sprintf(`{"type":"identify","payload":{"website":"%08x-9f0d-4a58-8a53-0d6d1f0f7c11","id":"user-1","data":{"plan":"pro"}}}`, n)
	}
	r := d.send("POST", "/api/send", body(2))
	e := d.last()
	if r.StatusCode != 200 || e.Kind != shared.KindCompletion || e.Name != shared.CompletionIdentify || e.DistinctID != "user-1" || e.VisitorID == 0 ||
		len(e.Props) != 1 || !strings.Contains(text(r), "sessionId") {
		t.Errorf("%d %+v", r.StatusCode, e)
	}
	r = d.send("POST", "/api/send", body(1))
	if r.StatusCode != 200 || !strings.Contains(text(r), "sessionId") || r.Header.Get("X-Eider-Dropped") != "1" || len(d.log.events) != 0 {
		t.Errorf("where ids are not allowed: %d, %d events", r.StatusCode, len(d.log.events))
	}
	d.counted(RefusedIDs, 1)
	d.umami(1, `,"id":"user-1"`)
	if e := d.last(); e.DistinctID != "" {
		t.Error("an id is kept where it is not allowed")
	}
	d.umami(2, `,"id":"user-1"`)
	if e := d.last(); e.DistinctID != "user-1" {
		t.Error("an id is not kept where it is allowed")
	}
	d.umami(2, `,"id":"user-1"`, "DNT", "1")
	if e := d.last(); e.DistinctID != "" || e.VisitorID != 0 {
		t.Error("an id is kept of somebody who asked not to be tracked")
	}
}

func TestUmamiPerformanceAndEngagement(t *testing.T) {
	d := newDoor(t, Mount{})
	for kind, payload := range map[shared.Kind]string{
		shared.KindVitals:     `"performance","payload":{"lcp":1200,"cls":0.05,"website":`,
		shared.KindEngagement: `"engagement","payload":{"engagement":5000,"website":`,
	} {
		r := d.send("POST", "/api/send", `{"type":`+payload+`"00000001-9f0d-4a58-8a53-0d6d1f0f7c11","url":"/a"}}`)
		e := d.last()
		if r.StatusCode != 200 || e.Kind != kind || e.LCPMS.OK != (kind == shared.KindVitals) || e.EngagedMS.OK != (kind == shared.KindEngagement) {
			t.Errorf("%d %+v", r.StatusCode, e)
		}
	}
}

func TestUmamiBatch(t *testing.T) {
	d := newDoor(t, Mount{})
	item := `{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11","url":"/a"}}`
	r := d.send("POST", "/api/batch", "["+item+`,{"type":"event","payload":{"website":"x"}},`+item+"]")
	var answer struct {
		Size, Processed, Errors int
		Details                 []struct {
			Index    int
			Response map[string]any
		}
		Cache string
	}
	body := text(r)
	if err := json.Unmarshal([]byte(body), &answer); err != nil || r.StatusCode != 200 || answer.Size != 3 || answer.Processed != 2 || answer.Errors != 1 ||
		answer.Details[0].Index != 1 || answer.Details[0].Response["error"] == nil || answer.Cache == "" || len(d.log.events) != 2 {
		t.Errorf("%d %s", r.StatusCode, body)
	}
	d.log.events = nil
	r = d.send("POST", "/api/batch", "["+item+"]", "User-Agent", "curl/8")
	if body := text(r); !strings.Contains(body, `"processed":1`) || strings.Contains(body, "cache") || d.last().Verdict != shared.VerdictBot {
		t.Error(body)
	}
	if r := d.send("POST", "/api/batch", item); r.StatusCode != 400 {
		t.Error(r.StatusCode)
	}
}

func TestUmamisOwnClientIsNoBot(t *testing.T) {
	d := newDoor(t, Mount{})
	d.umami(1, "", "User-Agent", "Mozilla/5.0 Umami/v22.1.0", "Accept-Language", "*")
	if e := d.last(); e.Verdict != shared.VerdictLikely || e.VerdictReason != "server" || e.BotName != "" {
		t.Errorf("%+v", e)
	}
}
