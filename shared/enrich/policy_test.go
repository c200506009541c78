package enrich

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/registry"
)

// known is an enricher for one site with options, that has a salt of the day.
func known(t testing.TB, p shared.Privacy, zone string) (*Enricher, *registry.Holder, *observer.ObservedLogs) {
	t.Helper()
	holder := new(registry.Holder)
	holder.Store(registry.NewView(stateWith(p, zone)))
	core, logs := observer.New(zap.WarnLevel)
	e, err := New(Config{GeoIP: writeDatabase(t, "GeoLite2-City"), Sites: holder, Salts: holder, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e, holder, logs
}

func stateWith(p shared.Privacy, zone string) *shared.EdgeState {
	return &shared.EdgeState{
		Version: "1",
		Sites:   []shared.SiteConfig{{ID: "shop", UUID: "u", Domains: []string{"example.com", "shop.example.org"}, TimeZone: zone, Identity: shared.IdentityDay, Privacy: p}},
		Salts:   []shared.Salt{{Site: "shop", Key: [32]byte{5}, From: noon - 3*3600e6, Until: noon + 3*3600e6, Identity: shared.IdentityDay}},
	}
}

// full is an observation with something for every option to leave out.
func full() shared.Observation {
	o := view()
	o.ClientIP = netip.MustParseAddr("198.51.100.1")
	o.Title, o.Screen = "Order of joe@example.org", "1440x900"
	o.Referer = "https://www.google.com/search"
	o.Path, o.RawQuery = "/orders/4711/view", "utm_source=a&page=2&token=SECRET"
	return o
}

func TestEachOptionLeavesOutItsPartAndNothingElse(t *testing.T) {
	everything := shared.Event{
		Pathname: "/orders/4711/view", Query: "utm_source=a", Title: "Order of [email]", ScreenSize: "1440x900",
		CountryCode: "DE", Region: "BE", City: "Berlin", BrowserVersion: "156", OSVersion: "11", ReferrerPath: "/search", ReferrerDomain: "google.com",
		Time: noon, Identity: "day",
	}
	for _, c := range []struct {
		name    string
		p       shared.Privacy
		wishes  shared.Wishes
		zone    string
		visitor bool
		change  func(*shared.Event)
	}{
		{"nothing", shared.Privacy{}, shared.Wishes{}, "", true, func(*shared.Event) {}},
		{"no_visitor_id", shared.Privacy{NoVisitorID: true}, shared.Wishes{}, "", false, func(e *shared.Event) { e.Identity = "" }},
		{"country_only", shared.Privacy{CountryOnly: true}, shared.Wishes{}, "", true, func(e *shared.Event) { e.Region, e.City = "", "" }},
		{"no_versions", shared.Privacy{NoVersions: true}, shared.Wishes{}, "", true, func(e *shared.Event) { e.BrowserVersion, e.OSVersion = "", "" }},
		{"no_screen", shared.Privacy{NoScreen: true}, shared.Wishes{}, "", true, func(e *shared.Event) { e.ScreenSize = "" }},
		{"referrer_host_only", shared.Privacy{ReferrerHostOnly: true}, shared.Wishes{}, "", true, func(e *shared.Event) { e.ReferrerPath = "" }},
		{"hour_times", shared.Privacy{HourTimes: true}, shared.Wishes{}, "UTC", true, func(e *shared.Event) { e.Time = noon - noon%3600e6 }},
		{"hour_times in a zone of half hours", shared.Privacy{HourTimes: true}, shared.Wishes{}, "Asia/Kolkata", true, func(e *shared.Event) { e.Time = noon - 1800e6 }},
		{"query_keys", shared.Privacy{QueryKeys: []string{"Page", "q r", ""}}, shared.Wishes{}, "", true, func(e *shared.Event) { e.Query = "utm_source=a&page=2" }},
		{"redact", shared.Privacy{Redact: []string{`\d{4}`, `(?i)ORDER`, `x*`}}, shared.Wishes{}, "", true, func(e *shared.Event) {
			e.Pathname, e.Title = "/[redacted]s/[redacted]/view", "[redacted] of [email]"
		}},
		{"DNT", shared.Privacy{}, shared.Wishes{DNT: true}, "", false, func(e *shared.Event) { e.Identity = "" }},
		{"GPC", shared.Privacy{DNT: shared.SignalIgnore}, shared.Wishes{GPC: true}, "", false, func(e *shared.Event) { e.Identity = "" }},
		{"both ignored", shared.Privacy{DNT: shared.SignalIgnore, GPC: shared.SignalIgnore}, shared.Wishes{DNT: true, GPC: true}, "", true, func(*shared.Event) {}},
		{"an effect of the future", shared.Privacy{DNT: "vanish"}, shared.Wishes{DNT: true}, "", false, func(e *shared.Event) { e.Identity = "" }},
		{"opt-out", shared.Privacy{DNT: shared.SignalIgnore}, shared.Wishes{OptOut: true}, "", false, func(e *shared.Event) { e.Identity = "" }},
	} {
		e, _, _ := known(t, c.p, c.zone)
		o := full()
		o.Wishes = c.wishes
		if c.zone == "Asia/Kolkata" { // 17:30 there
			if _, err := time.LoadLocation(c.zone); err != nil {
				continue
			}
		}
		var got shared.Event
		e.Enrich(&o, &got)
		want := everything
		c.change(&want)
		if (got.VisitorID != 0) != c.visitor {
			t.Errorf("%s: visitor %x", c.name, got.VisitorID)
		}
		short := shared.Event{
			Pathname: got.Pathname, Query: got.Query, Title: got.Title, ScreenSize: got.ScreenSize, CountryCode: got.CountryCode, Region: got.Region, City: got.City,
			BrowserVersion: got.BrowserVersion, OSVersion: got.OSVersion, ReferrerPath: got.ReferrerPath, ReferrerDomain: got.ReferrerDomain, Time: got.Time, Identity: got.Identity,
		}
		if d := diff(short, want); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
		if r := got.Check(); r != "" {
			t.Errorf("%s: %s", c.name, r)
		}
	}
}

// The stricter of the registry's and the proxy's own options holds, also for a
// site that nobody knows.
func TestTheStricterOfBothHolds(t *testing.T) {
	e, _, _ := known(t, shared.Privacy{CountryOnly: true, DNT: shared.SignalIgnore, Redact: []string{"4711"}}, "UTC")
	strict := shared.Presets["strict"]
	for _, site := range []string{"example.com", "unknown.example"} {
		o := full()
		o.Site, o.Privacy = site, &strict
		var got shared.Event
		e.Enrich(&o, &got)
		if got.VisitorID != 0 || got.City != "" || got.Time%3600e6 != 0 || got.BrowserVersion != "" || got.ScreenSize != "" || got.ReferrerPath != "" {
			t.Errorf("%s: %+v", site, got)
		}
		if strings.Contains(got.Pathname, "4711") != (site == "unknown.example") {
			t.Errorf("%s: path %q", site, got.Pathname)
		}
	}
	o := full()
	o.Privacy = &shared.Privacy{}
	var got shared.Event
	if e.Enrich(&o, &got); got.City != "" || got.VisitorID == 0 {
		t.Errorf("no floor: %+v", got)
	}
	a := shared.Privacy{DNT: shared.SignalIgnore, DistinctIDs: true, QueryKeys: []string{"k"}}
	if b := a.Stricter(&shared.Privacy{GPC: shared.SignalRefuse}); b.DNT != "" || b.GPC != shared.SignalRefuse || b.DistinctIDs || len(b.QueryKeys) != 1 {
		t.Errorf("%+v", b)
	}
}

// A rule that can't be applied lets nothing pass, and says so once.
func TestAPatternThatCannotBeUsedRemovesAll(t *testing.T) {
	for _, bad := range [][]string{{"ok", "("}, {strings.Repeat("a", shared.MaxRedactPattern+1)}, {"(a{100}){10}b{1000}(c{1000})"}, {""}, make([]string, 2*shared.MaxRedact+1)} {
		e, holder, logs := known(t, shared.Privacy{Redact: bad}, "UTC")
		var got shared.Event
		for i := range 3 {
			o := full()
			e.Enrich(&o, &got)
			if got.Pathname != "[redacted]" || got.Title != "[redacted]" || got.ReferrerPath != "[redacted]" {
				t.Errorf("%.20q: %q %q %q", bad, got.Pathname, got.Title, got.ReferrerPath)
			}
			if i == 1 { // a change of something else
				holder.Store(registry.NewView(stateWith(shared.Privacy{Redact: bad, NoScreen: true}, "UTC")))
			}
		}
		if logs.Len() != 1 {
			t.Errorf("%.20q: %d warnings", bad, logs.Len())
		}
		holder.Store(registry.NewView(stateWith(shared.Privacy{Redact: []string{"orders"}}, "UTC")))
		o := full()
		if e.Enrich(&o, &got); got.Pathname != "/[redacted]/4711/view" {
			t.Errorf("mended: %q", got.Pathname)
		}
	}
}

// The identity is the site's, by whichever of its names it comes.
func TestNamesOfOneSiteShareItsVisitors(t *testing.T) {
	e, _, _ := known(t, shared.Privacy{}, "UTC")
	want := expected(shared.Salt{Site: "shop", Key: [32]byte{5}}, [4]byte{198, 51, 100, 1}, chrome)
	for _, name := range []string{"example.com", "www.shop.example.org:443", "shop", "u"} {
		o := full()
		o.Site = name
		var got shared.Event
		if e.Enrich(&o, &got); got.VisitorID != want || got.Identity != "day" {
			t.Errorf("%s: %x %q, want %x", name, got.VisitorID, got.Identity, want)
		}
	}
	o := full()
	o.Referer = "https://shop.example.org/cart"
	var got shared.Event
	if e.Enrich(&o, &got); got.ReferrerDomain != "" {
		t.Errorf("a site refers to itself: %q", got.ReferrerDomain)
	}
}

func TestPrivacyCheck(t *testing.T) {
	for _, c := range []struct {
		p  shared.Privacy
		ok bool
	}{
		{shared.Privacy{}, true},
		{shared.Presets["strict"], true},
		{shared.Presets["cnil"], true},
		{shared.Privacy{DNT: "maybe"}, false},
		{shared.Privacy{GPC: shared.SignalIgnore, QueryKeys: []string{"page", "sort.by", "a-b_c"}, Redact: []string{`/user/\w+`}}, true},
		{shared.Privacy{QueryKeys: []string{"a b"}}, false},
		{shared.Privacy{QueryKeys: []string{strings.Repeat("k", 41)}}, false},
		{shared.Privacy{QueryKeys: make([]string, shared.MaxQueryKeys+1)}, false},
		{shared.Privacy{Redact: []string{"["}}, false},
		{shared.Privacy{Redact: []string{"a{1000}", "(ab{20}){40}"}}, true},
		{shared.Privacy{Redact: []string{"(a{100}b{100}){9}"}}, true},
		{shared.Privacy{Redact: []string{"(a{100}b{100}c{100}d{100}){9}"}}, false},
		{shared.Privacy{Redact: make([]string, shared.MaxRedact+1)}, false},
	} {
		if err := c.p.Check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.p, err)
		}
	}
}

func TestTitlesAndScreens(t *testing.T) {
	for in, want := range map[string]string{
		"Caf%C3%A9 menu": "Café menu", "100% sure": "100% sure", "%ff%fe": "%ff%fe", "to joe%40example.org": "to [email]",
		"key sk_live_4eC39HqLyjWDarjtT1zdp7dc": "key [token]", "Plain title": "Plain title",
		"e.g. joe@example.org, ann@example.org": "e.g. [email], [email]",
	} {
		if got := redactTitle(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, ok := range map[string]bool{"1440x900": true, "1x1": true, "": false, "0x0": false, "01x2": false, "1440": false, "1440x": false, "x900": false, "1440x900x3": false, "14401440x9": false, "a×b": false} {
		if got := screen(in); (got == in && in != "") != ok {
			t.Errorf("%q: %q", in, got)
		}
	}
}
