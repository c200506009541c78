package accesslog

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"
)

// traefikLine is what Traefik's JSON access log has for each request (its
// pkg/middlewares/accesslog/logdata.go). Headers stand beside the fields, as
// `request_User-Agent` and `downstream_Content-Type`.
type traefikLine struct {
	ClientHost string      `json:"ClientHost"`
	ClientAddr string      `json:"ClientAddr"`
	Method     string      `json:"RequestMethod"`
	Path       string      `json:"RequestPath"`
	Protocol   string      `json:"RequestProtocol"`
	Host       string      `json:"RequestHost"`
	Status     int         `json:"DownstreamStatus"`
	Size       json.Number `json:"DownstreamContentSize"`
	Duration   int64       `json:"Duration"` // ns
	StartUTC   string      `json:"StartUTC"`
	Time       string      `json:"time"`
}

// parseTraefik is not ok for a message that tells of no request.
func parseTraefik(line []byte) (e Entry, ok bool, err error) {
	var l traefikLine
	if err := json.Unmarshal(line, &l); err != nil {
		return e, false, ErrJSON
	}
	if l.Method == "" && l.Path == "" && l.Status == 0 {
		return e, false, nil
	}
	if err := checkMethod(l.Method); err != nil {
		return e, false, err
	}
	if l.Path == "" {
		return e, false, ErrRequest
	}
	at, ok := parseTime(time.RFC3339Nano, l.StartUTC)
	if !ok {
		if at, ok = parseTime(time.RFC3339Nano, l.Time); !ok {
			return e, false, ErrTime
		}
	}
	if l.Status < 100 || l.Status > 999 {
		return e, false, ErrStatus
	}
	size, err := caddySize(l.Size)
	if err != nil {
		return e, false, err
	}
	client := dash(l.ClientHost)
	if client == "" {
		if client, _, err = net.SplitHostPort(l.ClientAddr); err != nil || client == "" {
			return e, false, ErrNoClient
		}
	}
	e = Entry{
		RemoteAddr: client, Time: at, Method: l.Method, URI: l.Path, Proto: l.Protocol, Host: dash(l.Host),
		Status: l.Status, Size: size, Duration: time.Duration(max(l.Duration, 0)),
	}
	e.Header, e.Answer = traefikHeaders(line)
	e.Referer, e.UserAgent = dash(field(e.Header, "Referer")), dash(field(e.Header, "User-Agent"))
	e.ContentType = field(e.Answer, "Content-Type")
	if e.ContentType == "" {
		e.Answer = nil // it was not kept, which says nothing about the answer
	}
	return e, true, nil
}

// traefikHeaders collects the headers that the log keeps; which ones those are
// is the operator's choice, and credentials are often replaced by REDACTED.
func traefikHeaders(line []byte) (request, answer http.Header) {
	var all map[string]json.RawMessage
	if json.Unmarshal(line, &all) != nil {
		return nil, nil
	}
	for key, raw := range all {
		into, name := &request, ""
		if rest, ok := strings.CutPrefix(key, "request_"); ok {
			name = rest
		} else if rest, ok := strings.CutPrefix(key, "downstream_"); ok {
			into, name = &answer, rest
		}
		var value string
		if name == "" || json.Unmarshal(raw, &value) != nil || value == "" || value == "REDACTED" {
			continue
		}
		if *into == nil {
			*into = http.Header{}
		}
		(*into)[http.CanonicalHeaderKey(name)] = []string{value}
	}
	return request, answer
}
