package main

import (
	"math/rand/v2"
	"net/http"
)

// client is a kind of browser or bot.
type client struct {
	weight    int
	userAgent string
	hints     string // Sec-CH-UA; empty for browsers that send none
	platform  string
	mobile    bool
	bot       bool
}

const (
	chromeHints = `"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"`
	edgeHints   = `"Chromium";v="142", "Microsoft Edge";v="142", "Not_A Brand";v="99"`
)

var clients = []client{
	{20, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", chromeHints, "Windows", false, false},
	{12, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", chromeHints, "macOS", false, false},
	{18, "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", chromeHints, "Android", true, false},
	{20, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1", "", "", true, false},
	{8, "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15", "", "", false, false},
	{4, "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1", "", "", true, false},
	{6, "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "", "", false, false},
	{6, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "", "", false, false},
	{7, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", edgeHints, "Windows", false, false},
	{3, "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36", "", "Android", true, false},
	{4, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "", "", false, true},
	{3, "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.3; +https://openai.com/gptbot)", "", "", false, true},
	{2, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "", "", false, true},
	{1, "curl/8.16.0", "", "", false, true},
}

// newsletter is the landing page of a link in a mail, which has no referrer.
const newsletter = "/?utm_source=newsletter&utm_medium=email&utm_campaign=spring"

// choice is one of several values, taken as often as its weight says.
type choice struct {
	weight int
	value  string
}

var (
	landings = []choice{
		{38, "/"},
		{18, "/rooms"},
		{14, "/journal/first-eiders"},
		{9, "/walks"},
		{8, "/journal/winter-light"},
		{5, "/contact"},
		{6, newsletter},
		{2, "/journal/autumn-storm"}, // an old link: the page is gone
	}
	referrers = []choice{
		{34, ""},
		{26, "https://www.google.com/"},
		{6, "https://duckduckgo.com/"},
		{4, "https://www.bing.com/"},
		{7, "https://en.wikipedia.org/wiki/Common_eider"},
		{6, "https://www.reddit.com/r/birding/"},
		{5, "https://chatgpt.com/"},
		{5, "https://mastodon.social/"},
		{4, "https://news.ycombinator.com/"},
		{3, "https://islands.example/where-to-stay"},
	}

	// next are the links of each page.
	next = map[string][]choice{
		"/":                     {{5, "/rooms"}, {4, "/journal/"}, {3, "/walks"}},
		"/rooms":                {{5, "/contact"}, {2, "/"}, {2, "/walks"}},
		"/walks":                {{3, "/journal/first-eiders"}, {3, "/rooms"}},
		"/journal/":             {{5, "/journal/first-eiders"}, {3, "/journal/winter-light"}},
		"/journal/first-eiders": {{4, "/rooms"}, {3, "/journal/"}},
		"/journal/winter-light": {{3, "/walks"}, {2, "/journal/"}},
		"/contact":              {{3, "/rooms"}, {1, "/"}},
		"/journal/autumn-storm": {{1, "/"}},
	}
)

func pick(rng *rand.Rand, of []choice) string {
	return of[weighted(rng, len(of), func(i int) int { return of[i].weight })].value
}

// weighted draws an index below n, as often as its weight says.
func weighted(rng *rand.Rand, n int, weight func(int) int) int {
	total := 0
	for i := range n {
		total += weight(i)
	}
	at := rng.IntN(total)
	for i := range n {
		if at -= weight(i); at < 0 {
			return i
		}
	}
	return n - 1 // not reached: the weights sum to total
}

// visitor is one made-up person or bot at one made-up address.
type visitor struct {
	client   client
	address  string
	language string
	referrer string
	landing  string
}

func newVisitor(rng *rand.Rand) visitor {
	kind := clients[weighted(rng, len(clients), func(i int) int { return clients[i].weight })]
	address, from := newAddress(rng)
	v := visitor{client: kind, address: address, language: from.language, landing: pick(rng, landings)}
	if !kind.bot && v.landing != newsletter {
		v.referrer = pick(rng, referrers)
	}
	return v
}

// headers are what the visitor's browser sends with a request for dest
// (document, style, image) that the page at referrer led to.
func (v visitor) headers(dest, referrer, fetchSite string) http.Header {
	h := http.Header{"User-Agent": {v.client.userAgent}, "X-Forwarded-For": {v.address}}
	if referrer != "" {
		h.Set("Referer", referrer)
	}
	if v.client.bot {
		h.Set("Accept", "*/*")
		return h
	}
	h.Set("Accept-Language", v.language)
	h.Set("Sec-Fetch-Dest", dest)
	h.Set("Sec-Fetch-Site", fetchSite)
	switch dest {
	case "document":
		h.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
		h.Set("Sec-Fetch-Mode", "navigate")
		h.Set("Sec-Fetch-User", "?1")
		h.Set("Upgrade-Insecure-Requests", "1")
	default:
		h.Set("Accept", "*/*")
		h.Set("Sec-Fetch-Mode", "no-cors")
	}
	if v.client.hints != "" {
		h.Set("Sec-CH-UA", v.client.hints)
		h.Set("Sec-CH-UA-Platform", `"`+v.client.platform+`"`)
		h.Set("Sec-CH-UA-Mobile", map[bool]string{true: "?1", false: "?0"}[v.client.mobile])
	}
	return h
}
