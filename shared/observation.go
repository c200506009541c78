package shared

import "net/netip"

// Observation is the raw facts of one request at a proxy. It lives in memory
// only, between the ring and enrichment: it is the last thing that holds the
// client's address. It is never stored and never logged.
type Observation struct {
	Site   string // the site's name as the configuration has it, else the host
	Result Result
	Kind   Kind  // of the event that it becomes
	Time   int64 // µs since 1970: when the request came in

	ClientIP netip.Addr // from the proxy's own judgement, never from a raw header

	Host     string // as requested, with its port
	Path     string // of the original URI, decoded
	RawQuery string // of the original URI
	Method   string
	Protocol string // "HTTP/2.0"

	Status      int    // final; 0 = unknown
	ContentType string // as answered, with parameters
	BytesSent   int64  // body bytes; -1 = unknown
	TTFBUS      int64  // µs; -1 = unknown
	CacheStatus string // Cache-Status or X-Cache as answered

	UserAgent       string
	AcceptLanguage  string
	Referer         string
	SecFetchSite    string
	CHUA            string // Sec-CH-UA
	CHUAMobile      string
	CHUAPlatform    string
	CHUAPlatformVer string
	CHUAModel       string

	// What the absence of a header may be held against. Where nobody knows which
	// headers there were, as in a log, HeadersKnown is false and the others say
	// nothing.
	HeadersKnown bool
	Secure       bool // over TLS, as far as this proxy sees
	SecFetch     bool // with any of the Sec-Fetch headers

	// BotReason is what the proxy took the request for a bot's for, beside the
	// user agent and these headers: behaviour. "" = nothing.
	BotReason string

	ViewID uint64 // as sent in Server-Timing, and of every prefetch; 0 = none

	// Completion names what an observation says of an earlier one, as in
	// [CompletionEvidence] and [CompletionActivation]: it has no result of its
	// own, and becomes an event of kind completion. "" = it stands for itself.
	Completion string

	// What a message of a browser or client says beside; empty at a proxy.
	Origin Origin // "" = edge
	Title  string
	Screen string // "1440x900"

	// Where the address is, as a trusted proxy before this one says.
	Country, Region, City string

	// Wishes are what the request says about being measured.
	Wishes
	// Privacy is what the proxy's own configuration asks for beside the
	// registry; the stricter of both holds. nil = nothing. It is not changed.
	Privacy *Privacy
}

// Result is what became of one request at the edge. Every request that is seen
// has exactly one, fixed at the request, so that they sum to the requests. The
// list is closed: it labels a metric.
type Result string

// The results that are recorded.
const (
	ResultPageview Result = "pageview"
	ResultError    Result = "error"
	ResultDownload Result = "download"
	ResultFeed     Result = "feed"
	ResultBot      Result = "bot"      // whatever a bot asked for
	ResultPrefetch Result = "prefetch" // pending: a page fetched ahead, not yet seen
)

// The reasons for not counting a request.
const (
	ResultExcluded    Result = "excluded"     // the site's own exclude rules
	ResultHealthCheck Result = "health_check" // load balancers, orchestrators
	ResultUnknownHost Result = "unknown_host" // a host that no configuration names
	ResultMethod      Result = "method"       // not a GET
	ResultUpgrade     Result = "upgrade"      // WebSocket and its kin
	ResultRedirect    Result = "redirect"     // 3xx other than 304
	ResultPartial     Result = "partial"      // 206 and 416
	ResultStatus      Result = "status"       // any other status that shows no document
	ResultFailed      Result = "failed"       // 4xx or 5xx of something that is no document
	ResultAsset       Result = "asset"        // not a document: style, image, JSON, …
	ResultSubrequest  Result = "subrequest"   // a script's fetch, a worker
	ResultFrame       Result = "frame"        // iframe, frame, embed, object
	ResultFragment    Result = "fragment"     // part of a page for htmx, Turbo, RSC, …
	ResultPrivacy     Result = "privacy"      // DNT or GPC where the site asks for it
	ResultCollection  Result = "collection"   // our own script and endpoints
	ResultSwitchedOff Result = "switched_off" // the site doesn't count its kind
	ResultInternal    Result = "internal"     // our own code failed on it
)

// Results lists every result, recorded ones first.
var Results = []Result{
	ResultPageview, ResultError, ResultDownload, ResultFeed, ResultBot, ResultPrefetch,
	ResultExcluded, ResultHealthCheck, ResultUnknownHost, ResultMethod, ResultUpgrade, ResultRedirect,
	ResultPartial, ResultStatus, ResultFailed, ResultAsset, ResultSubrequest, ResultFrame, ResultFragment,
	ResultPrivacy, ResultCollection, ResultSwitchedOff, ResultInternal,
}

// Recorded reports whether a request with this result becomes an event.
func (r Result) Recorded() bool {
	switch r {
	case ResultPageview, ResultError, ResultDownload, ResultFeed, ResultBot, ResultPrefetch:
		return true
	}
	return false
}
