package enrich

import (
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// BotInfo says which automaton a user agent names, and why it is taken for
// one. Empty text is unknown.
type BotInfo struct {
	Name      string // "Googlebot"
	Category  string // one of the categories below
	Operator  string // "Google"
	AIPurpose string // of [CategoryAI]: training, search, user_fetch, agent
	Reason    string // one of the reasons below
	Token     string // the product token that gave it away: "Googlebot/2.1"
}

// The reasons of verdicts. They are stored with each event, so that a better
// rule can re-label history: the list is closed, and docs/bots.md has it.
const (
	ReasonNoUserAgent  = "no_user_agent"  // missing, blank, or the placeholder of a log
	ReasonKnownAgent   = "known_agent"    // on our list
	ReasonListedAgent  = "listed_agent"   // on the list of a library
	ReasonSelfDeclared = "self_declared"  // calls itself bot, crawler, …, or gives a contact address
	ReasonNotABrowser  = "not_a_browser"  // nothing that a browser would send
	ReasonSpoofed      = "spoofed"        // names a crawler, from an address that the crawler does not use
	ReasonHeadless     = "headless"       // a browser without a window, by its Client Hints
	ReasonProbe        = "probe"          // looks for holes: /.env, /wp-login.php
	ReasonTooFast      = "too_fast"       // page after page, faster than anybody reads
	ReasonErrors       = "errors"         // mostly asks for what is not there
	ReasonUnlisted     = "unlisted_agent" // recorded as a bot by somebody with more knowledge
	ReasonBrowser      = "browser"        // of a likely person: nothing against it
	ReasonAssets       = "assets"         // of a person: fetched the parts of pages
)

// The categories of automata.
const (
	CategorySearch     = "search"
	CategoryAI         = "ai"
	CategorySEO        = "seo"
	CategoryPreview    = "preview" // link previews of networks and messengers
	CategoryFeed       = "feed"
	CategoryMonitor    = "monitor"
	CategoryArchive    = "archive"
	CategoryAds        = "advertising"
	CategorySecurity   = "security"
	CategoryHeadless   = "headless"
	CategoryLibrary    = "library"
	CategoryDownloader = "downloader"
	CategoryOther      = "other"
)

// The purposes of AI crawlers.
const (
	AITraining  = "training"   // collects for training models
	AISearch    = "search"     // indexes for answers
	AIUserFetch = "user_fetch" // fetches because a person just asked
	AIAgent     = "agent"      // acts for a person in a browser of its own
)

// maxUserAgent is how much of a user agent is looked at and remembered. The
// longest real ones, of in-app browsers, have some 600 bytes; it stops clients
// that would fill the memory with long ones.
const maxUserAgent = 1024

// botVerdict is all that is remembered of a user agent.
type botVerdict struct {
	bot   bool
	info  BotInfo
	feed  []shared.Prop // subscribers, of a feed reader that says how many
	agent engine        // of one that is no bot by its name
}

// bots is shared by every handler of a process: the function that it remembers
// is pure, so nothing of one configuration can leak into another.
var bots = newMemo[botVerdict]()

// Bot tells whether a user agent is an automaton's, and which. A user agent
// seen lately costs a hash and a comparison, and no allocation; safe for
// concurrent use.
func Bot(userAgent string) (BotInfo, bool) {
	v := bots.get(cutUserAgent(userAgent), judge)
	if !v.bot {
		return BotInfo{}, false // without reading the rest of the entry
	}
	return v.info, true
}

// judge applies the rules in the order of the package comment.
func judge(ua string) botVerdict {
	trimmed := strings.TrimSpace(ua)
	if trimmed == "" || trimmed == "-" {
		return botVerdict{bot: true, info: BotInfo{Reason: ReasonNoUserAgent, Category: CategoryOther}}
	}
	lower := strings.ToLower(trimmed)
	if len(lower) != len(trimmed) { // letters that change length: positions must agree
		trimmed = lower
	}
	info, bot := named(trimmed, lower)
	if !bot {
		return botVerdict{agent: readEngine(trimmed)}
	}
	return botVerdict{bot: true, info: info, feed: subscribers(lower)}
}

// named judges a user agent by what it calls itself.
func named(ua, lower string) (BotInfo, bool) {
	if info, ok := byList(ua, lower); ok {
		return info, true
	}
	if at := selfDeclared(lower); at >= 0 {
		return unlisted(ua, at, ReasonSelfDeclared), true
	}
	if !browserLike(lower) {
		return unlisted(ua, 0, ReasonNotABrowser), true
	}
	return BotInfo{}, false
}

// byList looks a user agent up in the lists.
func byList(ua, lower string) (BotInfo, bool) {
	known, at := ours.find(lower)
	if known == nil || known.isTool() {
		// A tool of ours is the frame in which a crawler's name stands.
		if a, i := listed.find(lower); a != nil {
			return BotInfo{Name: a.name, Category: a.category, Reason: ReasonListedAgent, Token: productAt(ua, i)}, true
		}
	}
	if known == nil {
		return BotInfo{}, false
	}
	return BotInfo{
		Name: known.name, Category: known.category, Operator: known.operator, AIPurpose: known.purpose,
		Reason: ReasonKnownAgent, Token: productAt(ua, at),
	}, true
}

// unlisted is the verdict on an agent without an entry of its own: its product
// token is all the name it has.
func unlisted(ua string, at int, reason string) BotInfo {
	token := productAt(ua, at)
	name, _, _ := strings.Cut(token, "/")
	switch strings.ToLower(name) {
	case "mozilla", "opera", "compatible", "http:", "https:":
		name = "" // the disguise, or no name at all
	}
	return BotInfo{Name: name, Category: CategoryOther, Reason: reason, Token: token}
}

// agent is one entry of the list of known automata. Its token is in lower case
// and matches where a word begins; a leading ^ only at the very start, for
// names that apps and in-app browsers carry further behind.
type agent struct {
	token, name, category, operator, purpose string
}

// agentIndex finds the agents whose token begins with the same three bytes.
type agentIndex map[[3]byte][]agent

// ours is the list that is kept here, listed that of a library.
var (
	ours   = indexAgents(aiAgents, searchAgents, otherAgents, toolAgents)
	listed = indexAgents(listedAgents)
)

func indexAgents(lists ...[]agent) agentIndex {
	index := agentIndex{}
	for _, list := range lists {
		for _, a := range list {
			k := [3]byte([]byte(strings.TrimPrefix(a.token, "^")))
			index[k] = append(index[k], a)
		}
	}
	return index
}

// find returns the known agent that begins earliest in ua, the longest of those
// that begin there, and where. ua is in lower case.
//
// A generic tool can stand before a specific name ("python-requests
// (compatible; GPTBot/1.0)"): tools are taken only where nothing else is found.
func (index agentIndex) find(ua string) (best *agent, at int) {
	for i := 0; i+3 <= len(ua); i++ {
		if i > 0 && alnum(ua[i-1]) || !alnum(ua[i]) {
			continue
		}
		candidates := index[[3]byte([]byte(ua[i:i+3]))]
		for c := range candidates {
			a := &candidates[c]
			token := a.token
			if token[0] == '^' {
				if token = token[1:]; i > 0 {
					continue
				}
			}
			if strings.HasPrefix(ua[i:], token) && better(a, i, best, at) {
				best, at = a, i
			}
		}
	}
	return best, at
}

func better(a *agent, i int, best *agent, at int) bool {
	switch {
	case best == nil:
		return true
	case a.isTool() != best.isTool():
		return best.isTool()
	case i == at:
		return len(a.token) > len(best.token)
	}
	return false
}

func (a *agent) isTool() bool { return a.category == CategoryLibrary || a.category == CategoryHeadless }

// Words by which automata name themselves. A word is a run of letters.
var (
	// declaredEnds give away whatever ends in them.
	declaredEnds = []string{
		"bot", "bots", "crawler", "crawlers", "spider", "scraper", "fetcher", "checker", "validator", "scanner", "indexer", "slurp", "archiver",
	}
	// declaredWords give away when they stand alone.
	declaredWords = []string{"crawl", "crawling", "headless", "monitoring", "uptime", "httpclient"}
	// declaredOutside only where nothing else looks like a browser: apps carry
	// them in the user agents of their web views.
	declaredOutside = []string{"monitor", "preview", "scan", "probe", "feed", "rss", "http", "client", "api", "sdk", "agent"}
	// notDeclared is a maker of phones.
	notDeclared = "cubot"
	// ownAddress is a browser, of an app for students, that names its address as
	// crawlers do.
	ownAddress = "studobrowser/"
)

// selfDeclared returns where the word stands that gives an automaton away, or
// -1. ua is in lower case.
func selfDeclared(ua string) int {
	browser := strings.HasPrefix(ua, "mozilla/") || strings.HasPrefix(ua, "opera/")
	for i := 0; i < len(ua); {
		if !letter(ua[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(ua) && letter(ua[end]) {
			end++
		}
		if declares(ua[i:end], browser) {
			return i
		}
		i = end
	}
	if strings.Contains(ua, ownAddress) {
		return -1
	}
	// "+http://…" is how crawlers say where to complain; browsers say nothing.
	for _, mark := range []string{"+http", "(http", "; http", " http:", " https:", "mailto:"} {
		if strings.Contains(ua, mark) {
			return len(ua) - len(strings.TrimPrefix(ua, "mozilla/5.0 (compatible; "))
		}
	}
	return -1
}

func declares(word string, browser bool) bool {
	if word == notDeclared {
		return false
	}
	for _, end := range declaredEnds {
		if strings.HasSuffix(word, end) {
			return true
		}
	}
	return contains(declaredWords, word) || !browser && contains(declaredOutside, word) ||
		strings.HasPrefix(word, "crawler") || strings.HasPrefix(word, "spider")
}

// browserLike reports whether a user agent has the form that browsers have:
// Mozilla or Opera with a comment about the system, a phone of the time before
// that, or a browser of the few with a form of their own.
func browserLike(ua string) bool {
	for _, own := range ownForm {
		if strings.HasPrefix(ua, own) {
			return true
		}
	}
	for _, mark := range []string{"profile/midp", "configuration/cldc", "up.browser", "opera mini", "wap browser", "obigo", "netfront"} {
		if strings.Contains(ua, mark) {
			return true
		}
	}
	at := strings.Index(ua, "mozilla/")
	if at < 0 {
		return false
	}
	_, comment, ok := strings.Cut(ua[at:], "(")
	if !ok {
		return false // "Mozilla/5.0" and nothing else
	}
	comment, _, _ = strings.Cut(comment, ")")
	comment = strings.Trim(comment, "; ")
	if rest, ok := strings.CutPrefix(comment, "compatible"); ok {
		// Only these browsers ever called themselves compatible.
		return strings.HasPrefix(rest, "; msie") || strings.HasPrefix(rest, "; konqueror") || strings.Contains(ua, "trident/")
	}
	return comment != ""
}

// ownForm are the beginnings of browsers that do not call themselves Mozilla.
var ownForm = []string{
	"ucweb/", "lynx/", "links (", "elinks/", "elinks (", "w3m/", "dillo/", "netsurf/", "midori/", "surf/", "emacs-w3m/",
	"blackberry", "nokia", "sonyericsson", "docomo/", "samsung-", "lg-", "mot-", "opera", "wp8/", "doris/",
}

// productAt returns the product token that contains position at: what stands
// between blanks, brackets, commas and semicolons.
func productAt(ua string, at int) string {
	start := at
	for start > 0 && !productEnd(ua[start-1]) {
		start--
	}
	end := at
	for end < len(ua) && !productEnd(ua[end]) {
		end++
	}
	return shared.Cut(ua[start:end], shared.MaxShort)
}

func productEnd(c byte) bool {
	switch c {
	case ' ', '(', ')', ';', ',', '[', ']', '{', '}', '<', '>', '"', '\'', '|', '+':
		return true
	}
	return false
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' }
func alnum(c byte) bool  { return letter(c) || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' }

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
