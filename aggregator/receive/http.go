package receive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// Deadlines of one request. A client that is slower than pieceSize in
// pieceTime, or needs longer than bodyTime in all, holds memory for nothing.
const (
	pieceSize  = 64 << 10
	pieceTime  = 10 * time.Second
	bodyTime   = 2 * time.Minute
	answerTime = 30 * time.Second
)

// httpError is how a handler says no: status, code and message are for the
// client, cause is for the log.
type httpError struct {
	status     int
	code       string
	message    string
	retryAfter time.Duration
	expected   uint64
	epoch      *shared.Epoch
	cause      error
}

func (e *httpError) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %v", e.message, e.cause)
	}
	return e.message
}

func (e *httpError) Unwrap() error { return e.cause }

func badRequest(format string, args ...any) error {
	return &httpError{status: http.StatusBadRequest, code: "bad_request", message: fmt.Sprintf(format, args...)}
}

// busy asks the sender to come back.
func busy(message string, cause error) error {
	return &httpError{
		status: http.StatusServiceUnavailable, code: "busy", message: message, retryAfter: retryAfter, cause: cause,
	}
}

func edgeInUse() error {
	return &httpError{
		status: http.StatusConflict, code: shared.CodeEdgeInUse,
		message: "another process sends as this edge, probably from a copy of its queue directory; take a new edge id",
	}
}

// handler is one authenticated endpoint. It either answers or returns why not.
type handler func(w http.ResponseWriter, req *http.Request, allows Permission) error

// handle authenticates and is the one place that turns errors into answers.
func (r *Receiver) handle(endpoint string, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		allows, ok := r.authorize(req)
		var err error
		if ok {
			err = h(w, req, allows)
		} else {
			r.unauthorized.Do(func() { r.log.Warn("edge with an unknown token", zap.String("endpoint", endpoint)) })
			err = &httpError{
				status: http.StatusUnauthorized, code: shared.CodeUnauthorized,
				message: "unknown edge token: set the same EIDER_EDGE_TOKEN on the edge and on the aggregator",
			}
		}
		r.metrics.requests.WithLabelValues(endpoint, strconv.Itoa(r.refuse(w, err))).Inc()
	})
}

// refuse writes an error answer and returns the status of the request.
func (r *Receiver) refuse(w http.ResponseWriter, err error) int {
	if err == nil {
		return http.StatusOK
	}
	var e *httpError
	if !errors.As(err, &e) {
		r.log.Error("request to the receiver failed", zap.Error(err))
		e = &httpError{status: http.StatusInternalServerError, code: "internal", message: "internal error, see the aggregator's log"}
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.retryAfter/time.Second)))
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	body := shared.ErrorBody{Error: shared.ErrorDetail{Code: e.code, Message: e.message, Expected: e.expected, Epoch: e.epoch}}
	// A client that has gone away can't be told anything.
	_ = respond(w, e.status, body)
	return e.status
}

// respond writes v as JSON within answerTime.
func respond(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	// Not every ResponseWriter has deadlines; the server's own hold then.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a lost answer is an edge that asks again
	return nil
}

func requireType(req *http.Request, want string) error {
	got, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if encoding := req.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return &httpError{status: http.StatusUnsupportedMediaType, code: "unsupported_encoding", message: "send the body without Content-Encoding"}
	}
	if err != nil || got != want {
		return &httpError{status: http.StatusUnsupportedMediaType, code: "unsupported_type", message: "Content-Type must be " + want}
	}
	return nil
}

func tooLarge(limit int64) error {
	return &httpError{
		status: http.StatusRequestEntityTooLarge, code: "too_large",
		message: fmt.Sprintf("body larger than %d bytes", limit),
	}
}

var bodyPool = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledBody keeps rare large bodies out of the pool.
const maxPooledBody = 5 << 20

// readBody reads a whole body of at most shared.MaxBody bytes, as fast as the
// bounds ask for. The bytes are the caller's until release.
func (r *Receiver) readBody(w http.ResponseWriter, req *http.Request) (body []byte, release func(), err error) {
	weight := req.ContentLength
	if weight > shared.MaxBody {
		return nil, nil, tooLarge(shared.MaxBody)
	}
	if weight < 0 {
		weight = shared.MaxBody
	}
	ctx, cancel := context.WithTimeout(req.Context(), patience)
	defer cancel()
	if err := r.bodies.Acquire(ctx, weight); err != nil {
		return nil, nil, busy("too many requests at once", err)
	}
	buf := bodyPool.Get().(*[]byte)
	release = func() {
		if cap(*buf) <= maxPooledBody {
			bodyPool.Put(buf)
		}
		r.bodies.Release(weight)
	}
	rc := http.NewResponseController(w)
	*buf, err = readPieces(http.MaxBytesReader(w, req.Body, shared.MaxBody), (*buf)[:0], func(at time.Time) {
		_ = rc.SetReadDeadline(at)
	})
	if err == nil {
		_ = rc.SetReadDeadline(time.Time{}) // deciding may take longer than a piece
		return *buf, release, nil
	}
	release()
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, nil, tooLarge(large.Limit)
	}
	return nil, nil, &httpError{status: http.StatusBadRequest, code: "body_incomplete", message: "the body ended early or came too slowly", cause: err}
}

// readPieces appends everything that src has to buf, a piece at a time, and
// sets the deadline for each.
func readPieces(src io.Reader, buf []byte, deadline func(time.Time)) ([]byte, error) {
	end := time.Now().Add(bodyTime)
	for {
		if now := time.Now(); now.Add(pieceTime).Before(end) {
			deadline(now.Add(pieceTime))
		} else {
			deadline(end)
		}
		at := len(buf)
		if cap(buf)-at < pieceSize {
			grown := make([]byte, at, max(2*cap(buf), at+pieceSize))
			copy(grown, buf)
			buf = grown
		}
		for piece := buf[at : at+pieceSize]; len(piece) > 0; {
			n, err := src.Read(piece)
			piece, buf = piece[n:], buf[:len(buf)+n]
			if err == io.EOF {
				return buf, nil
			}
			if err != nil {
				return buf, err
			}
		}
	}
}

// observations reserves the path for proxies that can't enrich.
func (r *Receiver) observations(http.ResponseWriter, *http.Request, Permission) error {
	return &httpError{
		status: http.StatusNotImplemented, code: "not_implemented",
		message: "raw observations are not taken yet; send enriched batches to " + shared.PathBatches,
	}
}
