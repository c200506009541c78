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
		}, shared.Salt{
			Site: sites[i].ID, Key: [32]byte{byte(i + 1), 1}, Identity: shared.IdentityDay,
			From: testNow.Add(-25 * time.Hour).UnixMicro(), Until: testNow.Add(-time.Hour).UnixMicro(),
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
