package beacon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
	"github.com/eider-analytics/eider/shared/registry"
)

const (
	chrome   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	visitor  = "198.51.100.7"
	apiToken = "eider_key_4f8d"
)

var testNow = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// kept is the log behind the intake.
type kept struct {
	mu     sync.Mutex
	events []shared.Event
	fail   error
}

func (k *kept) AddWait(_ context.Context, events []shared.Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	for _, e := range events {
		if why := e.Check(); why != "" {
			panic("an event that can't be kept: " + why)
		}
	}
	k.events = append(k.events, events...)
	return nil
}

// door is an intake with its registry and log.
type door struct {
	t       *testing.T
	in      *Intake
	log     *kept
	view    *registry.View
	mount   Mount
	trusted bool
	unknown []string
}

// site has every option at its default; ids allows its own, picky allows one
// domain, gone is archived, refuses does not record DNT.
func newDoor(t *testing.T, mount Mount) *door {
	t.Helper()
	d := &door{t: t, log: &kept{}, mount: mount}
	site := func(n int, id string) shared.SiteConfig {
		return shared.SiteConfig{ID: id, UUID: fmt.Sprintf("%08x-9f0d-4a58-8a53-0d6d1f0f7c11", n), Domains: []string{id + ".example"}, Name: id, TimeZone: "UTC", Identity: shared.IdentityDay}
	}
	sites := []shared.SiteConfig{site(1, "site"), site(2, "ids"), site(3, "picky"), site(4, "gone"), site(5, "refuses")}
	sites[0].Links = []shared.Link{
		{Slug: "go", UUID: "000000aa-9f0d-4a58-8a53-0d6d1f0f7c11", Name: "campaign", URL: "https://elsewhere.example/a?token=SECRET"},
		{Slug: "px", UUID: "000000ab-9f0d-4a58-8a53-0d6d1f0f7c11"},
		{Slug: "js", UUID: "000000ac-9f0d-4a58-8a53-0d6d1f0f7c11", URL: "javascript:alert(1)"},
	}
	sites[1].Privacy.DistinctIDs = true
	sites[2].AllowedDomains = []string{"picky.example", "*.sub.example"}
	sites[3].Archived = true
	sites[4].Privacy.DNT = shared.SignalRefuse
	state := &shared.EdgeState{Version: "1", Sites: sites, SigningKey: []byte("signing key of the test")}
	for i := range sites {
		state.Salts = append(state.Salts, shared.Salt{
			Site: sites[i].ID, Key: [32]byte{byte(i + 1)}, Identity: shared.IdentityDay,
			From: testNow.Add(-time.Hour).UnixMicro(), Until: testNow.Add(20 * time.Hour).UnixMicro(),
		})
	}
	d.view = registry.NewView(state)
	var holder registry.Holder
	holder.Store(d.view)
	e, err := enrich.New(enrich.Config{Sites: &holder, Salts: &holder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	d.in = New(Config{
		View: func() *registry.View { return d.view }, Enrich: e.Enrich, CleanProps: e.CleanProps, Log: d.log,
		ClientIP: func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("X-Test-Client")) },
		Trusted:  func(*http.Request) bool { return d.trusted },
		Keys: func(token string) (Grant, bool) {
			return func(id string) bool { return id != "ids" }, token == apiToken
		},
		UnknownSite: func(name string) { d.unknown = append(d.unknown, name) },
	})
	d.in.now = func() time.Time { return testNow }
	return d
}

// send sends a request as a page's script in Chrome does, unless headers say
// otherwise; "" takes one away.
func (d *door) send(method, path, body string, headers ...string) *http.Response {
	d.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("User-Agent", chrome)
	r.Header.Set("Accept-Language", "de-DE,de;q=0.9")
	r.Header.Set("X-Test-Client", visitor)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "text/plain")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	w := httptest.NewRecorder()
	d.in.At(d.mount).ServeHTTP(w, r)
	return w.Result()
}

func text(r *http.Response) string {
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// last returns the one event that has come since the last time.
func (d *door) last() shared.Event {
	d.t.Helper()
	if len(d.log.events) != 1 {
		d.t.Fatalf("%d events, want one", len(d.log.events))
	}
	e := d.log.events[0]
	d.log.events = nil
	return e
}

func (d *door) counted(o Outcome, want uint64) {
	d.t.Helper()
	if n := d.in.Counts().Of(o); n != want {
		d.t.Errorf("%d messages are %s, want %d", n, o, want)
	}
}

func TestPlausibleEventIsTaken(t *testing.T) {
	d := newDoor(t, Mount{})
	r := d.send("POST", "/api/event", `{"n":"pageview","u":"https://www.site.example/pricing?utm_source=news&token=SECRET","d":"site.example","r":"https://other.example/x","w":1200}`)
	if r.StatusCode != http.StatusAccepted || text(r) != "ok" || r.Header.Get("Access-Control-Allow-Origin") != "*" || r.Header.Get("X-Eider-Dropped") != "" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	e := d.last()
	if e.Site != "site" || e.Kind != shared.KindPageview || e.Origin != shared.OriginPlausible || e.Hostname != "site.example" || e.Pathname != "/pricing" ||
		e.Query != "utm_source=news" || e.ReferrerDomain != "other.example" || e.Verdict != shared.VerdictPerson || e.VerdictReason != "beacon" ||
		e.Browser != "Chrome" || e.Language != "de-DE" || e.VisitorID == 0 || e.Identity != "day" || e.Time != testNow.UnixMicro() ||
		e.Status.OK || e.BytesSent.OK || e.Method != "" {
		t.Errorf("%+v", e)
	}
	d.counted(Taken, 1)
}

func TestPlausibleAnswers(t *testing.T) {
	event := func(site string) string {
		return `{"n":"x","u":"https://` + site + `.example/","d":"` + site + `.example"}`
	}
	for what, c := range map[string]struct {
		body    string
		headers []string
		status  int
		dropped bool
		code    string
		outcome Outcome
	}{
		"malformed":            {`{`, nil, 400, false, "bad_request", Malformed},
		"too large":            {`{"n":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, false, "too_large", TooLarge},
		"unknown site":         {event("nobody"), nil, 202, true, "", UnknownSite},
		"archived site":        {event("gone"), nil, 202, true, "", UnknownSite},
		"bot":                  {event("site"), []string{"User-Agent", "Googlebot/2.1 (+http://www.google.com/bot.html)"}, 202, false, "", TakenBot},
		"blank user agent":     {event("site"), []string{"User-Agent", ""}, 202, false, "", TakenBot},
		"allowed page":         {event("picky"), []string{"Origin", "https://www.picky.example"}, 202, false, "", Taken},
		"allowed page below":   {event("picky"), []string{"Origin", "https://a.b.sub.example:8443"}, 202, false, "", Taken},
		"the host of a *.":     {event("picky"), []string{"Origin", "https://sub.example"}, 403, false, "forbidden", WrongOrigin},
		"foreign page":         {event("picky"), []string{"Origin", "https://evilpicky.example"}, 403, false, "forbidden", WrongOrigin},
		"sandboxed page":       {event("picky"), []string{"Origin", "null"}, 403, false, "forbidden", WrongOrigin},
		"no page":              {event("picky"), nil, 403, false, "forbidden", WrongOrigin},
		"key instead of page":  {event("picky"), []string{"Authorization", "Bearer " + apiToken}, 202, false, "", Taken},
		"DNT where it refuses": {event("refuses"), []string{"DNT", "1"}, 202, true, "", RefusedSignal},
		"DNT by default":       {event("site"), []string{"DNT", "1"}, 202, false, "", Taken},
		"opted out":            {event("site"), []string{"Cookie", "eider_optout=1"}, 202, true, "", RefusedSignal},
	} {
		d := newDoor(t, Mount{})
		r := d.send("POST", "/api/event", c.body, c.headers...)
		if r.StatusCode != c.status || (r.Header.Get("X-Eider-Dropped") == "1") != c.dropped {
			t.Errorf("%s: %d %v", what, r.StatusCode, r.Header)
		}
		if body := text(r); c.code != "" {
			var e shared.ErrorBody
			if json.Unmarshal([]byte(body), &e) != nil || e.Error.Code != c.code || e.Error.Message == "" {
				t.Errorf("%s: %s", what, body)
			}
		}
		d.counted(c.outcome, 1)
		if written := c.outcome == Taken || c.outcome == TakenBot; len(d.log.events) > 0 != written {
			t.Errorf("%s: %d events", what, len(d.log.events))
		}
		if what == "unknown site" && !slices.Equal(d.unknown, []string{"nobody.example"}) {
			t.Errorf("%q were offered", d.unknown)
		}
		if what == "DNT by default" && d.last().VisitorID != 0 {
			t.Errorf("%s: it has a visitor", what)
		}
	}
}

func TestDomainsOfOneEvent(t *testing.T) {
	body := `{"n":"x","u":"https://site.example/","d":"site.example,ids.example"}`
	d := newDoor(t, Mount{})
	d.send("POST", "/api/event", body)
	if len(d.log.events) != 2 || d.log.events[0].Site != "site" || d.log.events[1].Site != "ids" {
		t.Errorf("%+v", d.log.events)
	}
	d = newDoor(t, Mount{Prefix: "/e", Site: func(*http.Request) string { return "new.example" }})
	d.send("POST", "/e/api/event", body)
	if e := d.last(); e.Site != "new.example" {
		t.Errorf("%q: the place has a site of its own", e.Site)
	}
}

func TestPixel(t *testing.T) {
	d := newDoor(t, Mount{})
	r := d.send("GET", "/api/event?d=site.example", "", "Referer", "https://site.example/mail")
	body := text(r)
	if r.StatusCode != 200 || len(body) != 43 || r.Header.Get("Content-Type") != "image/gif" || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %d bytes", r.StatusCode, r.Header, len(body))
	}
	if e := d.last(); e.Pathname != "/mail" || e.Kind != shared.KindPageview || e.Verdict != shared.VerdictLikely {
		t.Errorf("%+v", e)
	}
	if r := d.send("GET", "/api/event?d=picky.example&u=https://picky.example/", "", "Referer", "https://other.example/"); r.StatusCode != 403 {
		t.Error(r.StatusCode)
	}
	if r := d.send("GET", "/api/event", ""); r.StatusCode != 400 {
		t.Error(r.StatusCode)
	}
}

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

func TestOverrides(t *testing.T) {
	payload := `,"ip":"203.0.113.50","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0","timestamp":1773400000,"os":"Amiga"`
	d := newDoor(t, Mount{})
	d.umami(1, "")
	self := d.last()
	for what, c := range map[string]struct {
		headers  []string
		trusted  bool
		honoured bool
	}{
		"anybody":               {nil, false, false},
		"a trusted peer":        {nil, true, true},
		"passed on by a proxy":  {[]string{"X-Forwarded-For", "203.0.113.1"}, true, false},
		"a page, trusted peer":  {[]string{"Origin", "https://site.example"}, true, false},
		"an API key":            {[]string{"Authorization", "bearer " + apiToken}, false, true},
		"Umami's header":        {[]string{"x-umami-api-key", apiToken}, false, true},
		"a key that is unknown": {[]string{"Authorization", "Bearer nonsense"}, false, false},
	} {
		d.trusted = c.trusted
		d.umami(1, payload, c.headers...)
		e := d.last()
		if !c.honoured {
			if e.VisitorID != self.VisitorID || e.Browser != "Chrome" || e.Time != testNow.UnixMicro() || e.OS == "Amiga" || e.Origin != shared.OriginUmami {
				t.Errorf("%s: is believed: %+v", what, e)
			}
		} else if e.VisitorID == self.VisitorID || e.Browser != "Firefox" || e.Time != 1773400000_000_000 || e.OS != "Amiga" || e.Origin != shared.OriginAPI {
			t.Errorf("%s: is not believed: %+v", what, e)
		}
	}
	// A proxy that says nothing, but does not speak as clients do.
	d.trusted = true
	silent := httptest.NewRequest("POST", "/api/send", strings.NewReader(
		`{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11","url":"/"`+payload+`}}`))
	silent.Header.Set("User-Agent", chrome)
	silent.Header.Set("X-Test-Client", visitor)
	silent.Proto, silent.ProtoMinor = "HTTP/1.0", 0
	d.in.At(d.mount).ServeHTTP(httptest.NewRecorder(), silent)
	if e := d.last(); e.VisitorID == 0 || e.Browser != "Chrome" || e.Time != testNow.UnixMicro() {
		t.Errorf("through a proxy of HTTP/1.0 anybody is believed: %+v", e)
	}
	d.umami(1, fmt.Sprintf(`,"timestamp":%d`, testNow.Add(time.Hour).Unix()))
	if e := d.last(); e.Time != testNow.UnixMicro() {
		t.Error("a time of the future is believed")
	}
	// Plausible's way: the server says for whom it speaks in the headers.
	d.send("POST", "/api/event", `{"n":"x","u":"https://site.example/","d":"site.example"}`, "Authorization", "Bearer "+apiToken, "X-Forwarded-For", "203.0.113.50, 192.0.2.1")
	if e := d.last(); e.VisitorID == self.VisitorID {
		t.Error("X-Forwarded-For with a key is not believed")
	}
}

func TestServerBatch(t *testing.T) {
	d := newDoor(t, Mount{})
	body := `[
		{"site":"site.example","name":"pageview","url":"https://site.example/a","time":"2026-03-01T10:00:00Z","ip":"203.0.113.50","user_agent":"` + chrome + `","country":"DE"},
		{"site":"site","name":"renewed","dedupe_key":"r-1","props":{"n":1}},
		{"site":"ids","name":"x"}, {"site":"nobody.example","name":"x"}, {"name":""},
		{"site":"site","name":"crawl","user_agent":"Googlebot/2.1 (+http://www.google.com/bot.html)"}
	]`
	if r := d.send("POST", "/api/events", body); r.StatusCode != 401 || len(d.log.events) != 0 {
		t.Errorf("without a key: %d", r.StatusCode)
	}
	r := d.send("POST", "/api/events", body, "Authorization", "Bearer "+apiToken, "Idempotency-Key", "batch-7")
	var answer struct {
		Accepted int
		Rejected []struct {
			Index         int
			Code, Message string
		}
	}
	if err := json.Unmarshal([]byte(text(r)), &answer); err != nil || r.StatusCode != 202 || answer.Accepted != 3 || len(answer.Rejected) != 3 {
		t.Fatalf("%d %+v %v", r.StatusCode, answer, err)
	}
	for i, code := range []string{"unauthorized", "unknown_site", "bad_request"} {
		if rej := answer.Rejected[i]; rej.Index != i+2 || rej.Code != code || rej.Message == "" {
			t.Errorf("%+v", rej)
		}
	}
	view, own, bot := d.log.events[0], d.log.events[1], d.log.events[2]
	if view.Origin != shared.OriginAPI || view.Time != time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC).UnixMicro() || view.Browser != "Chrome" ||
		view.Verdict != shared.VerdictLikely || view.DedupeKey != "batch-7-0" || view.CountryCode != "DE" {
		t.Errorf("%+v", view)
	}
	if own.VisitorID != 0 || own.Browser != "" || own.Verdict != shared.VerdictLikely || own.VerdictReason != "server" || own.DedupeKey != "r-1" || own.Language != "" {
		t.Errorf("a server's own event has its server's browser: %+v", own)
	}
	if bot.Verdict != shared.VerdictBot {
		t.Errorf("%+v", bot)
	}
	r = d.send("POST", "/api/events", `[{"site":"nobody.example","name":"x"}]`, "Authorization", "Bearer "+apiToken)
	if r.StatusCode != 400 || r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error(r.StatusCode)
	}
}

func TestLinks(t *testing.T) {
	d := newDoor(t, Mount{Prefix: "/e"})
	r := d.send("GET", "/e/q/go", "", "Referer", "https://mail.example/inbox?secret=1")
	if r.StatusCode != 307 || r.Header.Get("Location") != "https://elsewhere.example/a?token=SECRET" || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	if e := d.last(); e.Kind != shared.KindOutbound || e.Name != "campaign" || e.Tag != "go" || e.Props[0].Value != "https://elsewhere.example/a" ||
		e.ReferrerDomain != "mail.example" || e.Site != "site" {
		t.Errorf("%+v", e)
	}
	if r := d.send("GET", "/e/q/go", "", "User-Agent", "curl/8"); r.StatusCode != 307 || d.last().Verdict != shared.VerdictBot {
		t.Error("a bot is not sent on")
	}
	r = d.send("GET", "/e/p/px", "")
	if body := text(r); r.StatusCode != 200 || len(body) != 43 || r.Header.Get("Cache-Control") != "no-store" {
		t.Error(r.StatusCode)
	}
	if e := d.last(); e.Kind != shared.KindEvent || e.Name != "px" {
		t.Errorf("%+v", e)
	}
	for _, path := range []string{"/e/q/nothing", "/e/p/go", "/e/q/px", "/e/q/js", "/e/q/"} {
		r := d.send("GET", path, "")
		if body := text(r); r.StatusCode != 404 || !strings.Contains(body, `"status":404`) || len(d.log.events) != 0 {
			t.Errorf("%s: %d %s", path, r.StatusCode, body)
		}
	}
	d.log.fail = errors.New("full")
	if r := d.send("GET", "/e/q/go", ""); r.StatusCode != 307 {
		t.Errorf("a reader is kept from where the link leads: %d", r.StatusCode)
	}
	if r := d.send("GET", "/e/p/px", ""); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Error(r.StatusCode)
	}
}

func TestWhatIsNotWrittenIsNotAnswered(t *testing.T) {
	d := newDoor(t, Mount{})
	d.log.fail = errors.New("full")
	for path, body := range map[string]string{
		"/api/event":  `{"n":"x","u":"https://site.example/","d":"site.example"}`,
		"/api/send":   string(`{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11"}}`),
		"/api/batch":  string(`[{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11"}}]`),
		"/api/events": `[{"site":"site","name":"x"}]`,
	} {
		r := d.send("POST", path, body, "Authorization", "Bearer "+apiToken)
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, r.StatusCode, text(r))
		}
	}
	d.counted(NotWritten, 4)
	d.counted(Taken, 0)
}

func TestAPanicIsToldToComeBack(t *testing.T) {
	d := newDoor(t, Mount{})
	d.in.cfg.Enrich = func(*shared.Observation, *shared.Event) { panic("a defect") }
	r := d.send("POST", "/api/event", `{"n":"x","u":"https://site.example/","d":"site.example"}`)
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Error(r.StatusCode)
	}
	d.counted(Internal, 1)
}

func TestTokenBuckets(t *testing.T) {
	d := newDoor(t, Mount{})
	d.in.addresses.Store(newBuckets(2, 0, 3, addressBuckets))
	now := testNow
	d.in.now = func() time.Time { return now }
	send := func(client string) *http.Response {
		return d.send("POST", "/api/event", `{"n":"x","u":"https://site.example/","d":"site.example"}`, "X-Test-Client", client)
	}
	for range 6 { // the burst
		if r := send("2001:db8::1"); r.StatusCode != 202 {
			t.Fatal(r.StatusCode)
		}
	}
	if r := send("2001:db8::2"); r.StatusCode != 429 || r.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %v: the network has more than its share", r.StatusCode, r.Header)
	}
	if r := send("2001:db8:0:1::1"); r.StatusCode != 202 {
		t.Errorf("another network: %d", r.StatusCode)
	}
	now = now.Add(500 * time.Millisecond)
	if r := send("2001:db8::3"); r.StatusCode != 202 {
		t.Errorf("half a second later: %d", r.StatusCode)
	}
	d.counted(TooMany, 1)

	// What comes together counts by the message, or one address could bring what
	// a site takes of all.
	native := `[` + strings.TrimSuffix(strings.Repeat(`{"k":"event","n":"x","u":"https://site.example/","s":"site.example","l":"00000000000000aa","o":1},`, 5), ",") + `]`
	umami := `[` + strings.TrimSuffix(strings.Repeat(`{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11","url":"/"}},`, 5), ",") + `]`
	for path, body := range map[string]string{"/api/e": native, "/api/batch": umami} {
		d = newDoor(t, Mount{})
		d.in.addresses.Store(newBuckets(1, 0, 7, addressBuckets))
		first, second := d.send("POST", path, body).StatusCode, d.send("POST", path, body).StatusCode
		if first >= 300 || second != 429 || len(d.log.events) != 5 {
			t.Errorf("%s: five messages of seven are %d, five more %d; %d are written", path, first, second, len(d.log.events))
		}
		d.trusted = true
		if r := d.send("POST", path, body, "Origin", "", "Sec-Fetch-Mode", ""); r.StatusCode >= 300 {
			t.Errorf("%s: a peer that speaks for itself: %d", path, r.StatusCode)
		}
	}

	d = newDoor(t, Mount{})
	d.in.sites.Store(newBuckets(1, 0, 5, siteBuckets))
	statuses := map[int]int{}
	for i := range 8 {
		statuses[d.send("POST", "/api/event", `{"n":"x","u":"https://site.example/","d":"site.example"}`, "X-Test-Client", fmt.Sprintf("192.0.2.%d", i)).StatusCode]++
	}
	if statuses[202] != 5 || statuses[429] != 3 {
		t.Errorf("%v", statuses)
	}
	if r := d.send("POST", "/api/event", `{"n":"x","u":"https://ids.example/","d":"ids.example"}`); r.StatusCode != 202 {
		t.Errorf("one site's crowd shuts another out: %d", r.StatusCode)
	}
	if newBuckets(-1, 5, 1, 16).take(1, 100, now) != 0 {
		t.Error("no limit limits")
	}
}

// TestLargeBodiesAreBounded: what is announced takes no memory, and what comes
// slowly takes no more than the bound, whoever sends it.
func TestLargeBodiesAreBounded(t *testing.T) {
	d := newDoor(t, Mount{})
	d.in.SetLimits(Limits{PerAddress: -1})
	h := d.in.At(d.mount)
	const senders = maxHeld/maxBatchBody + 8
	var ends [senders]*io.PipeWriter
	var statuses [senders]int
	var all sync.WaitGroup
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range ends {
		var body *io.PipeReader
		body, ends[i] = io.Pipe()
		r := httptest.NewRequest("POST", "/api/batch", body)
		r.ContentLength = maxBatchBody
		r.Header.Set("X-Test-Client", visitor)
		all.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			statuses[i] = w.Code
			_ = body.Close()
		})
		_, _ = ends[i].Write([]byte("[")) // it is being read
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > senders*2*maxBody {
		t.Errorf("%d bodies that are announced take %d bytes", senders, grown)
	}
	piece := make([]byte, maxBatchBody-maxBody)
	for _, end := range ends {
		_, _ = end.Write(piece) // until it is refused
		if held := d.in.held.Load(); held > maxHeld+heldPiece {
			t.Fatalf("%d bytes are held", held)
		}
	}
	for _, end := range ends {
		_ = end.Close()
	}
	all.Wait()
	refused := 0
	for _, status := range statuses {
		switch status {
		case http.StatusServiceUnavailable:
			refused++
		case http.StatusBadRequest:
		default:
			t.Errorf("a body of nothing is answered with %d", status)
		}
	}
	if refused == 0 || refused > 10 || d.in.held.Load() != 0 {
		t.Errorf("%d of %d are told to come back, %d bytes are held for ever", refused, senders, d.in.held.Load())
	}
}

func TestBucketsAreBounded(t *testing.T) {
	b := newBuckets(1, 0, 1, 64)
	for i := range 10_000 {
		b.take(b.ofAddress(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), 1, testNow)
	}
	if len(b.slots) != 64 {
		t.Errorf("%d slots", len(b.slots))
	}
}

func TestNamesAndMethods(t *testing.T) {
	d := newDoor(t, Mount{Prefix: "/e", Endpoint: "y", File: "x.js"})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/e/x.js", 200},
		{"GET", "/e/e.js", 404},
		{"GET", "/e/event", 404},
		{"GET", "/e/y", 405},
		{"POST", "/e/x.js", 405},
		{"DELETE", "/e/api/event", 405},
		{"GET", "/e/", 404},
		{"GET", "/e", 404},
		{"GET", "/api/send", 404},
		{"GET", "/e/api/heartbeat", 200},
		{"OPTIONS", "/e/api/events", 405},
		{"GET", "/e/p", 404},
		{"POST", "/e/q/go", 405},
	} {
		if r := d.send(c.method, c.path, ""); r.StatusCode != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, r.StatusCode, c.want)
		}
	}
	// Any tracker may be pointed at the endpoint of a name that no list has.
	d.send("POST", "/e/y", `{"n":"x","u":"https://site.example/","d":"site.example"}`)
	if e := d.last(); e.Origin != shared.OriginPlausible {
		t.Errorf("%+v", e)
	}
	r := d.send("POST", "/e/y", `{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11"}}`)
	if e := d.last(); e.Origin != shared.OriginUmami || !strings.Contains(text(r), "cache") {
		t.Errorf("%+v", e)
	}
	paths := d.in.At(Mount{}).Paths()
	slices.Sort(paths)
	if !slices.Equal(paths, []string{"/api/batch", "/api/e", "/api/event", "/api/events", "/api/heartbeat", "/api/send", "/e.js", "/opt-in", "/opt-out", "/p/", "/q/", "/script.js"}) {
		t.Errorf("%q", paths)
	}
}

func TestSitesThatAreNotResolvedYet(t *testing.T) {
	d := newDoor(t, Mount{})
	body := `{"n":"x","u":"https://anything.example/","d":"anything.example"}`
	d.view = registry.NewView(&shared.EdgeState{})
	d.send("POST", "/api/event", body)
	d.counted(UnknownSite, 1)
	d.in.cfg.Unresolved = true
	d.send("POST", "/api/event", body)
	if e := d.last(); e.Site != "anything.example" {
		t.Errorf("%+v", e)
	}
	d.view = registry.NewView(&shared.EdgeState{Version: "1"})
	d.send("POST", "/api/event", body)
	d.counted(UnknownSite, 2)
}
