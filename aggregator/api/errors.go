package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/shared"
)

// httpError is how a handler says no: status, code and message are for whoever
// asked, cause is for the log.
type httpError struct {
	status  int
	code    string
	message string
	cause   error
	after   int // seconds after which it makes sense to ask again; 0 = it is not said
}

func (e *httpError) Error() string { return e.message }

func (e *httpError) Unwrap() error { return e.cause }

func notFound(message string) error {
	return &httpError{status: http.StatusNotFound, code: "not_found", message: message}
}

// handler either answers or returns why not.
type handler func(w http.ResponseWriter, r *http.Request) error

// handle is the one place that turns errors into answers.
func (s *Server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.refuse(w, r, err)
		}
	})
}

// statusGone is for a client that went away: nobody reads it.
const statusGone = 499

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	refusal := s.refusal(r, err)
	if refusal == nil {
		w.WriteHeader(statusGone)
		return
	}
	writeRefusal(w, r, refusal, shared.ErrorBody{Error: shared.ErrorDetail{Code: refusal.code, Message: refusal.message}})
}

// plain is handle for clients of Plausible, who find the whole text in "error".
func (s *Server) plain(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		refusal := s.refusal(r, err)
		if refusal == nil {
			w.WriteHeader(statusGone)
			return
		}
		writeRefusal(w, r, refusal, map[string]string{"error": refusal.message})
	})
}

// refusal is what a client is told of an error; nil = nobody is there to be told.
func (s *Server) refusal(r *http.Request, err error) *httpError {
	var refusal *httpError
	var parameter *stats.InvalidError
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.As(err, &parameter):
		return &httpError{status: http.StatusBadRequest, code: "invalid_parameter", message: parameter.Error()}
	case r.Context().Err() != nil:
		return nil
	case errors.Is(err, duck.ErrMemory):
		s.log.Warn("question needs more memory than there is", zap.String("path", r.URL.Path))
		return &httpError{
			status: http.StatusServiceUnavailable, code: "too_large",
			message: "the answer needs more memory than there is: ask for a shorter range, or raise query_memory and query_temp",
		}
	case busy(err) != nil:
		return busy(err)
	case errors.Is(err, context.DeadlineExceeded):
		return &httpError{
			status: http.StatusServiceUnavailable, code: "too_slow",
			message: "the answer took too long: ask for a shorter range, or raise query_timeout",
		}
	}
	s.log.Error("question could not be answered", zap.String("path", r.URL.Path), zap.Error(err))
	return &httpError{status: http.StatusInternalServerError, code: "internal", message: "internal error, see the aggregator's log"}
}

func writeRefusal(w http.ResponseWriter, r *http.Request, refusal *httpError, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	if refusal.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(refusal.after))
	}
	writeJSON(w, r, refusal.status, "no-store", body)
}

// writeJSON writes a whole answer.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, cache string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", cache)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a reader who went away is no error of ours
	}
}
