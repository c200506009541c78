package accesslog

import (
	"encoding/json"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// caddyLine is what Caddy's JSON encoder writes for the message "handled
// request" (its modules/caddyhttp/server.go and marshalers.go).
type caddyLine struct {
	TS       json.RawMessage `json:"ts"`
	Request  *caddyRequest   `json:"request"`
	Duration json.RawMessage `json:"duration"`
	Size     json.Number     `json:"size"`
	Status   int             `json:"status"`
	Answer   http.Header     `json:"resp_headers"`
}

type caddyRequest struct {
	RemoteIP string      `json:"remote_ip"`
	ClientIP string      `json:"client_ip"`
	Remote   string      `json:"remote_addr"` // before Caddy 2.5: address and port
	Proto    string      `json:"proto"`
	Method   string      `json:"method"`
	Host     string      `json:"host"`
	URI      string      `json:"uri"`
	Header   http.Header `json:"headers"`
	TLS      *struct{}   `json:"tls"`
}

// parseCaddy is not ok for a message that tells of no request.
func parseCaddy(line []byte, zone *time.Location) (e Entry, ok bool, err error) {
	var l caddyLine
	if err := json.Unmarshal(line, &l); err != nil {
		return e, false, ErrJSON
	}
	if l.Request == nil || l.Status == 0 && l.Request.Method == "" {
		return e, false, nil
	}
	r := l.Request
	if err := checkMethod(r.Method); err != nil {
		return e, false, err
	}
	if r.URI == "" {
		return e, false, ErrRequest
	}
	at, ok := caddyTime(l.TS, zone)
	if !ok {
		return e, false, ErrTime
	}
	size, err := caddySize(l.Size)
	if err != nil {
		return e, false, err
	}
	// Caddy logs 0 where a handler wrote nothing: net/http then answers 200.
	status := l.Status
	if status == 0 {
		status = http.StatusOK
	}
	if status < 100 || status > 999 {
		return e, false, ErrStatus
	}
	client := r.client()
	if client == "" {
		return e, false, ErrNoClient
	}
	return Entry{
		RemoteAddr: client, Time: at, AtEnd: true, Method: r.Method, URI: r.URI, Proto: r.Proto, Host: r.Host,
		Status: status, Size: size, Referer: field(r.Header, "Referer"), UserAgent: field(r.Header, "User-Agent"),
		ContentType: field(l.Answer, "Content-Type"), Secure: r.TLS != nil, Duration: caddyDuration(l.Duration), Header: r.Header, Answer: l.Answer,
	}, true, nil
}

// client prefers Caddy's own judgement of who the client is.
func (r *caddyRequest) client() string {
	switch {
	case r.ClientIP != "":
		return r.ClientIP
	case r.RemoteIP != "":
		return r.RemoteIP
	}
	if host, _, err := net.SplitHostPort(r.Remote); err == nil {
		return host
	}
	return r.Remote
}

// field is the first value of a header; Caddy writes canonical names.
func field(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func caddySize(n json.Number) (int64, error) {
	if n == "" {
		return 0, nil
	}
	return parseSize(string(n))
}

// caddyLayouts are the values of time_format that are text.
var caddyLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.000Z0700", // iso8601
	"2006/01/02 15:04:05.999999999",
	combinedTime,
}

// caddyTime reads ts in each of the notations of Caddy's time_format. Numbers
// are told apart by their size: seconds, milliseconds or nanoseconds since 1970.
// A text without a zone is in the given one.
func caddyTime(raw json.RawMessage, zone *time.Location) (time.Time, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		for _, layout := range caddyLayouts {
			at, err := time.ParseInLocation(layout, text, zone)
			if at = at.UTC(); err == nil && at.Year() >= 1970 && at.Year() <= 9999 {
				return at, true
			}
		}
		return time.Time{}, false
	}
	if ns, err := strconv.ParseInt(string(raw), 10, 64); err == nil && ns >= 1e14 {
		return time.Unix(0, ns).UTC(), true // a float would round it
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	switch {
	case err != nil || !(n >= 0 && n < 1e14):
		return time.Time{}, false
	case n < 1e11:
		sec, frac := math.Modf(n)
		return time.Unix(int64(sec), int64(math.Round(frac*1e6))*1000).UTC(), true // a float holds µs, no more
	default:
		return time.UnixMicro(int64(n * 1000)).UTC(), true
	}
}

// caddyDuration reads seconds or, with duration_format string, Go's notation.
// What cannot be read is unknown, which is 0: no request takes no time.
func caddyDuration(raw json.RawMessage) time.Duration {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil || d < 0 {
			return 0
		}
		return d
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(n > 0) || n > 1e9 {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}
