package enrich

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestBots(t *testing.T) {
	for _, c := range []struct{ ua, name, category, operator, purpose, reason, token string }{
		{"", "", "other", "", "", "no_user_agent", ""},
		{"  \t", "", "other", "", "", "no_user_agent", ""},
		{"-", "", "other", "", "", "no_user_agent", ""},

		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "GPTBot", "ai", "OpenAI", "training", "known_agent", "GPTBot/1.2"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; +https://openai.com/bot", "ChatGPT-User", "ai", "OpenAI", "user_fetch", "known_agent", "ChatGPT-User/1.0"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "ClaudeBot", "ai", "Anthropic", "training", "known_agent", "ClaudeBot/1.0"},
		{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", "PerplexityBot", "ai", "Perplexity", "search", "known_agent", "PerplexityBot/1.0"},
		{"CCBot/2.0 (https://commoncrawl.org/faq/)", "CCBot", "ai", "Common Crawl", "training", "known_agent", "CCBot/2.0"},
		{"python-requests/2.31 (compatible; GPTBot/1.0)", "GPTBot", "ai", "OpenAI", "training", "known_agent", "GPTBot/1.0"},

		{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot", "search", "Google", "", "known_agent", "Googlebot/2.1"},
		{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.goo", "Googlebot", "search", "Google", "", "known_agent", "Googlebot/2.1"}, // cut in a log
		{"Googlebot-Image/1.0", "Googlebot-Image", "search", "Google", "", "known_agent", "Googlebot-Image/1.0"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 6_0 like Mac OS X) AppleWebKit/536.26 (KHTML, like Gecko) Version/6.0 Mobile/10A5376e Safari/8536.25 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot", "search", "Google", "", "known_agent", "Googlebot/2.1"},
		{"Mozilla/5.0 (compatible; Applebot-Extended/0.1)", "Applebot-Extended", "ai", "Apple", "training", "known_agent", "Applebot-Extended/0.1"},
		{"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "Facebook", "preview", "Meta", "", "known_agent", "facebookexternalhit/1.1"},
		{"Feedfetcher-Google; (+http://www.google.com/feedfetcher.html; 3 subscribers; feed-id=1)", "Feedfetcher", "feed", "Google", "", "known_agent", "Feedfetcher-Google"},
		{"UniversalFeedParser/4.2-pre-314-svn +http://feedparser.org/", "feedparser", "feed", "", "", "known_agent", "UniversalFeedParser/4.2-pre-314-svn"},
		{"kube-probe/1.29", "kube-probe", "monitor", "Kubernetes", "", "known_agent", "kube-probe/1.29"},

		{"curl/8.5.0", "curl", "library", "", "", "known_agent", "curl/8.5.0"},
		{"Go-http-client/2.0", "Go net/http", "library", "", "", "known_agent", "Go-http-client/2.0"},
		{"Dalvik/2.1.0 (Linux; U; Android 9; SM-G960F)", "Android", "library", "", "", "known_agent", "Dalvik/2.1.0"},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36", "Headless Chrome", "headless", "", "", "known_agent", "HeadlessChrome/156.0.0.0"},

		{"Mozilla/5.0 (compatible; EasouSpider; +http://www.easou.com/search/spider.html)", "EasouSpider", "other", "", "", "self_declared", "EasouSpider"},
		{"LumiBot 2.0", "LumiBot", "other", "", "", "self_declared", "LumiBot"},
		{"Mozilla/5.0 (compatible; Genieo/1.0 http://www.genieo.com/webfilter.html)", "Genieo", "other", "", "", "listed_agent", "Genieo/1.0"},

		{"Mozilla/5.0", "", "other", "", "", "not_a_browser", "Mozilla/5.0"},
		{"Mozilla/4.0 (compatible;)", "", "other", "", "", "not_a_browser", "Mozilla/4.0"},
		{"Mozilla/5.0 (compatible; Dataprovider.com)", "Dataprovider.com", "other", "", "", "listed_agent", "Dataprovider.com"},
		{"python-requests/2.31 (compatible; BitBot/v1.19.0)", "BitBot", "other", "", "", "listed_agent", "BitBot/v1.19.0"},
		{"Mozilla/5.0 (compatible; Somebody.example)", "", "other", "", "", "not_a_browser", "Mozilla/5.0"},
		{"portscout/0.8.1", "portscout", "other", "", "", "not_a_browser", "portscout/0.8.1"},
		{"() { :; }; /bin/sh", "", "other", "", "", "not_a_browser", ""},
	} {
		got, bot := Bot(c.ua)
		want := BotInfo{c.name, c.category, c.operator, c.purpose, c.reason, c.token}
		if !bot || got != want {
			t.Errorf("%q:\n got %v %+v\nwant true %+v", c.ua, bot, got, want)
		}
	}
}

// people are the user agents of browsers that people use, the odd ones
// especially.
var people = []string{
	chrome,
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"Mozilla/5.0 (Linux; Android 13; CUBOT_NOTE_30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/450.0;FBBV/1;FBDV/iPhone15,3]",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [Pinterest/iOS]",
	"Mozilla/5.0 (Linux; Android 13; SM-A528B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0.5615.101 Mobile Safari/537.36;dailymotion-player-sdk-android 0.2.12",
	"Mozilla/5.0 (Linux; Android 12; M2101K6G) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.127 Mobile Safari/537.36 okhttp/4.9.3",
	"Opera/9.80 (Android; Opera Mini/28.0.2254/66.318; U; en) Presto/2.12.423 Version/12.16",
	"Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1; Trident/4.0; .NET CLR 2.0.50727; MS-RTC LM 8; InfoPath.3)",
	"Mozilla/5.0 (compatible; Konqueror/3.5; OpenBSD) KHTML/3.5.9 (like Gecko)",
	"Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.9.0.4) Gecko/2008102920 Firefox/3.0.4 (Splashtop-v1.1.2.2)",
	"realme ThemeStore Mozilla/5.0 (Linux; Android 11; RMX3231; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.88 Mobile Safari/537.36",
	"SAMSUNG-GT-E2232/1.0 Openwave/6.2.3 Profile/MIDP-2.0 Configuration/CLDC-1.1 UP.Browser/6.2.3.3.c.1.101 (GUI) MMP/2.0",
	"Lynx/2.8.7rel.2 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/1.0.1f",
	"ELinks (0.4.3; NetBSD 3.0.2_PATCH sparc64; 141x19)",
	"UCWEB/2.0 (Linux; U; Adr 4.4.2; zh-CN; R7007) U2/1.0.0 UCBrowser/10.0.0.488 U2/1.0.0 Mobile",
}

func TestPeopleAreNoBots(t *testing.T) {
	for _, ua := range people {
		if got, bot := Bot(ua); bot {
			t.Errorf("%q is taken for %+v", ua, got)
		}
	}
}

// A mistyped entry would never match, or hide another.
func TestTheListOfAgentsIsSound(t *testing.T) {
	categories := []string{
		CategorySearch, CategoryAI, CategorySEO, CategoryPreview, CategoryFeed, CategoryMonitor, CategoryArchive,
		CategoryAds, CategorySecurity, CategoryHeadless, CategoryLibrary, CategoryDownloader, CategoryOther,
	}
	seen := map[string]bool{}
	for _, list := range ours {
		for _, a := range list {
			plain := strings.TrimPrefix(a.token, "^")
			switch {
			case seen[a.token]:
				t.Errorf("%q is there twice", a.token)
			case len(plain) < 3 || plain != strings.ToLower(plain) || !alnum(plain[0]):
				t.Errorf("%q can never match", a.token)
			case !contains(categories, a.category):
				t.Errorf("%q: category %q", a.token, a.category)
			case (a.category == CategoryAI) != (a.purpose != ""):
				t.Errorf("%q: category %q with purpose %q", a.token, a.category, a.purpose)
			case a.name == "" || len(a.name) > shared.MaxShort:
				t.Errorf("%q: name %q", a.token, a.name)
			}
			seen[a.token] = true
			if got, _ := ours.find(plain + "/1.0"); got == nil {
				t.Errorf("%q does not find itself", a.token)
			}
		}
	}
}

func TestBotRemembersWithoutMixingUp(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, g))
			for range 20_000 {
				n := r.IntN(3 * memoSets * memoWays) // more than fit, so that entries are replaced
				ua := fmt.Sprintf("thing%d/1.0", n)
				if n%2 == 0 {
					ua = fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0", n, n)
				}
				got, bot := Bot(ua)
				if bot != (n%2 == 1) || bot && got.Name != fmt.Sprintf("thing%d", n) {
					t.Errorf("%q: %v %+v", ua, bot, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestBotDoesNotAllocateForWhatItKnows(t *testing.T) {
	Bot(chrome)
	if n := testing.AllocsPerRun(1000, func() { Bot(chrome) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
