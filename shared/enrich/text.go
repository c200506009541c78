package enrich

import "strings"

// hostname returns a host in lower case without port, trailing dot and www.
func hostname(host string) string {
	if strings.HasPrefix(host, "[") { // an IPv6 literal
		if end := strings.IndexByte(host, ']'); end > 0 {
			host = host[1:end]
		}
	} else if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.Count(host, ":") == 1 {
		host = host[:i]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if rest, ok := strings.CutPrefix(host, "www."); ok && strings.Contains(rest, ".") {
		host = rest
	}
	return host
}

// language returns the first language of an Accept-Language list as a BCP 47
// tag in its customary spelling ("de", "en-US", "zh-Hant-TW"), or "".
func language(accept string) string {
	tag := strings.TrimSpace(cutAtAny(accept, ",;"))
	if tag == "" || len(tag) > 35 || !wellFormed(tag) {
		return ""
	}
	if canonical(tag) {
		return tag
	}
	parts := strings.Split(strings.ReplaceAll(tag, "_", "-"), "-")
	for i, p := range parts {
		p = strings.ToLower(p)
		switch {
		case i == 0:
		case len(p) == 2:
			p = strings.ToUpper(p)
		case len(p) == 4 && letter(p[0]):
			p = strings.ToUpper(p[:1]) + p[1:]
		}
		parts[i] = p
	}
	return strings.Join(parts, "-")
}

// wellFormed: parts of 1 to 8 letters or digits, the first of 2 or 3 letters.
func wellFormed(tag string) bool {
	part, first := 0, true
	for i := 0; i <= len(tag); i++ {
		if i == len(tag) || tag[i] == '-' || tag[i] == '_' {
			if part == 0 || part > 8 || first && (part < 2 || part > 3) {
				return false
			}
			part, first = 0, false
			continue
		}
		if !alnum(tag[i]) || first && tag[i] <= '9' {
			return false
		}
		part++
	}
	return true
}

// canonical recognises the two forms that nearly all browsers send, "de" and
// "de-DE", so that they cost no allocation.
func canonical(tag string) bool {
	lower := func(c byte) bool { return c >= 'a' && c <= 'z' }
	upper := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	switch len(tag) {
	case 2, 3:
		return lower(tag[0]) && lower(tag[1]) && lower(tag[len(tag)-1])
	case 5:
		return lower(tag[0]) && lower(tag[1]) && tag[2] == '-' && upper(tag[3]) && upper(tag[4])
	}
	return false
}

// mediaType returns a Content-Type without its parameters, in lower case.
func mediaType(contentType string) string {
	return strings.ToLower(strings.TrimSpace(cutAtAny(contentType, ";,")))
}

// cacheStatus reduces Cache-Status (RFC 9211) and the many X-Cache forms to
// one word of a closed list. The last member of a list is the nearest cache's.
func cacheStatus(header string) string {
	if header == "" {
		return ""
	}
	if i := strings.LastIndexByte(header, ','); i >= 0 {
		header = header[i+1:]
	}
	h := strings.ToLower(header)
	for _, word := range []string{"revalidated", "updating", "stale", "expired", "bypass", "dynamic", "miss", "hit"} {
		for at := strings.Index(h, word); at >= 0; {
			end := at + len(word)
			if (at == 0 || !letter(h[at-1])) && (end == len(h) || !letter(h[end])) {
				return word
			}
			next := strings.Index(h[end:], word)
			if next < 0 {
				break
			}
			at = end + next
		}
	}
	if strings.Contains(h, "fwd=") {
		return "miss"
	}
	return ""
}

// screen returns a size like "1440x900", or "".
func screen(s string) string {
	w, h, ok := strings.Cut(s, "x")
	if !ok || !pixels(w) || !pixels(h) {
		return ""
	}
	return s
}

// pixels reports whether s is a number from 1 to 99999, as it is written.
func pixels(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
