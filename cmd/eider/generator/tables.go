package generator

import "fmt"

// The distributions that traffic is drawn from, as weights. Shares are rough
// figures of the public web; what matters for benchmarks is the skew, how many
// values there are, and which columns depend on each other.

// shares of what visitors and visits do.
const (
	botShare      = 0.20 // of rows
	hiddenBots    = 0.02 // of visitors: browsers that never fetch an asset, and read on
	withoutAssets = 0.05 // of the other visitors: nothing is seen of their assets
	scripted      = 0.82 // of visitors, where pages load the script: the others block it
	returnsToday  = 0.12 // of visits, where identities last a day
	returnsMonth  = 0.38 // of visits, where they last a month
	bounces       = 0.52 // of visits: one page view
	errorShare    = 0.03 // of page views: a link to nowhere was followed as well
	downloadShare = 0.012
	cachedShare   = 0.03 // of views of scripted visitors: shown again from a cache
	softShare     = 0.06 // of views of scripted visitors: without a request of a page
	customShare   = 0.07 // of views of scripted visitors: with a custom event
	outboundShare = 0.03
	notModified   = 0.06 // of page views: answered 304
	wwwShare      = 0.08 // of visits: by the host's name with www.
)

// pageCount is how many pages a site has.
const pageCount = 5_000

// pageSkew and pageFlat are the exponent and the shift of Zipf's law for pages.
const pageSkew, pageFlat = 1.05, 1.8

// hours is how busy people are in each hour of the local day.
var hours = []float64{14, 8, 5, 4, 4, 7, 15, 30, 48, 60, 66, 68, 64, 62, 63, 62, 60, 60, 64, 70, 72, 62, 44, 26}

// weekdays is the same for days of the week, from Sunday on.
var weekdays = [7]float64{0.82, 1.07, 1.10, 1.09, 1.06, 0.98, 0.76}

// yearGrowth is the traffic of a day divided by that of the same day a year
// before.
const yearGrowth = 1.7

// client is one browser on one system.
type client struct {
	weight float64
	agent  string // user agent; %d stands for the major version
	newest int    // major version; 0 = it says none
	spread int    // how many older ones there still are
}

var clients = []client{
	{24, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 146, 16},
	{6, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 146, 12},
	{1.8, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 146, 14},
	{0.7, "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 145, 6},
	{22, "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Mobile Safari/537.36", 146, 18},
	{1.2, "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 146, 10},
	{16, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_%[1]d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.%[1]d Mobile/15E148 Safari/604.1", 7, 7},
	{3, "Mozilla/5.0 (iPhone; CPU iPhone OS 17_%[1]d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.%[1]d Mobile/15E148 Safari/604.1", 7, 7},
	{1.4, "Mozilla/5.0 (iPad; CPU OS 17_%[1]d like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.%[1]d Mobile/15E148 Safari/604.1", 7, 6},
	{4.6, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.%d Safari/605.1.15", 6, 6},
	{1.5, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/%d.0.0.0 Mobile/15E148 Safari/604.1", 146, 8},
	{6.2, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%[1]d.0.0.0 Safari/537.36 Edg/%[1]d.0.0.0", 146, 10},
	{4.1, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:%[1]d.0) Gecko/20100101 Firefox/%[1]d.0", 148, 14},
	{0.9, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:%[1]d.0) Gecko/20100101 Firefox/%[1]d.0", 148, 10},
	{1.1, "Mozilla/5.0 (X11; Linux x86_64; rv:%[1]d.0) Gecko/20100101 Firefox/%[1]d.0", 148, 12},
	{0.6, "Mozilla/5.0 (Android 15; Mobile; rv:%[1]d.0) Gecko/%[1]d.0 Firefox/%[1]d.0", 148, 8},
	{2.4, "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/%d.0 Chrome/136.0.0.0 Mobile Safari/537.36", 29, 5},
	{1.3, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/144.0.0.0 Safari/537.36 OPR/%d.0.0.0", 128, 6},
	{0.3, "Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 140, 8},
}

// older is the share of a version's readers that the next older one has.
const older = 0.62

// screens of each type of device, with their weights.
var screens = map[string][]weightedText{
	"desktop": {{30, "1920x1080"}, {14, "1536x864"}, {10, "2560x1440"}, {8, "1366x768"}, {8, "1440x900"}, {6, "1728x1117"}, {5, "1280x720"}, {4, "1600x900"}, {4, "3840x2160"}, {3, "1512x982"}, {3, "1680x1050"}, {2, "3440x1440"}, {2, "1920x1200"}, {1, "2560x1600"}},
	"mobile":  {{18, "393x852"}, {16, "390x844"}, {14, "360x800"}, {10, "412x915"}, {9, "430x932"}, {8, "414x896"}, {7, "384x832"}, {6, "375x667"}, {5, "402x874"}, {4, "360x780"}, {3, "375x812"}, {2, "412x892"}, {1, "320x568"}},
	"tablet":  {{30, "820x1180"}, {26, "768x1024"}, {18, "810x1080"}, {14, "800x1280"}, {8, "1024x1366"}, {4, "834x1194"}},
}

type weightedText struct {
	weight float64
	text   string
}

// country is where readers are, and what their browsers speak.
type country struct {
	weight    float64
	code      string
	cities    []city
	languages []weightedText
}

type city struct {
	weight       float64
	region, name string // "" = the database knows the country only
}

var countries = []country{
	{31, "DE", []city{{10, "BE", "Berlin"}, {7, "HH", "Hamburg"}, {8, "BY", "Munich"}, {5, "NW", "Cologne"}, {5, "HE", "Frankfurt am Main"}, {4, "BW", "Stuttgart"}, {3, "SN", "Leipzig"}, {3, "NW", "Düsseldorf"}, {2, "NI", "Hanover"}, {12, "", ""}}, []weightedText{{80, "de-DE"}, {9, "de"}, {8, "en-US"}, {3, "en-GB"}}},
	{17, "US", []city{{8, "CA", "Los Angeles"}, {6, "NY", "New York"}, {4, "TX", "Dallas"}, {4, "IL", "Chicago"}, {4, "VA", "Ashburn"}, {3, "WA", "Seattle"}, {3, "GA", "Atlanta"}, {2, "CO", "Denver"}, {2, "MA", "Boston"}, {6, "", ""}}, []weightedText{{90, "en-US"}, {5, "es-US"}, {3, "en"}, {2, "zh-CN"}}},
	{7, "GB", []city{{10, "ENG", "London"}, {3, "ENG", "Manchester"}, {2, "SCT", "Edinburgh"}, {2, "ENG", "Birmingham"}, {3, "", ""}}, []weightedText{{80, "en-GB"}, {18, "en-US"}, {2, "pl-PL"}}},
	{6, "FR", []city{{9, "IDF", "Paris"}, {3, "ARA", "Lyon"}, {2, "PAC", "Marseille"}, {2, "OCC", "Toulouse"}, {3, "", ""}}, []weightedText{{85, "fr-FR"}, {8, "fr"}, {7, "en-US"}}},
	{5.5, "AT", []city{{10, "9", "Vienna"}, {3, "6", "Graz"}, {2, "4", "Linz"}, {2, "5", "Salzburg"}}, []weightedText{{70, "de-AT"}, {22, "de-DE"}, {8, "en-US"}}},
	{5, "CH", []city{{9, "ZH", "Zurich"}, {3, "GE", "Geneva"}, {3, "BS", "Basel"}, {2, "BE", "Bern"}}, []weightedText{{55, "de-CH"}, {20, "de-DE"}, {15, "fr-CH"}, {10, "en-US"}}},
	{4, "IN", []city{{5, "KA", "Bengaluru"}, {5, "MH", "Mumbai"}, {4, "DL", "Delhi"}, {3, "TN", "Chennai"}, {2, "TG", "Hyderabad"}, {3, "", ""}}, []weightedText{{70, "en-IN"}, {15, "en-US"}, {10, "en-GB"}, {5, "hi-IN"}}},
	{3.5, "NL", []city{{8, "NH", "Amsterdam"}, {3, "ZH", "Rotterdam"}, {2, "UT", "Utrecht"}}, []weightedText{{75, "nl-NL"}, {20, "en-US"}, {5, "en-GB"}}},
	{2.6, "PL", []city{{7, "14", "Warsaw"}, {3, "12", "Krakow"}, {2, "02", "Wroclaw"}}, []weightedText{{90, "pl-PL"}, {10, "en-US"}}},
	{2.3, "IT", []city{{6, "25", "Milan"}, {5, "62", "Rome"}, {2, "21", "Turin"}, {2, "", ""}}, []weightedText{{92, "it-IT"}, {8, "en-US"}}},
	{2.2, "ES", []city{{7, "MD", "Madrid"}, {6, "CT", "Barcelona"}, {2, "VC", "Valencia"}}, []weightedText{{88, "es-ES"}, {5, "ca-ES"}, {7, "en-US"}}},
	{1.9, "CA", []city{{6, "ON", "Toronto"}, {4, "QC", "Montreal"}, {3, "BC", "Vancouver"}}, []weightedText{{70, "en-CA"}, {18, "fr-CA"}, {12, "en-US"}}},
	{1.7, "BR", []city{{7, "SP", "São Paulo"}, {4, "RJ", "Rio de Janeiro"}, {3, "", ""}}, []weightedText{{95, "pt-BR"}, {5, "en-US"}}},
	{1.6, "SE", []city{{7, "AB", "Stockholm"}, {3, "O", "Gothenburg"}}, []weightedText{{80, "sv-SE"}, {20, "en-US"}}},
	{1.4, "CZ", []city{{7, "10", "Prague"}, {3, "64", "Brno"}}, []weightedText{{90, "cs-CZ"}, {10, "en-US"}}},
	{1.2, "BE", []city{{5, "BRU", "Brussels"}, {4, "VAN", "Antwerp"}}, []weightedText{{50, "nl-BE"}, {38, "fr-BE"}, {12, "en-US"}}},
	{1.1, "AU", []city{{5, "NSW", "Sydney"}, {5, "VIC", "Melbourne"}, {2, "QLD", "Brisbane"}}, []weightedText{{90, "en-AU"}, {10, "en-US"}}},
	{1.1, "DK", []city{{8, "84", "Copenhagen"}, {2, "82", "Aarhus"}}, []weightedText{{85, "da-DK"}, {15, "en-US"}}},
	{1.0, "JP", []city{{7, "13", "Tokyo"}, {3, "27", "Osaka"}}, []weightedText{{94, "ja-JP"}, {6, "en-US"}}},
	{0.9, "SG", []city{{1, "", "Singapore"}}, []weightedText{{70, "en-SG"}, {20, "en-US"}, {10, "zh-CN"}}},
	{0.8, "UA", []city{{6, "30", "Kyiv"}, {2, "46", "Lviv"}}, []weightedText{{75, "uk-UA"}, {15, "ru-UA"}, {10, "en-US"}}},
	{0.8, "TR", []city{{7, "34", "Istanbul"}, {3, "06", "Ankara"}}, []weightedText{{94, "tr-TR"}, {6, "en-US"}}},
	{0.7, "FI", []city{{1, "18", "Helsinki"}}, []weightedText{{75, "fi-FI"}, {25, "en-US"}}},
	{0.7, "NO", []city{{1, "03", "Oslo"}}, []weightedText{{80, "nb-NO"}, {20, "en-US"}}},
	{0.6, "KR", []city{{1, "11", "Seoul"}}, []weightedText{{95, "ko-KR"}, {5, "en-US"}}},
	{0.5, "CN", []city{{3, "BJ", "Beijing"}, {3, "SH", "Shanghai"}}, []weightedText{{97, "zh-CN"}, {3, "en-US"}}},
	{0.5, "MX", []city{{1, "CMX", "Mexico City"}}, []weightedText{{95, "es-MX"}, {5, "en-US"}}},
	{0.4, "ZA", []city{{1, "GP", "Johannesburg"}}, []weightedText{{90, "en-ZA"}, {10, "en-US"}}},
	{0.3, "NZ", []city{{1, "AUK", "Auckland"}}, []weightedText{{90, "en-NZ"}, {10, "en-US"}}},
	{0.3, "IE", []city{{1, "L", "Dublin"}}, []weightedText{{70, "en-IE"}, {30, "en-GB"}}},
	{1.2, "", []city{{1, "", ""}}, []weightedText{{50, "en-US"}, {30, "de-DE"}, {20, ""}}}, // not in the database
}

// origin is where visits come from: a referrer, and the query of the page that
// they enter by.
type origin struct {
	weight          float64
	referrer, query string
	click           string // a click id of this name is drawn for each visit; "" = none
}

var origins = []origin{
	{40, "", "", ""},
	{24, "https://www.google.com/", "", ""},
	{4, "https://www.google.de/", "", ""},
	{3.2, "https://www.bing.com/", "", ""},
	{2.4, "https://duckduckgo.com/", "", ""},
	{0.7, "https://www.ecosia.org/", "", ""},
	{0.6, "https://search.yahoo.com/", "", ""},
	{0.4, "https://yandex.ru/", "", ""},
	{0.3, "https://www.qwant.com/", "", ""},
	{0.3, "https://search.brave.com/", "", ""},
	{1.9, "https://chatgpt.com/", "", ""},
	{0.5, "https://chatgpt.com/", "utm_source=chatgpt.com", ""},
	{0.6, "https://www.perplexity.ai/", "", ""},
	{0.4, "https://claude.ai/", "", ""},
	{0.3, "https://gemini.google.com/", "", ""},
	{0.3, "https://copilot.microsoft.com/", "", ""},
	{1.1, "https://l.facebook.com/", "", ""},
	{0.7, "https://www.facebook.com/", "", ""},
	{0.7, "https://l.instagram.com/", "", ""},
	{0.8, "https://t.co/", "", ""},
	{0.8, "https://www.linkedin.com/", "", ""},
	{1.4, "https://www.reddit.com/", "", ""},
	{0.9, "https://news.ycombinator.com/", "", ""},
	{0.3, "https://mastodon.social/", "", ""},
	{0.3, "https://bsky.app/", "", ""},
	{0.6, "https://www.youtube.com/", "", ""},
	{0.9, "https://github.com/", "", ""},
	{0.3, "https://stackoverflow.com/", "", ""},
	{0.3, "https://en.wikipedia.org/", "", ""},
	{0.4, "https://mail.google.com/", "", ""},
}

// campaigns are a tenth of visits; each has a few variants of its content.
var campaigns = []origin{
	{3.0, "", "utm_source=newsletter&utm_medium=email&utm_campaign=weekly-%02d", ""},
	{2.0, "https://www.google.com/", "utm_source=google&utm_medium=cpc&utm_campaign=brand-%02d&utm_term=analytics", "gclid"},
	{1.2, "https://l.facebook.com/", "utm_source=facebook&utm_medium=paid-social&utm_campaign=spring-%02d&utm_content=carousel", "fbclid"},
	{0.8, "https://www.bing.com/", "utm_source=bing&utm_medium=cpc&utm_campaign=search-%02d", "msclkid"},
	{0.9, "https://www.linkedin.com/", "utm_source=linkedin&utm_medium=social&utm_campaign=launch-%02d&utm_content=post", ""},
	{0.7, "", "utm_source=partner&utm_medium=affiliate&utm_campaign=partner-%02d", ""},
	{0.5, "https://t.co/", "utm_source=twitter&utm_medium=social&utm_campaign=thread-%02d", ""},
	{0.5, "", "utm_source=podcast&utm_medium=audio&utm_campaign=episode-%02d", ""},
	{0.3, "", "ref=producthunt-%02d", ""},
}

const (
	campaignVariants = 8
	campaignSkew     = 1.1
	blogs            = 700 // other sites that link here
	blogWeight       = 9.0
	blogSkew         = 1.15
)

// robot is an automaton: its user agent, and what it asks for.
type robot struct {
	weight float64
	agent  string
	asks   string // crawl, feed, probe, ping or fast
	fleet  int    // addresses that it comes from
}

var robots = []robot{
	{14, "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawl", 40},
	{3, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "crawl", 20},
	{9, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36", "crawl", 30},
	{4, "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "crawl", 12},
	{2, "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "crawl", 12},
	{2.5, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)", "crawl", 8},
	{9, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "crawl", 24},
	{3, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; OAI-SearchBot/1.0; +https://openai.com/searchbot)", "crawl", 10},
	{4, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ChatGPT-User/1.0; +https://openai.com/bot)", "crawl", 60},
	{7, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)", "crawl", 16},
	{1.2, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Claude-User/1.0; +Claude-User@anthropic.com)", "crawl", 20},
	{3, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)", "crawl", 6},
	{3, "Mozilla/5.0 (compatible; Bytespider; spider-feedback@bytedance.com) AppleWebKit/537.36", "crawl", 30},
	{3, "Mozilla/5.0 (compatible; Amazonbot/0.1; +https://developer.amazon.com/support/amazonbot)", "crawl", 12},
	{2, "CCBot/2.0 (https://commoncrawl.org/faq/)", "crawl", 3},
	{4, "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)", "crawl", 16},
	{7, "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "crawl", 20},
	{6, "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)", "crawl", 16},
	{3, "Mozilla/5.0 (compatible; MJ12bot/v1.4.8; http://mj12bot.com/)", "crawl", 12},
	{2, "Mozilla/5.0 (compatible; DotBot/1.2; +https://opensiteexplorer.org/dotbot; help@moz.com)", "crawl", 4},
	{1.6, "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "crawl", 20},
	{0.8, "Twitterbot/1.0", "crawl", 8},
	{0.5, "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "crawl", 4},
	{0.7, "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", "crawl", 4},
	{4, "Feedly/1.0 (+http://www.feedly.com/fetcher.html; 214 subscribers; like FeedFetcher-Google)", "feed", 2},
	{2.5, "Feedbin feed-id:1373711 - 88 subscribers", "feed", 1},
	{2, "NewsBlur Feed Fetcher - 31 subscribers - https://www.newsblur.com", "feed", 1},
	{2, "Tiny Tiny RSS/24.11 (https://tt-rss.org/)", "feed", 60},
	{3, "FreshRSS/1.26.3 (Linux; https://freshrss.org)", "feed", 90},
	{6, "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", "ping", 6},
	{2, "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", "ping", 8},
	{4, "python-requests/2.32.3", "crawl", 40},
	{3, "curl/8.9.1", "crawl", 30},
	{3, "Go-http-client/2.0", "crawl", 30},
	{1, "Scrapy/2.11 (+https://scrapy.org)", "crawl", 12},
	{1.5, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/133.0.0.0 Safari/537.36", "crawl", 30},
	{1.2, "", "probe", 60},
	{8, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36", "probe", 200},
	{4, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36", "fast", 30},
}

// probes are what scanners ask for.
var probes = []string{
	"/.env", "/wp-login.php", "/.git/config", "/xmlrpc.php", "/wp-admin/setup-config.php", "/phpmyadmin/index.php",
	"/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/.aws/credentials", "/config.json", "/server-status", "/actuator/health", "/backup.zip",
}

var (
	protocols     = []weightedText{{70, "HTTP/2.0"}, {22, "HTTP/3.0"}, {8, "HTTP/1.1"}}
	cacheStatuses = []weightedText{{54, "hit"}, {24, "miss"}, {16, ""}, {4, "stale"}, {2, "bypass"}}
	outboundHosts = []string{"github.com", "docs.example", "partner.example", "en.wikipedia.org", "www.youtube.com", "shop.example"}
)

// custom is an event of a site's own; expansion gives it properties.
var customs = []weightedText{
	{30, "Search"}, {22, "Add to Cart"}, {16, "Newsletter Signup"}, {12, "Video Play"}, {9, "Share"}, {6, "Signup"}, {5, "Purchase"},
}

// versions spreads a client over its versions: the newest has the most readers.
func (c *client) versions() (agents []string, weights []float64) {
	w := 1.0
	for v := c.newest; v > c.newest-c.spread && v > 0; v-- {
		agents, weights = append(agents, fmt.Sprintf(c.agent, v)), append(weights, w)
		w *= older
	}
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	for i := range weights {
		weights[i] *= c.weight / sum
	}
	return agents, weights
}
