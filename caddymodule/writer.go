package caddymodule

import (
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// responseWriter notes what the answer turned out to be. It changes and holds
// back nothing; what it does not know of (hijacking, deadlines, full duplex)
// reaches the real writer by Unwrap.
//
// It has the answer judged while its header can still be added to.
type responseWriter struct {
	caddyhttp.ResponseWriterWrapper
	*exchange // nil after the request's end: whoever kept the writer changes nothing more
	handler   *Handler
	timing    [1]string // the values of our Server-Timing header

	firstByte   time.Duration // since started; 0 = the header is not written
	bytes       int64
	status      int
	contentType string
}

// exchange is what is known of a request and its answer. It is used again for
// another one after the request's end, as the writer is not.
type exchange struct {
	capture
	verdict
	request *http.Request
	texts   texts // room, empty between requests
}

// WriteHeader notes the final status; 1xx answers pass, 101 is final. It may
// be called from another goroutine for 1xx only.
func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.begun(status)
		w.settle()
	}
	w.ResponseWriter.WriteHeader(status)
}

// begun notes the header as it is when it goes out.
func (w *responseWriter) begun(status int) {
	w.status = status
	if v := w.Header()["Content-Type"]; len(v) > 0 {
		w.contentType = v[0]
	}
}

// settle has the answer judged before its header goes out.
func (w *responseWriter) settle() {
	if w.exchange == nil {
		return
	}
	w.handler.settle(w)
	if !w.judged || w.result.Recorded() { // else nobody asks for it, and clocks are dear
		w.stamp()
	}
}

// stamp notes the time of the first byte. A coarse clock can show no time
// between two moments; 0 stays unknown.
func (w *responseWriter) stamp() { w.firstByte = max(time.Since(w.started), 1) }

// Write passes the bytes on.
func (w *responseWriter) Write(p []byte) (int, error) {
	first := w.status == 0
	if first {
		w.begun(http.StatusOK)
	}
	if w.bytes == 0 && w.contentType == "" {
		w.sniff(p)
	}
	if first {
		w.settle()
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// sniff does what the server will do with a body without type, so that a page
// whose origin names none is counted as the page that browsers see.
func (w *responseWriter) sniff(p []byte) {
	h := w.Header()
	if _, named := h["Content-Type"]; named || len(p) == 0 || len(h["Content-Encoding"]) > 0 {
		return
	}
	w.contentType = http.DetectContentType(p)
}

// sniffLen is how much net/http looks at.
const sniffLen = 512

// ReadFrom keeps the way of sendfile open.
func (w *responseWriter) ReadFrom(r io.Reader) (n int64, err error) {
	if w.bytes == 0 && w.contentType == "" && len(w.Header()["Content-Type"]) == 0 {
		// The first bytes go by Write, which sniffs them; net/http itself
		// sends them ahead in the same way.
		n, err = io.Copy(writeOnly{w}, io.LimitReader(r, sniffLen))
		if err != nil || n < sniffLen {
			return n, err
		}
	}
	if w.status == 0 {
		w.begun(http.StatusOK)
		w.settle()
	}
	m, err := w.ResponseWriterWrapper.ReadFrom(r)
	w.bytes += m
	return n + m, err
}

// writeOnly hides ReadFrom from io.Copy.
type writeOnly struct{ io.Writer }

// FlushError notes that a flush sends the header.
func (w *responseWriter) FlushError() error {
	if w.status == 0 {
		w.begun(http.StatusOK)
		w.settle()
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// answer is what became of a request. Unknown: status 0, bytes and ttfb -1.
type answer struct {
	status      int
	contentType string
	bytes       int64
	ttfb        int64 // µs
}

// answer tells how the request was answered, given what the next handler
// returned, if it did. An error that comes before any header will be answered
// by Caddy's error routes, outside of our sight: only its status is known.
func (w *responseWriter) answer(err error, returned bool) answer {
	switch {
	case w.status != 0:
	case err != nil:
		return answer{status: handlerStatus(err), bytes: -1, ttfb: -1}
	case !returned:
		return answer{bytes: -1, ttfb: -1}
	default: // the server completes an answer that nobody began
		w.begun(http.StatusOK)
		w.stamp()
	}
	a := answer{status: w.status, contentType: w.contentType, bytes: w.bytes, ttfb: -1}
	if w.firstByte > 0 {
		a.ttfb = w.firstByte.Microseconds()
	}
	return a
}

// cacheStatus is how a cache between us and the origin names its part.
func cacheStatus(h http.Header) string {
	if v := firstValue(h, "Cache-Status"); v != "" {
		return v
	}
	return firstValue(h, "X-Cache")
}

// firstValue is Header.Get for a name that is canonical already.
func firstValue(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Interface guards.
var (
	_ http.ResponseWriter = (*responseWriter)(nil)
	_ io.ReaderFrom       = (*responseWriter)(nil)
)
