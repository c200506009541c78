package replay

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/eider-analytics/eider/shared/accesslog"
)

// Why a line of the log is left out.
var (
	errTarget = errors.New("its target is no path of the site")
	errMethod = errors.New("its method opens a tunnel")
	errStatus = errors.New("its status is that of no final answer")
)

// request makes the HTTP request of an entry, to be sent to base with the given
// Host. The answer that the origin is to give travels in a header.
func request(ctx context.Context, base *url.URL, host string, e *accesslog.Entry) (*http.Request, error) {
	switch {
	case e.Method == http.MethodConnect || e.Method == http.MethodTrace:
		return nil, errMethod
	case !strings.HasPrefix(e.URI, "/"):
		return nil, errTarget
	case e.Status < 200:
		return nil, errStatus
	}
	req, err := http.NewRequestWithContext(ctx, e.Method, base.String(), nil)
	if err != nil {
		return nil, errMethod
	}
	req.URL = target(base, e.URI)
	req.Host = host
	req.Header = headers(e)
	answer{Status: e.Status, Size: e.Size, Type: fieldValue(e.AnsweredType()), Location: location(e)}.describe(req.Header)
	return req, nil
}

// target keeps the logged target byte for byte, but for what no request line
// can carry: blanks and control characters are escaped, and so is a percent
// sign that begins no escape.
func target(base *url.URL, uri string) *url.URL {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(uri) {
		c := uri[i]
		broken := c == '%' && (i+2 >= len(uri) || !isHex(uri[i+1]) || !isHex(uri[i+2]))
		if c <= ' ' || c == 0x7f || c == '#' || broken {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			c = hex[c&15]
		}
		b.WriteByte(c)
	}
	u := &url.URL{Scheme: base.Scheme, Host: base.Host}
	// net/http writes Opaque as it is; two slashes it would take for a host.
	if clean := b.String(); strings.HasPrefix(clean, "//") {
		u.Path, u.RawQuery, _ = strings.Cut(clean, "?")
		u.RawPath = u.Path
		if decoded, err := url.PathUnescape(u.Path); err == nil {
			u.Path = decoded
		}
	} else {
		u.Opaque = clean
	}
	return u
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// notReplayed are headers of the connection that was, credentials, and what
// would contradict the client address that the log settled on.
var notReplayed = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Content-Length": true, "Expect": true, "Host": true, "Cookie": true, "Authorization": true, "Forwarded": true, "Via": true,
	"X-Real-Ip": true, "Cf-Connecting-Ip": true, "True-Client-Ip": true,
}

// headers are the logged ones, or the few that the combined format has.
func headers(e *accesslog.Entry) http.Header {
	h := make(http.Header, len(e.Header)+5)
	for name, values := range e.Header {
		name = http.CanonicalHeaderKey(name)
		if notReplayed[name] || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Proxy-") || name == answerHeader {
			continue
		}
		for _, value := range values {
			h.Add(name, fieldValue(value))
		}
	}
	// An empty user agent keeps net/http from sending its own.
	h.Set("User-Agent", fieldValue(e.UserAgent))
	if e.Referer != "" {
		h.Set("Referer", fieldValue(e.Referer))
	}
	h.Set("X-Forwarded-For", e.Client().String())
	return h
}

// fieldValue takes out what no header can carry, byte by byte: what is no
// UTF-8 stays, since HTTP carries it and old clients send it.
func fieldValue(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = ' '
		}
	}
	return strings.TrimSpace(string(b))
}

// hostOf is the host that was asked for: the logged one, else the site.
func hostOf(e *accesslog.Entry, site string) string {
	host := e.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "" || strings.ContainsAny(host, "/\\@?#%<> \t\"") {
		return site
	}
	return host
}

// location is the logged one; else the target with a slash, which is what
// servers redirect to most.
func location(e *accesslog.Entry) string {
	if e.Status/100 != 3 || e.Status == http.StatusNotModified {
		return ""
	}
	if v := e.Answer["Location"]; len(v) > 0 {
		return fieldValue(v[0])
	}
	path, _, _ := strings.Cut(e.URI, "?")
	return fieldValue(path + "/")
}
