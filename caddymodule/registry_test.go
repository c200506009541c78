package caddymodule

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// says makes the aggregator know a site, with a salt of the day.
func (a *aggregator) says(domain string, change func(*shared.SiteConfig)) shared.Salt {
	now := time.Now()
	site := shared.SiteConfig{ID: "the-site", UUID: "0190aaaa-0000-7000-8000-000000000001", Domains: []string{domain}, TimeZone: "UTC", Identity: shared.IdentityDay}
	if change != nil {
		change(&site)
	}
	salt := shared.Salt{
		Site: "the-site", Key: [32]byte(bytes.Repeat([]byte{0xD3}, 32)), Identity: shared.IdentityDay,
		From: now.Add(-12 * time.Hour).UnixMicro(), Until: now.Add(12 * time.Hour).UnixMicro(),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	version := "1"
	if a.known != nil {
		version += a.known.Version
	}
	a.known = &shared.EdgeState{Version: version, Sites: []shared.SiteConfig{site}, Salts: []shared.Salt{salt}, SigningKey: bytes.Repeat([]byte{0xE4}, 32)}
	return salt
}

// knows waits until the edge has what the aggregator says.
func (e *edge) knows() {
	e.t.Helper()
	e.agg.mu.Lock()
	version := e.agg.known.Version
	e.agg.mu.Unlock()
	rt := theRuntime(e.t)
	eventually(e.t, "the registry", func() bool { return rt.known.Load().Version() == version })
}

func theRuntime(t testing.TB) *runtime {
	t.Helper()
	var rt *runtime
	runtimes.Range(func(_, value any) bool { rt = value.(*runtime); return false })
	if rt == nil {
		t.Fatal("no runtime")
	}
	return rt
}

const behindProxy = "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}"

// A site that the aggregator makes of the hello has its salts right after it:
// who comes in the first seconds is the same visitor later.
func TestANewSiteIsKnownRightAfterTheHello(t *testing.T) {
	e := newEdge(t)
	e.agg.onHello = func() { e.agg.says("demo.localhost", nil) }
	began := time.Now()
	e.load(pageSite)
	rt := theRuntime(t)
	eventually(t, "the site and its salt", func() bool { return rt.registered(rt.site("demo.localhost")) })
	if took := time.Since(began); took > shared.EdgePoll*time.Second*9/10 { // the pace, less its jitter
		t.Errorf("known after %v: it was asked for only in its turn", took)
	}
}

// One salt of the aggregator makes the identity, and it stays in memory.
func TestIdentitiesUnderTheAggregatorsSalt(t *testing.T) {
	e := newEdge(t)
	e.global = behindProxy
	salt := e.agg.says("demo.localhost", nil)
	e.load(pageSite)
	e.knows()
	const agent = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
	e.get("/page", "X-Forwarded-For: 203.0.113.9", "User-Agent: "+agent)
	got := e.agg.wait(t, 1)[0]
	mac := hmac.New(sha256.New, salt.Key[:])
	mac.Write([]byte("the-site\x00\x04\xcb\x00\x71\x09\x00\x00\x00\x00" + agent))
	if want := binary.BigEndian.Uint64(mac.Sum(nil)); got.VisitorID != want || got.Identity != shared.IdentityDay {
		t.Errorf("visitor %x %q, want %x", got.VisitorID, got.Identity, want)
	}

	kept, err := os.ReadFile(filepath.Join(e.queueDir(), sitesFile))
	if err != nil || !bytes.Contains(kept, []byte("demo.localhost")) {
		t.Fatalf("the sites are not kept: %v", err)
	}
	e.stop()
	list, _ := json.Marshal(salt.Key)
	err = filepath.WalkDir(e.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, secret := range [][]byte{salt.Key[:8], list[1:20], bytes.Repeat([]byte{0xE4}, 8), []byte("5OTk5OTk")} {
			if bytes.Contains(b, secret) {
				t.Errorf("%s holds a secret", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestUnknownHostsAreReported(t *testing.T) {
	e := newEdge(t)
	e.agg.says("demo.localhost", nil)
	e.load(strings.Replace(pageSite, "site demo.localhost", "", 1))
	e.knows()
	for range 3 {
		e.get("/page", "Host: Shop.example:8080")
	}
	eventually(t, "the report", func() bool {
		e.agg.mu.Lock()
		defer e.agg.mu.Unlock()
		return e.agg.report["shop.example"] == 3
	})
}

// A host that a catch-all or a wildcard takes counts once the registry has it,
// and not before: that is what adding one is for.
func TestAnAddedHostCounts(t *testing.T) {
	e := newEdge(t)
	e.agg.says("demo.localhost", nil)
	port := e.port()
	e.load("http://:" + port + ", http://*.wild.example:" + port + ` {
	eider
	header Content-Type text/html
	respond "page"
}`)
	e.knows()
	ask := func() {
		for _, host := range []string{"Shop.example:8080", "shop.example.", "www.shop.example", "a.wild.example"} {
			e.get("/page", "Host: "+host)
		}
		// Neither an id nor a UUID is a host.
		for _, host := range []string{"the-site", "0190aaaa-0000-7000-8000-000000000001", "evil.example", "www.evil.example"} {
			e.get("/page", "Host: "+host)
		}
	}
	ask()
	if got := e.results(); got["unknown_host"] != 8 || got["pageview"] != 0 {
		t.Fatalf("before: %v", got)
	}
	e.agg.says("shop.example", func(s *shared.SiteConfig) { s.Domains = append(s.Domains, "a.wild.example") })
	e.knows()
	ask()
	if got := e.results(); got["unknown_host"] != 12 || got["pageview"] != 4 {
		t.Errorf("after: %v", got)
	}
	for _, event := range e.agg.wait(t, 4) {
		if event.Site != "shop.example" || event.VisitorID == 0 {
			t.Errorf("an event of %q, visitor %x", event.Site, event.VisitorID)
		}
	}
}

// What a request wishes, by what the site makes of it.
func TestWishes(t *testing.T) {
	const plain, dnt, gpc, out = "X: y", "DNT: 1", "Sec-GPC: 1", "Cookie: a=b; eider_optout=1; c=d"
	refuse := func(s *shared.SiteConfig) {
		s.Privacy = shared.Privacy{DNT: shared.SignalRefuse, GPC: shared.SignalIgnore}
	}
	for _, c := range []struct {
		name   string
		known  func(*shared.SiteConfig)
		extra  string
		header string
		want   string // identity, anonymous, or the result
	}{
		{"nothing", nil, "", plain, "identity"},
		{"no signal", nil, "", "DNT: 0", "identity"},
		{"DNT", nil, "", dnt, "anonymous"},
		{"GPC", nil, "", gpc, "anonymous"},
		{"opt-out", nil, "", out, "privacy"},
		{"DNT refused", refuse, "", dnt, "privacy"},
		{"GPC ignored", refuse, "", gpc, "identity"},
		{"cnil wins", refuse, "privacy cnil", gpc, "privacy"},
		{"strict", nil, "privacy strict", plain, "anonymous"},
		{"archived", func(s *shared.SiteConfig) { s.Archived = true }, "", plain, "excluded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEdge(t)
			e.agg.says("demo.localhost", c.known)
			e.load(strings.Replace(pageSite, "exclude /not/*", c.extra, 1))
			e.knows()
			e.get("/wish", c.header)
			switch c.want {
			case "identity", "anonymous":
				if got := e.agg.wait(t, 1)[0]; (got.VisitorID != 0) != (c.want == "identity") {
					t.Errorf("visitor %x", got.VisitorID)
				}
				return
			}
			site := theRuntime(t).site("demo.localhost")
			if n := site.results[resultIndex(shared.Result(c.want))].Load(); n != 1 {
				t.Errorf("%d requests are %s", n, c.want)
			}
			e.stop()
			if n := len(e.agg.all()); n != 0 {
				t.Errorf("%d events were recorded", n)
			}
		})
	}
}

func TestThePlaceThatATrustedProxyNames(t *testing.T) {
	headers := []string{"X-Forwarded-For: 198.51.100.7", "CF-IPCountry: fr", "CF-Region-Code: IDF", "CF-IPCity: Saint-Denis"}
	for _, trusted := range []bool{true, false} {
		e := newEdge(t)
		if trusted {
			e.global = behindProxy
		}
		e.load(pageSite)
		e.get("/page", headers...)
		got := e.agg.wait(t, 1)[0]
		place := got.CountryCode + "/" + got.Region + "/" + got.City
		if want := map[bool]string{true: "FR/IDF/Saint-Denis", false: "//"}[trusted]; place != want {
			t.Errorf("trusted %v: %q, want %q", trusted, place, want)
		}
		e.stop()
	}
}

func TestTheOptOutCookie(t *testing.T) {
	for cookies, want := range map[string]bool{
		"eider_optout=1": true, "a=b; eider_optout=1": true, "a=b;eider_optout=1;c=d": true,
		"": false, "eider_optout=0": false, "eider_optout=12": false, "not_eider_optout=1": false,
		"a=eider_optout=1": false, "a=\"eider_optout=1\"": false, "eider_optout=10; eider_optout=1": true,
	} {
		if optedOut(cookies) != want {
			t.Errorf("%q: want %v", cookies, want)
		}
	}
}
