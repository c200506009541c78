package beacon

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// location is what a message's URL says of the page.
type location struct {
	host  string // with its port; "" = relative, or an address without host
	path  string // decoded, with a route in the fragment
	query string
}

// splitURL reads a URL as browsers do, which is more forgiving than
// [net/url.Parse]: what is not well encoded stays as it is, backslashes are
// slashes, a relative one is a path. ok is false where `new URL(v, base)`
// would throw. hash keeps every fragment as part of the path; without it only
// `#/route` and `#!route` are. A fragment's own query is never kept, nor
// anything that looks like one.
func splitURL(raw string, hash bool) (l location, ok bool) {
	s := cleanURL(raw)
	rest, scheme := cutScheme(s)
	special := scheme == "http" || scheme == "https"
	switch {
	case special:
		rest = strings.TrimLeft(rest, `/\`)
		if rest, ok = l.authority(rest); !ok || l.host == "" {
			return location{}, false
		}
	case scheme != "" && strings.HasPrefix(rest, "//"): // app://localhost/page
		if rest, ok = l.authority(rest[2:]); !ok {
			return location{}, false
		}
	case scheme != "":
		return location{}, true // data:, about:, mailto: have no page
	case len(rest) >= 2 && isSlash(rest[0]) && isSlash(rest[1]):
		if rest, ok = l.authority(rest[2:]); !ok || l.host == "" {
			return location{}, false
		}
	}
	rest, fragment, _ := strings.Cut(rest, "#")
	rest, l.query, _ = strings.Cut(rest, "?")
	if rest == "" && (l.host != "" || l.query != "" || fragment != "") {
		rest = "/"
	}
	if rest != "" && !isSlash(rest[0]) {
		rest = "/" + rest
	}
	if special || scheme == "" {
		rest = strings.ReplaceAll(rest, `\`, "/")
	}
	l.path = decodePath(rest) + decodePath(route(fragment, hash))
	return l, true
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// cleanURL does what browsers do first: blanks and control characters at the
// ends go, tabs and line ends everywhere.
func cleanURL(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
	if strings.ContainsAny(s, "\t\r\n") {
		s = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(s)
	}
	return s
}

// cutScheme returns the scheme in lower case, "" if there is none.
func cutScheme(s string) (rest, scheme string) {
	for i := range len(s) {
		c := s[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		case c == ':' && i > 0:
			return s[i+1:], strings.ToLower(s[:i])
		default:
			return s, ""
		}
	}
	return s, ""
}

// authority cuts host and port off, without the user.
func (l *location) authority(s string) (rest string, ok bool) {
	end := strings.IndexAny(s, `/\?#`)
	if end < 0 {
		end = len(s)
	}
	host, rest := s[:end], s[end:]
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	name, port := host, ""
	if strings.HasPrefix(host, "[") {
		i := strings.IndexByte(host, ']')
		if i < 0 {
			return "", false
		}
		if addr, err := netip.ParseAddr(host[1:i]); err != nil || !addr.Is6() {
			return "", false
		}
		name, port = host[:i+1], host[i+1:]
		if port != "" && port[0] != ':' {
			return "", false
		}
		port = strings.TrimPrefix(port, ":")
	} else if i := strings.IndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i+1:]
	}
	if port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", false
		}
	}
	if strings.ContainsAny(name, " <>^|%\"`{}\x7f") || len(name) > 300 || !utf8.ValidString(name) {
		return "", false
	}
	l.host = host
	return rest, true
}

// route is the part of a fragment that names a page. What has a value in it
// (`#access_token=…`) is none, nor is what follows a question mark.
func route(fragment string, hash bool) string {
	if fragment == "" || !hash && fragment[0] != '/' && fragment[0] != '!' {
		return ""
	}
	if i := strings.IndexAny(fragment, "?&"); i >= 0 {
		fragment = fragment[:i]
	}
	lower := strings.ToLower(fragment)
	if strings.Contains(fragment, "=") || strings.Contains(lower, "%3d") || strings.Contains(lower, "%3f") || fragment == "" {
		return ""
	}
	return "#" + fragment
}

// decodePath decodes percent signs as package net/url does for the proxy's path
// of the same page, slashes and bytes that are no UTF-8 included: the two rows
// are matched by it. What is no escape, which a server would refuse, stays.
func decodePath(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			c, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			out = append(out, byte(c))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

// hostOf is the host of an absolute URL, without port, in lower case.
func hostOf(raw string) string {
	l, ok := splitURL(raw, false)
	if !ok {
		return ""
	}
	return bareHost(l.host)
}

// bareHost is a host in lower case, without port, brackets, trailing dot.
func bareHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 && (host[0] == '[' || strings.IndexByte(host, ':') == i) {
		host = host[:i]
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
