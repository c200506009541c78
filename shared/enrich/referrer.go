package enrich

import (
	"net/url"
	"strings"
)

// referrer is what is kept of a Referer header.
type referrer struct {
	domain string // host without www, or an Android app's package name
	path   string
	app    bool
}

// parseReferrer reads a referrer's host and path. User info, port, query and
// fragment are dropped here and nowhere kept. Anything but http, https and
// android-app has no domain.
//
// It is not url.Parse, which allocates and refuses what browsers send.
func parseReferrer(ref string) referrer {
	rest, scheme := cutScheme(strings.TrimSpace(ref))
	if scheme == "" {
		return referrer{}
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	r := referrer{domain: hostname(authority), app: scheme == "android-app"}
	if r.domain == "" || strings.ContainsAny(r.domain, " \t%<>\"'") {
		return referrer{}
	}
	if r.app || path == "" || path[0] != '/' {
		return r // an app's path is an id of the app's own
	}
	r.path = cutAtAny(path, "?#")
	if strings.IndexByte(r.path, '%') >= 0 {
		if decoded, err := url.PathUnescape(r.path); err == nil {
			r.path = decoded
		}
	}
	r.path = redactPath(r.path)
	return r
}

func cutScheme(ref string) (rest, scheme string) {
	for _, s := range []string{"https", "http", "android-app"} {
		n := len(s)
		if len(ref) > n+3 && strings.EqualFold(ref[:n], s) && ref[n:n+3] == "://" {
			return ref[n+3:], s
		}
	}
	return "", ""
}
