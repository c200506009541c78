package enrich

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"

// noon is a time in the middle of a day, wherever the test runs.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMicro()

func newEnricher(t testing.TB) *Enricher {
	t.Helper()
	e, err := New(Config{Local: NewLocalSalts(time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func view() shared.Observation {
	return shared.Observation{
		Site: "example.com", Result: shared.ResultPageview, Kind: shared.KindPageview, Time: noon,
		ClientIP: netip.MustParseAddr("203.0.113.77"),
		Host:     "www.Example.com:8443", Path: "/blog/post", Method: "GET", Protocol: "HTTP/2.0",
		RawQuery: "utm_source=newsletter&utm_medium=email&token=SECRET",
		Status:   200, ContentType: "text/html; charset=utf-8", BytesSent: 5120, TTFBUS: 1800, CacheStatus: "HIT",
		UserAgent: chrome, AcceptLanguage: "de-DE,de;q=0.9,en;q=0.8", Referer: "https://user:pw@www.google.com/search?q=secret#frag",
		SecFetchSite: "cross-site",
		CHUA:         `"Chromium";v="156", "Google Chrome";v="156", "Not?A_Brand";v="24"`, CHUAMobile: "?0", CHUAPlatform: `"Windows"`, CHUAPlatformVer: `"15.0.0"`,
		ViewID: 42,
	}
}

func TestAnObservationBecomesAnEvent(t *testing.T) {
	e := newEnricher(t)
	o := view()
	got := shared.Event{Title: "left from the last use"}
	e.Enrich(&o, &got)
	if got.VisitorID == 0 {
		t.Error("no visitor")
	}
	got.VisitorID = 0
	want := shared.Event{
		Site: "example.com", Time: noon, Origin: shared.OriginEdge, Kind: shared.KindPageview,
		Hostname: "example.com", Pathname: "/blog/post", Query: "utm_source=newsletter&utm_medium=email",
		Identity: "day+local", Language: "de-DE",
		Browser: "Chrome", BrowserVersion: "156", OS: "Windows", OSVersion: "11", DeviceType: "desktop",
		ReferrerDomain: "google.com", ReferrerPath: "/search", Source: "newsletter", Channel: ChannelEmail,
		UTMSource: "newsletter", UTMMedium: "email",
		Status: shared.Some[int64](200), Method: "GET", ContentType: "text/html", BytesSent: shared.Some[int64](5120),
		TTFBUS: shared.Some[int64](1800), Protocol: "HTTP/2.0", CacheStatus: "hit",
		Verdict: shared.VerdictLikely, VerdictReason: ReasonBrowser, ViewID: 42,
	}
	if d := diff(got, want); d != "" {
		t.Error(d)
	}
	if r := got.Check(); r != "" {
		t.Errorf("Check refuses it: %s", r)
	}
}

// diff names the fields in which two events differ.
func diff(got, want shared.Event) string {
	var b strings.Builder
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if a, b2 := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(a, b2) {
			fmt.Fprintf(&b, "%s = %#v, want %#v\n", g.Type().Field(i).Name, a, b2)
		}
	}
	return b.String()
}

// texts returns every text of an event.
func texts(e *shared.Event) []string {
	var all []string
	v := reflect.ValueOf(e).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.String {
			all = append(all, f.String())
		}
	}
	return all
}

func TestResultsBecomeVerdictsAndKinds(t *testing.T) {
	const bot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
	for _, c := range []struct {
		result  shared.Result
		kind    shared.Kind
		ua      string
		want    shared.Kind
		name    string
		verdict shared.Verdict
		reason  string
		bot     string
	}{
		{shared.ResultPageview, shared.KindPageview, chrome, shared.KindPageview, "", shared.VerdictLikely, ReasonBrowser, ""},
		{shared.ResultPageview, "", chrome, shared.KindPageview, "", shared.VerdictLikely, ReasonBrowser, ""},
		{shared.ResultError, "", chrome, shared.KindError, "", shared.VerdictLikely, ReasonBrowser, ""},
		{shared.ResultDownload, "", chrome, shared.KindDownload, "", shared.VerdictLikely, ReasonBrowser, ""},
		{shared.ResultFeed, "", "Feedly/1.0", shared.KindFeed, "", shared.VerdictBot, ReasonKnownAgent, "Feedly"},
		{shared.ResultBot, shared.KindPageview, bot, shared.KindPageview, "", shared.VerdictBot, ReasonKnownAgent, "Googlebot"},
		{shared.ResultBot, shared.KindRequest, "", shared.KindRequest, "", shared.VerdictBot, ReasonNoUserAgent, ""},
		{shared.ResultBot, "", chrome, shared.KindRequest, "", shared.VerdictBot, ReasonUnlisted, ""},
		{shared.ResultPrefetch, shared.KindPageview, chrome, shared.KindCompletion, "prefetch", shared.VerdictLikely, ReasonBrowser, ""},
	} {
		e := newEnricher(t)
		o := shared.Observation{Site: "example.com", Time: noon, Result: c.result, Kind: c.kind, UserAgent: c.ua}
		var got shared.Event
		e.Enrich(&o, &got)
		if got.Kind != c.want || got.Name != c.name || got.Verdict != c.verdict || got.VerdictReason != c.reason || got.BotName != c.bot {
			t.Errorf("%s of %q: %s %q %s %s %q", c.result, c.ua, got.Kind, got.Name, got.Verdict, got.VerdictReason, got.BotName)
		}
	}
}

func TestUnknownNumbersAreNull(t *testing.T) {
	e := newEnricher(t)
	o := shared.Observation{Site: "example.com", Time: noon, BytesSent: -1, TTFBUS: -1}
	var got shared.Event
	e.Enrich(&o, &got)
	if got.Status.OK || got.BytesSent.OK || got.TTFBUS.OK || got.VisitorID != 0 || got.Identity != "" {
		t.Errorf("%+v", got)
	}
}

func TestOneEnricherForManyGoroutines(t *testing.T) {
	e := newEnricher(t)
	var want shared.Event
	o := view()
	e.Enrich(&o, &want)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				o := view()
				var got shared.Event
				e.Enrich(&o, &got)
				if d := diff(got, want); d != "" {
					t.Error(d)
					return
				}
			}
		})
	}
	wg.Wait()
}
