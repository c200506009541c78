package beacon

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// corsRule is what an endpoint says to pages of other origins.
type corsRule uint8

const (
	corsNone  corsRule = iota // pages have no business here
	corsPlain                 // ours, Mallard's, Plausible's, pixels, the script
	corsUmami                 // exactly what Umami's trackers are used to
)

// headerDropped marks an answer to a message that was refused for a policy,
// although the sender did nothing wrong.
const headerDropped = "X-Eider-Dropped"

func (c corsRule) allow(h http.Header) {
	if c == corsNone {
		return
	}
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "X-Eider-Dropped, Retry-After, x-umami-cache")
}

// preflight answers OPTIONS. A preflight has no body, so it does not say which
// site it is for: unless the place has a site of its own, an origin is welcome
// if any site would have it, and the message itself is judged by its site.
func (q *request) preflight(c corsRule) {
	h := q.w.Header()
	h.Add("Vary", "Origin")
	if !q.originWelcome() {
		q.in.counts.add(WrongOrigin, 1)
		q.fail(WrongOrigin, nil, 0)
		return
	}
	c.allow(h)
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Max-Age", "86400")
	if c == corsUmami {
		h.Set("Access-Control-Allow-Methods", "GET, DELETE, POST, PUT")
	} else {
		h.Set("Access-Control-Allow-Methods", "GET, POST")
	}
	q.w.WriteHeader(http.StatusNoContent)
}

func (q *request) originWelcome() bool {
	host := hostOf(q.r.Header.Get("Origin"))
	if name := q.fixedSite(); name != "" {
		site := q.view().Site(name)
		return site == nil || allowed(site, host)
	}
	sites := q.view().Sites()
	for i := range sites {
		if !sites[i].Archived && allowed(&sites[i], host) {
			return true
		}
	}
	return len(sites) == 0
}

// allowed reports whether a page on host may send to a site.
func allowed(site *shared.SiteConfig, host string) bool {
	if len(site.AllowedDomains) == 0 {
		return true
	}
	bare := strings.TrimPrefix(host, "www.")
	for _, d := range site.AllowedDomains {
		if below, all := strings.CutPrefix(d, "*."); all {
			if strings.HasSuffix(host, "."+below) {
				return true
			}
		} else if host != "" && (host == d || bare == d) {
			return true
		}
	}
	return false
}

// dialect is whose words an endpoint answers with.
type dialect uint8

const (
	dialectEider dialect = iota
	dialectUmami
)

func dialectOf(endpoint string) dialect {
	switch endpoint {
	case "api/send", "api/batch", "api/heartbeat", "p", "q":
		return dialectUmami
	}
	return dialectEider
}

// refusal is how an outcome is told to the sender.
type refusal struct {
	status        int
	code, message string
	umami         string // Umami's message, and its code in the same words
}

var refusals = map[Outcome]refusal{
	Malformed:    {http.StatusBadRequest, "bad_request", "", "Bad request"},
	TooLarge:     {http.StatusRequestEntityTooLarge, "too_large", "the body is too large: at most 64 KB a message, 4 MB a batch of Umami's, 8 MB a batch of a server", "Payload too large"},
	TooMany:      {http.StatusTooManyRequests, "rate_limited", "too many messages: come back after Retry-After", "Too many requests"},
	UnknownSite:  {http.StatusBadRequest, "unknown_site", "there is no such site: add it, or correct its name in the tracker", "Website not found."},
	WrongOrigin:  {http.StatusForbidden, "forbidden", "pages of this origin may not send to the site: add their host to its allowed domains", "Forbidden"},
	Unauthorized: {http.StatusUnauthorized, "unauthorized", "an API key with the scope ingest is needed, as a bearer token", "Unauthorized"},
	NotWritten:   {http.StatusServiceUnavailable, "unavailable", "messages can't be written at the moment: come back after Retry-After", "Service unavailable"},
}

// fail answers with an error; wait is how long the sender should wait, 0 = it
// need not come back.
func (q *request) fail(o Outcome, bad *FieldError, wait time.Duration) {
	f := refusals[o]
	if wait > 0 {
		q.w.Header().Set("Retry-After", strconv.Itoa(int(min(math.Ceil(wait.Seconds()), 3600))))
	}
	if o == Unauthorized {
		q.w.Header().Set("WWW-Authenticate", "Bearer")
	}
	q.json(f.status, q.errorBody(o, bad))
}

func (q *request) errorBody(o Outcome, bad *FieldError) any {
	f := refusals[o]
	if q.dialect == dialectUmami {
		return umamiError(f, bad)
	}
	if bad != nil {
		f.message = bad.Error()
	}
	return shared.ErrorBody{Error: shared.ErrorDetail{Code: f.code, Message: f.message}}
}

// umamiError is Umami's envelope.
func umamiError(f refusal, bad *FieldError) any {
	type detail struct {
		Path    []string `json:"path"`
		Message string   `json:"message"`
	}
	type body struct {
		Message string   `json:"message"`
		Code    string   `json:"code"`
		Status  int      `json:"status"`
		Errors  []detail `json:"errors,omitempty"`
	}
	b := body{Message: f.umami, Status: f.status}
	switch f.status {
	case http.StatusBadRequest:
		b.Code = "bad-request"
	default:
		b.Code = strings.ReplaceAll(strings.ToLower(f.umami), " ", "-")
	}
	if bad != nil {
		path := []string{}
		if bad.Field != "" {
			path = strings.Split(bad.Field, ".")
		}
		b.Errors = []detail{{path, bad.Reason}}
	}
	return map[string]body{"error": b}
}

// unavailable tells the sender to come back.
func (q *request) unavailable() {
	q.w.Header().Set("Retry-After", retryAfter)
	q.json(http.StatusServiceUnavailable, q.errorBody(NotWritten, nil))
}

func (q *request) wrongMethod(route *endpoint) {
	var methods []string
	if route.get != nil {
		methods = append(methods, "GET", "HEAD")
	}
	if route.post != nil {
		methods = append(methods, "POST")
	}
	if route.cors != corsNone {
		methods = append(methods, "OPTIONS")
	}
	q.w.Header().Set("Allow", strings.Join(methods, ", "))
	f := refusal{http.StatusMethodNotAllowed, "method_not_allowed", "this endpoint answers " + strings.Join(methods, ", "), "Method not allowed"}
	if q.dialect == dialectUmami {
		q.json(f.status, umamiError(f, nil))
		return
	}
	q.json(f.status, shared.ErrorBody{Error: shared.ErrorDetail{Code: f.code, Message: f.message}})
}

// json writes an answer. A client that has gone away can't be told anything.
func (q *request) json(status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of our own types: the recover around the request answers
	}
	q.w.Header().Set("Content-Type", "application/json")
	q.answer(status, b)
}

func (q *request) answer(status int, body []byte) {
	h := q.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(body)
}

// dropped marks the answer.
func (q *request) dropped() { q.w.Header().Set(headerDropped, "1") }

// asField turns a parser's error into what is wrong with the message.
func asField(err error) *FieldError {
	var bad *FieldError
	if errors.As(err, &bad) {
		return bad
	}
	return &FieldError{Reason: err.Error()}
}
