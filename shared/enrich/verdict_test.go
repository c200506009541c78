package enrich

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

const (
	firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:155.0) Gecko/20100101 Firefox/155.0"
	safari  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15"
	webview = "Mozilla/5.0 (Linux; Android 12; M2101K6G; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/150.0.4896.127 Mobile Safari/537.36"
	dead    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/74.0.3729.169 Safari/537.36"
	ie11    = "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko"
	tv      = "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/53.0.2785.34 Safari/537.36 WebAppManager"

	hints156 = `"Chromium";v="156", "Google Chrome";v="156", "Not?A_Brand";v="24"`
)

// Each row is a request whose headers are known, with the verdict on it.
func TestSoftSigns(t *testing.T) {
	in2015 := time.Date(2015, 5, 17, 10, 0, 0, 0, time.UTC).UnixMicro()
	const http, https = false, true
	for _, c := range []struct {
		name            string
		ua              string
		secure          bool
		language, fetch bool
		hints           string
		at              int64
		reason          string
		bot             bool
	}{
		{"a browser over https", chrome, https, true, true, hints156, noon, "browser", false},
		{"a browser over http, where hints are not sent", chrome, http, true, false, "", noon, "browser", false},
		{"firefox over https sends no hints", firefox, https, true, true, "", noon, "browser", false},
		{"safari sends neither", safari, https, true, false, "", noon, "browser", false},
		{"a web view sends no hints", webview, https, true, true, "", noon, "browser", false},

		{"one sign: no language", chrome, https, false, true, hints156, noon, "no_language", false},
		{"one sign: no language over http", chrome, http, false, false, "", noon, "no_language", false},
		{"one sign: no hints", chrome, https, true, true, "", noon, "no_hints", false},
		{"one sign: no Sec-Fetch", chrome, https, true, false, hints156, noon, "no_hints", false},
		{"neither hints nor Sec-Fetch is one sign", chrome, https, true, false, "", noon, "no_hints", false},
		{"one sign: firefox without Sec-Fetch", firefox, https, true, false, "", noon, "no_hints", false},
		{"one sign: an old version", dead, http, true, false, "", noon, "old_version", false},
		{"an old version of its own time", dead, http, false, false, "", in2015, "no_language", false},
		{"one sign: internet explorer", ie11, http, true, false, "", noon, "old_version", false},
		{"internet explorer in its time", ie11, http, true, false, "", in2015, "browser", false},
		{"a television keeps its version", tv, http, true, false, "", noon, "browser", false},
		{"one sign: hints of another version", chrome, https, true, true, `"Chromium";v="130", "Google Chrome";v="130"`, noon, "hints_differ", false},
		{"one sign: firefox with hints", firefox, https, true, true, hints156, noon, "hints_differ", false},
		{"brands without Chromium say nothing", chrome, https, true, true, `"Ecosia";v="12"`, noon, "browser", false},

		{"a script with a browser's user agent", chrome, https, false, false, "", noon, "no_language+no_hints", true},
		{"a script with an old one", dead, http, false, false, "", noon, "no_language+old_version", true},
		{"hints of another browser, and no language", safari, https, false, true, hints156, noon, "no_language+hints_differ", true},
		{"an old one without Sec-Fetch", strings.Replace(dead, "Chrome/74", "Chrome/85", 1), https, true, false, "", noon, "no_hints+old_version", true},
		{"everything at once", strings.Replace(dead, "Chrome/74", "Chrome/85", 1), https, false, false, `"Chromium";v="99"`, noon, "no_language+no_hints+hints_differ+old_version", true},

		{"headless by its hints", chrome, https, true, true, `"HeadlessChrome";v="156", "Chromium";v="156"`, noon, "headless", true},
	} {
		o := shared.Observation{
			Site: "example.com", Time: c.at, Result: shared.ResultPageview, UserAgent: c.ua,
			HeadersKnown: true, Secure: c.secure, SecFetch: c.fetch, CHUA: c.hints,
		}
		if c.language {
			o.AcceptLanguage = "de"
		}
		signs := SignsOf(&o)
		reason, bot := Judge(&signs)
		if reason != c.reason || bot != c.bot {
			t.Errorf("%s: %s %v, want %s %v", c.name, reason, bot, c.reason, c.bot)
		}
		var e shared.Event
		newEnricher(t).Enrich(&o, &e)
		if (e.Verdict == shared.VerdictBot) != bot || e.VerdictReason != reason {
			t.Errorf("%s: stored as %s %s, judged as %s %v", c.name, e.Verdict, e.VerdictReason, reason, bot)
		}
		// A log that knows nothing but the user agent holds nothing else against
		// anybody, and one sign is never two.
		o.HeadersKnown = false
		signs = SignsOf(&o)
		if reason, bot := Judge(&signs); bot || reason != "browser" && reason != "old_version" {
			t.Errorf("%s: without known headers %s %v", c.name, reason, bot)
		}
	}
}

func TestWhatTheProxySawIsKept(t *testing.T) {
	e := newEnricher(t)
	for _, c := range []struct {
		o        shared.Observation
		verdict  shared.Verdict
		reason   string
		category string
	}{
		{shared.Observation{UserAgent: chrome, BotReason: ReasonProbe, Result: shared.ResultBot}, shared.VerdictBot, "probe", "security"},
		{shared.Observation{UserAgent: chrome, BotReason: ReasonTooFast, Result: shared.ResultBot}, shared.VerdictBot, "too_fast", "other"},
		{shared.Observation{UserAgent: chrome, Result: shared.ResultBot}, shared.VerdictBot, "unlisted_agent", "other"},
		{shared.Observation{UserAgent: "curl/8.5.0", BotReason: ReasonProbe, Result: shared.ResultBot}, shared.VerdictBot, "known_agent", "library"},
		{shared.Observation{UserAgent: chrome, Result: shared.ResultPageview}, shared.VerdictLikely, "browser", ""},
	} {
		c.o.Site, c.o.Time = "example.com", noon
		var got shared.Event
		e.Enrich(&c.o, &got)
		if got.Verdict != c.verdict || got.VerdictReason != c.reason || got.BotCategory != c.category {
			t.Errorf("%q %q: %s %s %s, want %s %s %s", c.o.UserAgent, c.o.BotReason, got.Verdict, got.VerdictReason, got.BotCategory, c.verdict, c.reason, c.category)
		}
	}
}

const googlebot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

func TestCrawlersAreVerifiedByTheirAddress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crawlers.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// As the operators publish theirs, with what we have no use for.
	write(`{"Googlebot": {"creationTime": "2026-11-01T00:00:00", "prefixes": [{"ipv4Prefix": "192.0.2.0/27"}, {"ipv6Prefix": "2001:db8:10::/48"}]},
		"gptbot": {"prefixes": [{"ipv4Prefix": "198.51.100.0/24"}]}}`)
	e, err := New(Config{Crawlers: path, Local: NewLocalSalts(time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	check := func(ua, addr string, verified shared.Opt[bool], reason string) {
		t.Helper()
		o := shared.Observation{Site: "example.com", Time: noon, Result: shared.ResultBot, UserAgent: ua}
		if addr != "" {
			o.ClientIP = netip.MustParseAddr(addr)
		}
		var got shared.Event
		e.Enrich(&o, &got)
		if got.Verified != verified || got.VerdictReason != reason || got.Verdict != shared.VerdictBot {
			t.Errorf("%.40q from %s: verified %v, reason %s", ua, addr, got.Verified, got.VerdictReason)
		}
		for _, text := range texts(&got) {
			if addr != "" && strings.Contains(text, addr) {
				t.Errorf("the event holds the address: %q", text)
			}
		}
	}
	unknown, yes, no := shared.Opt[bool]{}, shared.Some(true), shared.Some(false)
	check(googlebot, "192.0.2.7", yes, "known_agent")
	check(googlebot, "::ffff:192.0.2.7", yes, "known_agent")
	check(googlebot, "2001:db8:10:77::1", yes, "known_agent")
	check(googlebot, "192.0.2.32", no, "spoofed")
	check(googlebot, "2001:db8:11::1", no, "spoofed")
	check(googlebot, "", unknown, "known_agent")
	check("GPTBot/1.2", "198.51.100.9", yes, "known_agent")
	check("GPTBot/1.2", "192.0.2.7", no, "spoofed")
	check("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "192.0.2.7", unknown, "known_agent")
	check("curl/8.5.0", "192.0.2.7", unknown, "known_agent")

	// The operator updates the list; a damaged one leaves the last in force.
	write(`{"Googlebot": {"prefixes": [{"ipv4Prefix": "203.0.113.0/24"}]}}`)
	e.crawlers.refresh()
	check(googlebot, "203.0.113.9", yes, "known_agent")
	check(googlebot, "192.0.2.7", no, "spoofed")
	check("GPTBot/1.2", "192.0.2.7", unknown, "known_agent")
	for _, damaged := range []string{"", "{", `{"Googlebot": {"prefixes": [{"ipv4Prefix": "203.0.113.0"}]}}`, `{"Googlebot": {}}`, `{}`, `[]`, `{"Googlebot": {"prefixes": [{}]}}`} {
		write(damaged)
		e.crawlers.refresh()
		check(googlebot, "203.0.113.9", yes, "known_agent")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	e.crawlers.refresh()
	check(googlebot, "203.0.113.9", yes, "known_agent")
}

func TestWithoutAFileNobodyIsSpoofed(t *testing.T) {
	for _, path := range []string{"", filepath.Join(t.TempDir(), "missing.json")} {
		e, err := New(Config{Crawlers: path, Logger: zap.NewNop()})
		if err != nil {
			t.Fatal(err)
		}
		o := shared.Observation{Site: "example.com", Time: noon, Result: shared.ResultBot, UserAgent: googlebot, ClientIP: netip.MustParseAddr("192.0.2.7")}
		var got shared.Event
		e.Enrich(&o, &got)
		if got.Verified.OK || got.VerdictReason != "known_agent" {
			t.Errorf("%q: %v %s", path, got.Verified, got.VerdictReason)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadersSayHowManyTheyFetchFor(t *testing.T) {
	e := newEnricher(t)
	for _, c := range []struct{ ua, count, id string }{
		{"Feedbin feed-id:1373711 - 142 subscribers", "142", "1373711"},
		{"Feedfetcher-Google; (+http://www.google.com/feedfetcher.html; 3 subscribers; feed-id=17583705103843181935)", "3", "17583705103843181935"},
		{"Feedly/1.0 (+http://www.feedly.com/fetcher.html; 16 subscribers; like FeedFetcher-Google)", "16", ""},
		{"NewsBlur Feed Fetcher - 31 subscribers - https://www.newsblur.com/site/42/x (Mozilla/5.0)", "31", ""},
		{"Inoreader/1.0 (+http://www.inoreader.com/feed-fetcher; 1 subscribers; )", "1", ""},
		{"Mozilla/5.0 (compatible; theoldreader.com; 007 subscribers; feed-id=52ad)", "7", "52ad"},
		{"Bloglines/3.1 (http://www.bloglines.com; 1 subscriber)", "1", ""},
		{"Netvibes (http://www.netvibes.com/; 12 readers; feedID: 5404723)", "12", "5404723"},
		{"FreshRSS/1.24 (Linux; https://freshrss.org)", "", ""},
		{"Feedly/1.0 (99999999999 subscribers)", "", ""},
		{"Feedly/1.0 (x12 subscribers)", "", ""},
		{"Feedly/1.0 ( subscribers)", "", ""},
	} {
		o := shared.Observation{Site: "example.com", Time: noon, Result: shared.ResultBot, Kind: shared.KindFeed, UserAgent: c.ua}
		var got shared.Event
		e.Enrich(&o, &got)
		var want []shared.Prop
		if c.count != "" {
			want = append(want, shared.Prop{Key: "subscribers", Value: c.count, Type: shared.PropNumber})
		}
		if c.id != "" {
			want = append(want, shared.Prop{Key: "feed_id", Value: c.id, Type: shared.PropString})
		}
		if fmt.Sprint(got.Props) != fmt.Sprint(want) || got.Check() != "" {
			t.Errorf("%q: %v, want %v (%s)", c.ua, got.Props, want, got.Check())
		}
	}
}

func FuzzParseCrawlers(f *testing.F) {
	f.Add([]byte(`{"Googlebot": {"prefixes": [{"ipv4Prefix": "192.0.2.0/27"}, {"ipv6Prefix": "2001:db8::/64"}]}}`))
	f.Add([]byte(`{"a": {"prefixes": [{"ipv4Prefix": "::ffff:1.2.3.4/120"}]}}`))
	f.Add([]byte(`{"a": {"prefixes": [{"ipv6Prefix": "fe80::1%lan/64"}]}}`))
	addrs := []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("fe80::1%lan")}
	f.Fuzz(func(_ *testing.T, b []byte) {
		c, err := ParseCrawlers(b)
		if err != nil {
			return
		}
		for name := range c.ranges {
			for _, addr := range addrs {
				c.check(name, addr)
			}
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	o := view()
	o.HeadersKnown, o.Secure, o.SecFetch = true, true, true
	b.ReportAllocs()
	for b.Loop() {
		s := SignsOf(&o)
		Judge(&s)
	}
}

func TestJudgeDoesNotAllocate(t *testing.T) {
	o := view()
	o.HeadersKnown, o.Secure, o.SecFetch = true, true, true
	if n := testing.AllocsPerRun(1000, func() { s := SignsOf(&o); Judge(&s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
