package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard lets through what comes from this machine's own names and from pages
// of our own origin.
//
// A server on loopback is within reach of every page in the operator's
// browser: by a cross-site request, and by a name of the attacker's that
// resolves to 127.0.0.1, which makes the attacker's page same-origin. The first
// is told by Origin and Sec-Fetch-Site, which pages can't forge, the second by
// Host, which must be a name that is ours.
func (s *Server) guard(next http.Handler) http.Handler {
	return s.handle(func(w http.ResponseWriter, r *http.Request) error {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if !s.ownHost(r.Host) {
			return &httpError{
				status: http.StatusMisdirectedRequest, code: "unknown_host",
				message: "this host name is not one of the aggregator's: ask by localhost, or add the name to hosts (EIDER_HOSTS)",
			}
		}
		if foreign(r) {
			return &httpError{
				status: http.StatusForbidden, code: "cross_origin",
				message: "pages of other origins can't use this API",
			}
		}
		if !readOnly(r.Method) && !posted(r.URL.Path) {
			return &httpError{
				status: http.StatusMethodNotAllowed, code: "method_not_allowed",
				message: "only GET and HEAD are answered here",
			}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// posted reports whether a path is one where things are changed, or asked with a
// body.
func posted(path string) bool {
	for _, p := range []string{"/api/sites", "/api/keys", "/api/erase", "/api/gdpr/erase", "/api/query", "/api/v2/query", "/api/sql", "/api/goals", "/api/auth"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

func readOnly(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// ownHost reports whether a Host header names this server: loopback names and
// addresses, and what is configured.
func (s *Server) ownHost(hostport string) bool {
	host := bareHost(hostport)
	return loopbackName(host) || slices.Contains(s.hosts, host)
}

// loopbackName reports whether a name can only mean the machine that asks.
func loopbackName(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// bareHost is a Host header without port, brackets and last dot, in lower case.
func bareHost(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if bare, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(bare, "]")
	}
	return host
}

// foreign reports whether a request was made by a page of another origin. What
// is no browser sends neither header. A link from elsewhere to the dashboard is
// let through: following it is the reader's own doing and shows the answer to
// nobody else.
func foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	return !(readOnly(r.Method) && r.URL.Path == "/" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document")
}
