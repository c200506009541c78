package enrich

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// hostile are texts that break parsers, and halves of what parsers look for.
var hostile = []string{
	"", " ", "\x00", "\xff\xfe", "\u202e", "é", "\r\n\r\n", "'; DROP TABLE events; --", "../../../etc/passwd", "<script>", "%", "%0", "%00", "%zz", "+", "&", "=", "?", "#",
	"https://", "https://a:b@c.example:1/d?e#f", "android-app://", "[", "]", "[::1", ":", "@", "a@b.cc", "%40", "www.", ".", "..", "utm_source", "utm_source=", "gclid=%F0%28",
	"Mozilla/5.0 (", "Version/", "Chrome/", "Android ", "Windows NT ", "MSIE ", "; wv)", "bot", "Googlebot/", "\"Brave\";v=\"", "\"", "\\", ";v=", ",", "text/html;", "Cache; fwd=", "hit",
	strings.Repeat("a", 3000), strings.Repeat("é", 1500), strings.Repeat("%41", 900), strings.Repeat("&utm_term=x", 300), strings.Repeat("9f", 40), strings.Repeat("\xf0\x9f", 700),
}

// check holds for every observation, whatever it is made of.
func check(t *testing.T, o *shared.Observation, e *shared.Event) {
	t.Helper()
	if r := e.Check(); r != "" {
		t.Fatalf("Check refuses the event of %+v: %s\n%+v", o, r, e)
	}
	if !o.ClientIP.IsValid() {
		return
	}
	// The forms in which the address could have got through. The test's
	// addresses occur in none of the hostile texts.
	in := strings.Join([]string{o.Site, o.Host, o.Path, o.RawQuery, o.Method, o.Protocol, o.ContentType, o.UserAgent, o.AcceptLanguage, o.Referer, o.CHUA, o.CHUAPlatformVer}, "\n")
	raw := o.ClientIP.AsSlice()
	for _, form := range []string{o.ClientIP.String(), o.ClientIP.Unmap().String(), o.ClientIP.StringExpanded(), string(raw)} {
		if strings.Contains(in, form) {
			continue
		}
		for _, s := range texts(e) {
			if strings.Contains(s, form) {
				t.Fatalf("the event holds the address: %q", s)
			}
		}
	}
}

func TestNothingHostileGetsThrough(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	text := func() string {
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteString(hostile[r.IntN(len(hostile))])
		}
		return b.String()
	}
	e := newEnricher(t)
	addrs := []netip.Addr{{}, netip.MustParseAddr("198.51.100.23"), netip.MustParseAddr("2001:db8:aa:bb:cc:dd:ee:ff"), netip.MustParseAddr("::ffff:198.51.100.23"), netip.MustParseAddr("fe80::abcd%lan")}
	floors := []*shared.Privacy{nil, nil, {HourTimes: true, CountryOnly: true}, {Redact: []string{"a+", "%", ".*x"}}, {Redact: []string{"("}}}
	results := append([]shared.Result{"", "garbage"}, shared.Results...)
	var dst shared.Event
	for range 20_000 {
		o := shared.Observation{
			Site: text(), Result: results[r.IntN(len(results))], Kind: shared.Kind([]string{"", "pageview", "error", text()}[r.IntN(4)]),
			Time: noon + r.Int64N(1e15), ClientIP: addrs[r.IntN(len(addrs))],
			Host: text(), Path: text(), RawQuery: text(), Method: text(), Protocol: text(),
			Status: r.IntN(3000) - 1000, ContentType: text(), BytesSent: r.Int64() - r.Int64(), TTFBUS: r.Int64() - r.Int64(), CacheStatus: text(),
			UserAgent: text(), AcceptLanguage: text(), Referer: text(), SecFetchSite: text(),
			CHUA: text(), CHUAMobile: text(), CHUAPlatform: text(), CHUAPlatformVer: text(), CHUAModel: text(), ViewID: r.Uint64(),
			Title: text(), Screen: text(), Country: text(), Region: text(), City: text(), Origin: shared.Origin(text()),
			Wishes: shared.Wishes{DNT: r.IntN(9) == 0}, Privacy: floors[r.IntN(len(floors))],
		}
		e.Enrich(&o, &dst)
		check(t, &o, &dst)
	}
}

func FuzzEnrich(f *testing.F) {
	o := view()
	f.Add(o.Host, o.Path, o.RawQuery, o.Referer, o.UserAgent, o.AcceptLanguage, o.CHUA, o.ContentType, []byte{203, 0, 113, 9})
	for i := range hostile {
		at := func(n int) string { return hostile[(i+n)%len(hostile)] }
		f.Add(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), []byte("0123456789abcdef"))
	}
	e := newEnricher(f)
	f.Fuzz(func(t *testing.T, host, path, query, referer, ua, accept, hints, kind string, address []byte) {
		addr, _ := netip.AddrFromSlice(address)
		o := shared.Observation{
			Time: noon, ClientIP: addr, Site: host, Host: host, Path: path, RawQuery: query, Referer: referer, UserAgent: ua, AcceptLanguage: accept,
			Title: referer, Screen: kind, Country: kind, Region: hints, City: query,
			CHUA: hints, CHUAPlatform: kind, CHUAPlatformVer: hints, ContentType: kind, CacheStatus: kind, Method: kind, Protocol: kind,
		}
		var dst shared.Event
		e.Enrich(&o, &dst)
		if dst.Check() != "" {
			t.Fatalf("Check refuses it: %s", dst.Check())
		}
		// Short raw addresses occur by chance in any text: only what no input
		// holds can have come from the address.
		if addr.Is6() && !addr.Is4In6() {
			check(t, &o, &dst)
		}
	})
}

// FuzzReferrer: whatever stands behind a referrer's path is not kept, and what
// stands before its host neither.
func FuzzReferrer(f *testing.F) {
	for i := range hostile {
		f.Add(hostile[i], hostile[(i+5)%len(hostile)])
	}
	f.Fuzz(func(t *testing.T, user, tail string) {
		for _, mark := range []string{"?", "#"} {
			got := parseReferrer("https://www.a.example/from" + mark + tail)
			if got.domain != "a.example" || got.path != "/from" {
				t.Fatalf("%q: %+v", mark+tail, got)
			}
		}
		if strings.ContainsAny(user, "/?#\\") {
			return
		}
		if got := parseReferrer("https://" + user + "@www.a.example/from"); got.domain != "a.example" || got.path != "/from" {
			t.Fatalf("user %q: %+v", user, got)
		}
	})
}

// FuzzClientHints: hints only choose among names that we know, and versions
// are numbers.
func FuzzClientHints(f *testing.F) {
	f.Add(`"Chromium";v="156", "Brave";v="156", "Not?A,_Brand";v="24"`, `"Windows"`, `"15.0.0"`, "?0")
	for i := range hostile {
		f.Add(hostile[i], hostile[(i+1)%len(hostile)], hostile[(i+2)%len(hostile)], hostile[(i+3)%len(hostile)])
	}
	e := newEnricher(f)
	names := map[string]bool{"Chrome": true}
	for _, name := range brands {
		names[name] = true
	}
	systems := map[string]bool{"Windows": true, "macOS": true, "Android": true, "iOS": true, "ChromeOS": true, "Linux": true}
	devices := map[string]bool{"desktop": true, "mobile": true, "tablet": true}
	f.Fuzz(func(t *testing.T, list, platform, platformVersion, mobile string) {
		o := shared.Observation{Site: "a", Time: noon, UserAgent: chrome, CHUA: list, CHUAPlatform: platform, CHUAPlatformVer: platformVersion, CHUAMobile: mobile}
		var got shared.Event
		e.Enrich(&o, &got)
		if !names[got.Browser] || !systems[got.OS] || !devices[got.DeviceType] {
			t.Fatalf("%q %q %q", got.Browser, got.OS, got.DeviceType)
		}
		for _, v := range []string{got.BrowserVersion, got.OSVersion} {
			if strings.Trim(v, "0123456789.") != "" || len(v) > 16 {
				t.Fatalf("version %q", v)
			}
		}
	})
}
