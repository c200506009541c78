package caddymodule

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/classify"
	"github.com/eider-analytics/eider/shared/enrich"
)

// asked is what a request is for: all that is looked at where it is excluded,
// and then it never leaves the stack. Its strings are borrowed from the request.
type asked struct {
	site    *site
	vars    map[string]any // Caddy's, of this request; nil = not served by its server
	counted bool
	// collects: it is for the script's endpoints, and ours to answer.
	collects bool

	method, path, rawQuery string // of the original URI
	target                 string // the same, path and query, as it was sent
	host                   string
}

// capture is what a request said before other handlers could change it. Its
// strings are borrowed from the request.
type capture struct {
	asked
	started time.Time

	clientIP            netip.Addr // see client
	userAgent, language string
	referer, fetchSite  string
	chua, chuaMobile    string
	chuaPlatform        string
	chuaPlatformVersion string
	chuaModel           string

	signals  classify.Signals
	behavior string // why its client is a bot by what it does; "" = nothing

	wishes    shared.Wishes
	where     enrich.ProxyPlace // believed of trusted proxies only
	privacy   *shared.Privacy   // of the handler
	declined  shared.Result     // why nothing of the request may be recorded; "" = it may
	anonymous bool              // counted without an identity, if at all
}

// count gives the request its one result.
func (a *asked) count(result shared.Result) {
	a.counted = true
	a.site.count(result)
}

// seenKey marks a request that an eider handler has seen, among Caddy's vars.
const seenKey = "eider"

// enter reports whether this is the first of our handlers that the request
// comes to: nested ones, or one in an error route, count nothing again.
func (a *asked) enter(r *http.Request) bool {
	if a.vars = varsOf(r); a.vars == nil {
		return true // not served by Caddy's server
	}
	if _, seen := a.vars[seenKey]; seen {
		return false
	}
	a.vars[seenKey] = true
	return true
}

// varsOf returns Caddy's vars of a request.
func varsOf(r *http.Request) map[string]any {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	return vars
}

// startVar is where Caddy's server notes when the request came. It is what its
// placeholder http.request.duration counts from.
const startVar = "start_time"

// start is when the request came. Caddy has read the clock already, and to read
// it again costs as much as many a rule.
func start(vars map[string]any) time.Time {
	if at, ok := vars[startVar].(time.Time); ok {
		return at
	}
	return time.Now()
}

// trustedPeer is Caddy's own judgement of the other end of the connection.
func trustedPeer(vars map[string]any) bool {
	trusted, _ := vars[caddyhttp.TrustedProxyVarKey].(bool)
	return trusted
}

// address notes method and URI as the client sent them, before any rewrite.
func (a *asked) address(r *http.Request) {
	a.host = r.Host
	a.method, a.path, a.rawQuery, a.target = r.Method, r.URL.Path, r.URL.RawQuery, r.RequestURI
	if o, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && o.URL != nil {
		a.method, a.path, a.rawQuery, a.target = o.Method, o.URL.Path, o.URL.RawQuery, o.RequestURI
	}
}

// headers notes what is wanted of the request's headers in one walk: asking
// for each of them by name takes longer.
func (c *capture) headers(h http.Header) {
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		v := values[0]
		switch name {
		case "User-Agent":
			c.userAgent = v
		case "Accept-Language":
			c.language = v
		case "Referer":
			c.referer = v
		case "Sec-Fetch-Site":
			c.fetchSite = v
		case "Sec-Ch-Ua":
			c.chua = v
		case "Sec-Ch-Ua-Mobile":
			c.chuaMobile = v
		case "Sec-Ch-Ua-Platform":
			c.chuaPlatform = v
		case "Sec-Ch-Ua-Platform-Version":
			c.chuaPlatformVersion = v
		case "Sec-Ch-Ua-Model":
			c.chuaModel = v
		case "Accept-Encoding", "Cache-Control", "Connection", "Priority", "Sec-Fetch-User", "Upgrade-Insecure-Requests":
			// Every browser sends them, and nothing asks for them.
		default:
			if !c.signals.Note(name, v) && !c.wish(name, v) {
				c.where.Note(name, v)
			}
		}
	}
}

// observe fills o with the facts of the request; its strings are borrowed.
func (c *capture) observe(o *shared.Observation, r *http.Request, a answer, headersUnknown bool) {
	o.Site = c.site.name
	o.Time = c.started.UnixMicro()
	o.ClientIP = c.client()
	o.Host, o.Path, o.RawQuery = c.host, c.path, c.rawQuery
	o.Method, o.Protocol = c.method, r.Proto
	o.Status, o.ContentType, o.BytesSent = a.status, a.contentType, a.bytes
	o.TTFBUS = a.ttfb
	o.UserAgent, o.AcceptLanguage, o.Referer = c.userAgent, c.language, c.referer
	o.SecFetchSite = c.fetchSite
	o.CHUA, o.CHUAMobile, o.CHUAPlatform = c.chua, c.chuaMobile, c.chuaPlatform
	o.CHUAPlatformVer, o.CHUAModel = c.chuaPlatformVersion, c.chuaModel
	o.HeadersKnown, o.Secure, o.SecFetch = !headersUnknown, r.TLS != nil, c.secFetch()
	o.BotReason = c.behavior
	c.tell(o)
}

// client is the request's address, read once.
func (c *capture) client() netip.Addr {
	if !c.clientIP.IsValid() {
		c.clientIP = clientIP(c.vars)
	}
	return c.clientIP
}

// clientIP is Caddy's own judgement of the client's address, the only one that
// counts: raw headers can be forged.
func clientIP(vars map[string]any) netip.Addr {
	text, _ := vars[caddyhttp.ClientIPVarKey].(string)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr.WithZone("").Unmap()
}
