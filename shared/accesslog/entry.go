package accesslog

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"
)

// Entry is one request as a log has it. Text is as the client sent it: it may
// hold invalid UTF-8 and control characters.
type Entry struct {
	Line int // in the decompressed stream, from 1

	RemoteAddr string    // address, or host name where the server looked it up
	Time       time.Time // UTC
	Method     string
	URI        string // request target, undecoded
	Proto      string // "HTTP/1.1"; empty in HTTP/0.9 and in some cut logs
	Host       string // from Caddy, or the first field of a vhost_combined line

	Status      int
	Size        int64 // bytes of the body sent
	Referer     string
	UserAgent   string
	ContentType string // as answered, with parameters; only Caddy logs it

	Duration time.Duration // until the answer was complete; only Caddy logs it
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

// Why a line cannot be read; each is wrapped by a [LineError].
var (
	ErrTooLong  = errors.New("line is too long")
	ErrNoClient = errors.New("no client address")
	ErrTime     = errors.New("time cannot be read")
	ErrRequest  = errors.New("no HTTP request") // a port scan, a TLS handshake on a plain port, a time-out
	ErrStatus   = errors.New("no status between 100 and 999")
	ErrSize     = errors.New("size is not a number of bytes")
	ErrJSON     = errors.New("not a JSON object")
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
