package accesslog

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Entry is one request as a log has it. Text is as the client sent it: it may
// hold invalid UTF-8 and control characters.
type Entry struct {
	Line int // in the decompressed stream, from 1

	RemoteAddr string    // address, or host name where the server looked it up
	Time       time.Time // UTC; see [Entry.Start]
	AtEnd      bool      // Time is when the answer was complete, as Caddy and W3C logs have it
	Method     string
	URI        string // request target, undecoded
	Proto      string // "HTTP/1.1"; empty in HTTP/0.9 and in some cut logs
	Host       string // from Caddy, or the first field of a vhost_combined line

	Status      int
	Size        int64 // bytes of the body sent
	Referer     string
	UserAgent   string
	ContentType string // as answered, with parameters; only Caddy and Traefik log it

	Secure bool // over TLS, as far as the server saw; only Caddy logs it

	Duration time.Duration // until the answer was complete; 0 = not logged
	Header   http.Header   // of the request; nil where the log has none
	// Answer are the headers of the response; nil where the log has none.
	Answer http.Header

	// Cut says that the line ended inside a quoted field.
	Cut bool
}

// ClientIP is the client's address, unmapped. It is not ok where the log has a
// host name in its place.
func (e *Entry) ClientIP() (netip.Addr, bool) {
	addr, err := netip.ParseAddr(e.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap().WithZone(""), true
}

// Client is the client's address; where the log has a host name in its place, it
// is an address of its own in the network for documentation, so that the name
// stays one visitor: in the upper half, because the lower one does not tell
// visitors apart.
func (e *Entry) Client() netip.Addr {
	if addr, ok := e.ClientIP(); ok {
		return addr
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(e.RemoteAddr))
	standIn := [16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: 1}
	hash.Sum(standIn[:4])
	return netip.AddrFrom16(standIn)
}

// Start is when the request came, as far as the log tells.
func (e *Entry) Start() time.Time {
	if e.AtEnd {
		return e.Time.Add(-e.Duration)
	}
	return e.Time
}

// Target is the request target's path, decoded, and its query as it is. It is
// not ok where the target names no path: `*`, or the host and port of a tunnel.
// Of an absolute target the host is passed over.
func (e *Entry) Target() (p, query string, ok bool) {
	uri := e.URI
	if !strings.HasPrefix(uri, "/") {
		scheme, rest, found := strings.Cut(uri, "://")
		if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
			return "", "", false
		}
		slash := strings.IndexByte(rest, '/')
		if slash < 0 {
			return "/", "", true
		}
		uri = rest[slash:]
	}
	p, query, _ = strings.Cut(uri, "?")
	if strings.IndexByte(p, '%') >= 0 {
		if decoded, err := url.PathUnescape(p); err == nil {
			p = decoded
		}
	}
	return p, query, true
}

// AnsweredType is the Content-Type of the answer: the logged one where the log
// has the answer's headers, else what servers commonly answer for such a target
// (see [TypeOf]). A 304 and a 204 have none of their own.
func (e *Entry) AnsweredType() string {
	switch {
	case e.Answer != nil || e.ContentType != "":
		return e.ContentType
	case e.Status == http.StatusNotModified || e.Status == http.StatusNoContent:
		return ""
	}
	return TypeOf(e.URI)
}

// Why a line cannot be read; each is wrapped by a [LineError].
var (
	ErrTooLong  = errors.New("line is too long")
	ErrNoClient = errors.New("no client address")
	ErrTime     = errors.New("time cannot be read")
	ErrRequest  = errors.New("no HTTP request") // a port scan, a TLS handshake on a plain port, a time-out
	ErrStatus   = errors.New("no status between 100 and 999")
	ErrSize     = errors.New("size is not a number of bytes")
	ErrJSON     = errors.New("not a JSON object")
	ErrNotation = errors.New("not in the format that was asked for")
	ErrFields   = errors.New("no #Fields line before it names its columns")
)

// LineError says which line cannot be read, and why. It never quotes the line.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns one of the package's sentinels.
func (e *LineError) Unwrap() error { return e.Err }

// checkMethod keeps binary rubbish out of a field that labels metrics.
func checkMethod(method string) error {
	if method == "" || len(method) > 32 {
		return ErrRequest
	}
	for i := range len(method) {
		c := method[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return ErrRequest
		}
	}
	return nil
}
