package enrich

import (
	"strings"
	"testing"
)

// The corpora. Those for tuning were looked at line by line while the lists and
// rules were made; the others were only ever counted.
const (
	corpusCrawlers = "github.com/x-way/crawlerdetect" // MIT; testdata/crawlers.txt, testdata/devices.txt
	corpusVisitors = "github.com/medama-io/go-useragent"
	corpusIsBot    = "zgo.at/isbot"
)

// isBrowser tells the user agents that have a browser's form and name no
// automaton, whatever file they are in.
func isBrowser(ua string) bool {
	if !strings.HasPrefix(ua, "Mozilla/5.0 (") || !strings.Contains(ua, ") AppleWebKit/") && !strings.Contains(ua, ") Gecko/") {
		return false
	}
	lower := strings.ToLower(ua)
	for _, word := range []string{"bot", "crawl", "spider", "headless", "lighthouse", "http:", "https:", "preview", "monitor", "phantomjs", "ptst"} {
		if strings.Contains(lower, word) && !strings.Contains(lower, "cubot") {
			return false
		}
	}
	return true
}

// isModern tells the engines of 2018 and later.
func isModern(ua string) bool {
	for _, token := range []string{"Chrome/", "CriOS/", "Firefox/", "FxiOS/"} {
		if major(after(ua, token)) >= 70 {
			return true
		}
	}
	return strings.Contains(ua, "Safari/") && major(after(ua, "Version/")) >= 12
}

func modern(list []string) []string {
	var found []string
	for _, ua := range browsers(list) {
		if isModern(ua) {
			found = append(found, ua)
		}
	}
	return found
}

// browsers are those of any age.
func browsers(list []string) []string {
	var found []string
	for _, ua := range list {
		ua = strings.Trim(ua, `"'`)
		if isBrowser(ua) {
			found = append(found, ua)
		}
	}
	return found
}

// sample is every tenth of a list.
func sample(list []string) []string {
	var some []string
	for i := 0; i < len(list); i += 10 {
		some = append(some, list[i])
	}
	return some
}

// count returns how many of a list are taken for bots, and some of them or of
// the others.
func count(list []string, show bool) (bots int, some []string) {
	for _, ua := range list {
		_, bot := Bot(ua)
		if bot {
			bots++
		}
		if bot == show && len(some) < 20 {
			some = append(some, ua)
		}
	}
	return bots, some
}

// isBotFile expands the abbreviations that the library's test data has.
func isBotFile(t *testing.T, name string) []string {
	abbreviations := strings.NewReplacer("~Z", "Mozilla/5.0", "~G", "(KHTML, like Gecko)", "~a", "AppleWebKit/", "~c", "Chrome/", "~C", "compatible",
		"~s", "Safari/", "~f", "Firefox/", "~g", "Gecko/", "~W", "Windows", "~A", "Android", "~L", "Linux", "~M", "Mobile", "~m", "Mobile/",
		"~i", "iPhone", "~I", "Macintosh", "~v", "Version/", "~u", "U")
	var list []string
	for _, line := range lines(moduleFile(t, corpusIsBot, "testdata/"+name)) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, abbreviations.Replace(line))
		}
	}
	return list
}

// TestPublicCrawlersAreRecognised holds the goal of 95 % against a corpus that
// no list or rule was made from.
func TestPublicCrawlersAreRecognised(t *testing.T) {
	list := lines(moduleFile(t, corpusCrawlers, "testdata/crawlers.txt"))
	n, _ := count(list, false)
	share := 100 * float64(n) / float64(len(list))
	t.Logf("%d of %d user agents of crawlers are recognised: %.2f %%", n, len(list), share)
	if len(list) < 3000 || share < 95 {
		t.Errorf("%.2f %% of %d, want 95 %% of some thousands", share, len(list))
	}
}

// TestModernBrowsersAreNoBots holds the goal of 0.1 % against the visitors of a
// video player, and against a large collection of older browsers.
func TestModernBrowsersAreNoBots(t *testing.T) {
	for _, c := range []struct {
		name  string
		all   []string
		of    func([]string) []string
		least int
	}{
		{"modern browsers", lines(moduleFile(t, corpusVisitors, "data/5.txt")), modern, 50_000},
		{"browsers of any age", lines(moduleFile(t, corpusCrawlers, "testdata/devices.txt")), browsers, 50_000},
	} {
		if testing.Short() {
			c.all, c.least = sample(c.all), c.least/10
		}
		list := c.of(c.all)
		n, _ := count(list, true)
		share := 100 * float64(n) / float64(len(list))
		t.Logf("%s: %d of %d (in %d user agents) are taken for bots: %.4f %%", c.name, n, len(list), len(c.all), share)
		if len(list) < c.least || share > 0.1 {
			t.Errorf("%s: %.4f %% of %d, want at most 0.1 %% of at least %d", c.name, share, len(list), c.least)
		}
	}
}

// TestTunedCorpora are the corpora that lists and rules were made with: what is
// missed is shown.
func TestTunedCorpora(t *testing.T) {
	var crawlers []string
	for _, c := range libraryCrawlers(t) {
		crawlers = append(crawlers, c.Instances...)
	}
	for _, c := range []struct {
		name        string
		list        []string
		bots        bool
		least, most float64 // percent taken for bots
	}{
		{"crawlers of the library", crawlers, true, 99, 100},
		{"bots of isbot", isBotFile(t, "bots"), true, 98, 100},
		{"no bots of isbot", isBotFile(t, "not_bots"), false, 0, 9}, // apps that fetch, and a phone's own scrap
	} {
		n, some := count(c.list, !c.bots)
		share := 100 * float64(n) / float64(len(c.list))
		t.Logf("%s: %d of %d taken for bots, %.2f %%", c.name, n, len(c.list), share)
		if len(c.list) < 40 || share < c.least || share > c.most {
			t.Errorf("%s: %.2f %%, want %v to %v:\n%s", c.name, share, c.least, c.most, strings.Join(some, "\n"))
		}
		if testing.Verbose() {
			t.Log(strings.Join(some, "\n"))
		}
	}
}
