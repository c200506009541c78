package enrich

import (
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// Signs is what one request shows of its sender, without its address.
type Signs struct {
	UserAgent string
	At        int64 // µs since 1970

	// What follows says nothing unless HeadersKnown.
	HeadersKnown bool
	Secure       bool   // over TLS
	SecFetch     bool   // with any of the Sec-Fetch headers
	Language     bool   // with Accept-Language
	Hints        string // Sec-CH-UA
}

// SignsOf returns the signs of an observation.
func SignsOf(o *shared.Observation) Signs {
	return Signs{
		UserAgent: o.UserAgent, At: o.Time, HeadersKnown: o.HeadersKnown, Secure: o.Secure,
		SecFetch: o.SecFetch || o.SecFetchSite != "", Language: o.AcceptLanguage != "", Hints: o.CHUA,
	}
}

// The soft signs: what a person's browser hardly ever does, but some do. One
// alone is noted and changes nothing; two of them, which have nothing to do with
// each other, make a bot.
const (
	SignNoLanguage  = "no_language"  // no Accept-Language
	SignNoHints     = "no_hints"     // a browser that sends Sec-CH-UA or Sec-Fetch over TLS, without them
	SignHintsDiffer = "hints_differ" // Client Hints of another browser than the user agent's
	SignOldVersion  = "old_version"  // of a browser that was five years old at the time
)

// softSigns in the order in which a reason names them. The bit of each is its
// place.
var softSigns = [...]string{SignNoLanguage, SignNoHints, SignHintsDiffer, SignOldVersion}

const (
	signLanguage = 1 << iota
	signHints
	signDiffer
	signOld
)

// softReasons are the reasons that sets of soft signs make: "browser" for none,
// else their names joined by "+".
var softReasons = func() (reasons [1 << len(softSigns)]string) {
	reasons[0] = ReasonBrowser
	for set := 1; set < len(reasons); set++ {
		var names []string
		for bit, name := range softSigns {
			if set>>bit&1 == 1 {
				names = append(names, name)
			}
		}
		reasons[set] = strings.Join(names, "+")
	}
	return reasons
}()

// softEnough is how many soft signs make a bot.
const softEnough = 2

// Judge says who sent a request: a bot, or a likely person, and why. It is what
// the proxy fixes a request's result by, and what [Enricher.Enrich] stores.
func Judge(s *Signs) (reason string, bot bool) {
	v := bots.get(cutUserAgent(s.UserAgent), judge)
	if v.bot {
		return v.info.Reason, true
	}
	return v.agent.judge(s)
}

// engine is what the signs of a browser are held against.
type engine struct {
	chromium int  // major version of the Chromium that it calls itself; 0 = none
	firefox  int  // major version of Firefox
	explorer bool // Internet Explorer
	hinting  bool // known to send Sec-CH-UA over TLS
	screen   bool // a person's computer or phone: its versions move on
	readable bool // the user agent names an engine
}

// readEngine reads a browser's user agent.
func readEngine(ua string) engine {
	c := parseClient(ua)
	e := engine{screen: c.device == "desktop" || c.device == "mobile" || c.device == "tablet"}
	switch {
	case strings.Contains(ua, "MSIE ") || strings.Contains(ua, "Trident/"):
		e.explorer = true
	case strings.Contains(ua, "Edge/"): // the one with an engine of its own
	case strings.Contains(ua, "Chrome/"):
		e.chromium = major(after(ua, "Chrome/"))
		e.hinting = c.browser == "Chrome" || c.browser == "Edge" || c.browser == "Opera"
	case strings.Contains(ua, "Firefox/") && !strings.Contains(ua, "like Firefox"):
		e.firefox = major(after(ua, "Firefox/"))
	}
	e.readable = e.chromium > 0 || e.firefox > 0 || strings.Contains(ua, "AppleWebKit/")
	return e
}

// major is the number that s begins with, of at most four digits; 0 = none.
func major(s string) (n int) {
	for i := 0; i < len(s) && i < 4 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = 10*n + int(s[i]-'0')
	}
	return n
}

// The versions from which a browser sends a header over TLS. Sources: Chrome
// Platform Status, MDN.
const (
	chromiumFetch = 80 // Sec-Fetch; shipped in 76
	firefoxFetch  = 90
	chromiumHints = 95 // Sec-CH-UA; shipped in 89, and to everybody some time later
)

// judge holds a browser's signs against it.
func (e *engine) judge(s *Signs) (reason string, bot bool) {
	set := 0
	if s.HeadersKnown {
		if strings.Contains(s.Hints, "HeadlessChrome") {
			return ReasonHeadless, true
		}
		if !s.Language {
			set |= signLanguage
		}
		if s.Secure && e.lacksHeaders(s) {
			set |= signHints
		}
		if s.Hints != "" && e.hintsDiffer(s.Hints) {
			set |= signDiffer
		}
	}
	if e.old(s.At) {
		set |= signOld
	}
	// A set of at least two has more than one bit.
	return softReasons[set], bits(set) >= softEnough
}

func bits(set int) (n int) {
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}

func (e *engine) lacksHeaders(s *Signs) bool {
	return !s.SecFetch && (e.chromium >= chromiumFetch || e.firefox >= firefoxFetch) ||
		s.Hints == "" && e.hinting && e.chromium >= chromiumHints
}

// hintsDiffer compares Sec-CH-UA with the user agent: only Chromium sends it,
// and with the version that the user agent has.
func (e *engine) hintsDiffer(hints string) bool {
	if e.chromium == 0 {
		return e.readable || e.explorer
	}
	_, v, ok := strings.Cut(hints, `Chromium";v="`)
	return ok && major(v) != e.chromium
}

// oldAfter is how many years after its release a browser is old.
const oldAfter = 5

// firstOf are the newest versions on the first of January of each year, from
// firstYear on. Sources: the release calendars of Chrome and Firefox.
const firstYear = 2010

var (
	chromiumOf = [...]int{3, 8, 16, 23, 31, 39, 47, 55, 63, 71, 79, 87, 96, 108, 120, 131, 143}
	firefoxOf  = [...]int{3, 3, 9, 17, 26, 34, 43, 50, 57, 64, 71, 84, 95, 108, 121, 133, 146}
)

// explorerEnd is the year from which Internet Explorer, whose last version is of
// 2013 and was supported until June 2022, is old.
const explorerEnd = 2023

// yearUS is a mean year of the calendar: a day more or less changes nothing, and
// a division is cheaper than a date.
const yearUS = 31_556_952_000_000

// old reports whether the browser's version was old at the time of the event:
// a log of 2015 has browsers of 2015. After the last year that the lists know it
// asks no more than they do for that one.
func (e *engine) old(at int64) bool {
	if !e.screen || e.chromium == 0 && e.firefox == 0 && !e.explorer {
		return false
	}
	year := 1970 + int(at/yearUS)
	if e.explorer {
		return year >= explorerEnd
	}
	i := min(year-oldAfter-firstYear, len(chromiumOf)-1)
	if i < 0 {
		return false
	}
	if e.chromium > 0 {
		return e.chromium < chromiumOf[i]
	}
	return e.firefox < firefoxOf[i]
}
