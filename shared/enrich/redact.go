package enrich

import (
	"slices"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// What stands in a path for what was taken out.
const (
	redactedEmail = "[email]"
	redactedToken = "[token]"
)

// Lengths from which a random-looking run of characters is taken for a secret:
// API keys and reset links begin at 20 mixed characters. Hexadecimal and
// lower-case ones get more room, since numbers of posts and database ids (24)
// look like it, and are the page's name.
const (
	minMixedToken = 20
	minPlainToken = 32
)

// maxRawPath bounds the work on a hostile path, before redaction makes it
// shorter.
const maxRawPath = 2 * shared.MaxPath

// redactPath takes e-mail addresses and long random tokens out of a path. A
// path without any is returned as it is.
func redactPath(path string) string {
	if len(path) > maxRawPath {
		// At the end of a segment: half of a secret would not be recognised.
		path = path[:strings.LastIndexByte(path[:maxRawPath], '/')+1]
	}
	return redactTokens(redactEmails(dropSessions(cutQuery(path, "?#"))))
}

// sessionNames are what names of a path's parameters hold that carry a session
// or another secret, where a server writes into links what a cookie would hold:
// /cart;jsessionid=1A2B/pay. Such values may be too short to look random.
var sessionNames = []string{"sess", "sid", "token", "auth", "secret", "passw"}

// dropSessions takes such parameters out of a path. Others, ;color=red, name the
// page.
func dropSessions(path string) string {
	if strings.IndexByte(path, ';') < 0 {
		return path
	}
	var b strings.Builder
	done := 0
	for at := 0; at < len(path); {
		if path[at] != ';' {
			at++
			continue
		}
		end := at + 1
		for end < len(path) && path[end] != ';' && path[end] != '/' {
			end++
		}
		if name, _, valued := strings.Cut(path[at+1:end], "="); valued && sessionName(name) {
			b.WriteString(path[done:at])
			done = end
		}
		at = end
	}
	if done == 0 {
		return path
	}
	b.WriteString(path[done:])
	return b.String()
}

func sessionName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(sessionNames, func(part string) bool { return strings.Contains(name, part) })
}

// redactTitle takes e-mail addresses and long random tokens out of a title.
// Percent-encoding is taken off where all of it is valid: some trackers encode
// titles, and "100% sure" is one as it is.
func redactTitle(title string) string {
	if len(title) > maxRawPath {
		title = title[:maxRawPath]
	}
	return redactTokens(redactEmails(unescape(title)))
}

// cutQuery ends a text where a query string or fragment begins in it, as mail
// programs leave it that encode a link once too often: at the first of the
// separators, if a name with a value stands behind it or behind a later one.
// "/wiki/What?" and "AT&T" have none.
func cutQuery(s, separators string) string {
	if strings.IndexByte(s, '=') < 0 && strings.IndexByte(s, '%') < 0 {
		return s
	}
	first := -1
	for i := 0; i < len(s); {
		c, width := decodedAt(s, i)
		if first < 0 && strings.IndexByte(separators, c) >= 0 {
			first = i
		}
		i += width
		if first >= 0 && strings.IndexByte("?#&;", c) >= 0 && namesValue(s[i:]) {
			return s[:first]
		}
	}
	return s
}

// namesValue reports whether s begins with a name and an equals sign.
func namesValue(s string) bool {
	for i := 0; i < len(s); i++ {
		if c, _ := decodedAt(s, i); c == '=' {
			return i > 0
		}
		if !tokenChar(s[i]) && strings.IndexByte(".[]", s[i]) < 0 {
			return false
		}
	}
	return false
}

// decodedAt returns the byte at i, or the one that is percent-encoded there,
// and how many bytes of s it takes.
func decodedAt(s string, i int) (c byte, width int) {
	if s[i] == '%' && i+2 < len(s) {
		hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
		if hi < 16 && lo < 16 {
			return hi<<4 | lo, 3
		}
	}
	return s[i], 1
}

// hexDigit is the value of a hexadecimal digit, or 16.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// maxLocalPart is the longest name before the @ of an e-mail address (RFC
// 5321), and bounds the way back from each @ of a hostile text.
const maxLocalPart = 64

// redactEmails replaces what has the form of an e-mail address, also where its
// @ is percent-encoded.
func redactEmails(s string) string {
	if strings.IndexByte(s, '@') < 0 && strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); i++ {
		width := 1
		switch {
		case s[i] == '@':
		case s[i] == '%' && strings.HasPrefix(s[i:], "%40"):
			width = 3
		default:
			continue
		}
		start := i
		for start > done && i-start < maxLocalPart && localChar(s[start-1]) {
			start--
		}
		end := i + width
		for end < len(s) && domainChar(s[end]) {
			end++
		}
		domain := strings.TrimRight(s[i+width:end], ".-")
		if start == i || !hasTopLevel(domain) {
			continue
		}
		b.WriteString(s[done:start])
		b.WriteString(redactedEmail)
		done = i + width + len(domain)
		i = done - 1
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

func localChar(c byte) bool {
	return alnum(c) || c >= 0x80 || strings.IndexByte("._%+-!#$&'*=?^`{|}~", c) >= 0
}

func domainChar(c byte) bool { return alnum(c) || c >= 0x80 || c == '.' || c == '-' }

// hasTopLevel tells host names from versions ("pkg@1.2.3") and scopes
// ("@angular"): a dot and two letters or more behind the last one.
func hasTopLevel(domain string) bool {
	dot := strings.LastIndexByte(domain, '.')
	if dot < 1 || len(domain)-dot < 3 {
		return false
	}
	for i := dot + 1; i < len(domain); i++ {
		if domain[i] <= '9' {
			return false
		}
	}
	return true
}

// redactTokens replaces runs of letters, digits, - and _ that look random.
func redactTokens(s string) string {
	if len(s) < minMixedToken {
		return s
	}
	var b strings.Builder
	done := 0
	for i := 0; i < len(s); {
		if !tokenChar(s[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(s) && tokenChar(s[end]) {
			end++
		}
		if random(s[i:end]) {
			b.WriteString(s[done:i])
			b.WriteString(redactedToken)
			done = end
		}
		i = end
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

func tokenChar(c byte) bool { return alnum(c) || c == '-' || c == '_' }

// random reports whether a run looks drawn rather than written: its characters
// change between lower case, upper case and digits at every fifth (a sixth
// where only one case is there) or more, which words, dates and versions joined
// by dashes don't. Drawn from 16, 36 or 64 characters they change at nearly
// every second, from 32 at every third. A capital at the beginning of a word is
// no change.
func random(run string) bool {
	if len(run) < minMixedToken {
		return false
	}
	if uuid(run) {
		return true
	}
	changes := 0
	var upper, lower, digit bool
	last := classOther
	for i := 0; i < len(run); i++ {
		class := classOf(run[i])
		switch class {
		case classUpper:
			upper = true
		case classLower:
			lower = true
		case classDigit:
			digit = true
		}
		if class != last && class != classOther && last != classOther && !(last == classUpper && class == classLower) {
			changes++
		}
		last = class
	}
	if upper && lower && digit {
		return changes*5 >= len(run)
	}
	return changes*6 >= len(run) && len(run) >= minPlainToken
}

type charClass uint8

const (
	classOther charClass = iota
	classLower
	classUpper
	classDigit
)

func classOf(c byte) charClass {
	switch {
	case letter(c):
		return classLower
	case c >= 'A' && c <= 'Z':
		return classUpper
	case c >= '0' && c <= '9':
		return classDigit
	}
	return classOther
}

// uuid reports whether s is 8-4-4-4-12 hexadecimal digits.
func uuid(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}
