package api

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/state"
)

// methods serves one path by the method of the request; HEAD is GET.
func (s *Server) methods(by map[string]handler) http.Handler { return s.handle(methods(by)) }

func methods(by map[string]handler) handler {
	allow := strings.Join(slices.Sorted(maps.Keys(by)), ", ")
	return func(w http.ResponseWriter, r *http.Request) error {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		h, ok := by[method]
		if !ok {
			w.Header().Set("Allow", allow)
			return &httpError{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "answered here: " + allow}
		}
		return h(w, r)
	}
}

// who is behind a request. shown says whether it brought a token at all; one
// that is not known is refused, whatever would be allowed without.
func (s *Server) who(r *http.Request) (who auth.Principal, shown bool, err error) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return auth.Principal{}, false, nil
	}
	if s.cfg.Keys != nil {
		if who, ok := s.cfg.Keys.Identify(strings.TrimSpace(token)); ok {
			return who, true, nil
		}
	}
	return auth.Principal{}, true, &httpError{
		status: http.StatusUnauthorized, code: "unauthorized", message: "the token is not known: it was revoked, has expired, or is another aggregator's",
	}
}

// mayAsk refuses questions about a site to tokens that are not for them. There
// are no accounts yet: who brings no token may ask whatever the server shows.
func (s *Server) mayAsk(r *http.Request, site *state.Site) error {
	who, shown, err := s.who(r)
	if err != nil || !shown {
		return err
	}
	if !who.May(auth.ScopeStats) {
		return denied("the token is not for questions: it needs the scope " + auth.ScopeStats)
	}
	if !who.For(site.ID) {
		return denied("the token is not for this site")
	}
	return nil
}

// mayChange lets through who shows the owner's token or an admin key. Without
// one, sites may be changed from the machine itself, where the server listens
// for nobody else: who is there may ask everything, too. Keys may not, as they
// outlast the moment. Pages of other origins never get here, nor does what a
// proxy passes on: it names this machine as the host where it does not hand on
// the visitor's, and everybody would be at home here.
func (s *Server) mayChange(r *http.Request, keys bool) error {
	who, shown, err := s.who(r)
	switch {
	case err != nil:
		return err
	case shown && who.May(auth.ScopeAdmin):
		return nil
	case shown:
		return denied("the token is not for administration: it needs the scope " + auth.ScopeAdmin)
	case !keys && s.cfg.Loopback && loopbackName(bareHost(r.Host)) && !passedOn(r):
		return nil
	}
	return &httpError{
		status: http.StatusUnauthorized, code: "unauthorized",
		message: "show the owner's token, which is in owner_token in the data directory, or a key with the scope admin: Authorization: Bearer …",
	}
}

// passedOn reports whether a request shows that a proxy stands before us. Not
// all say so, but those that speak HTTP/1.0 to the server behind them, as nginx
// does, are no clients of today.
func passedOn(r *http.Request) bool {
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-Ip"} {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	return !r.ProtoAtLeast(1, 1)
}

func denied(message string) error {
	return &httpError{status: http.StatusForbidden, code: "forbidden", message: message}
}

// maxChange bounds the body of a change.
const maxChange = 256 << 10

// readChange reads a body of JSON. Forms and plain text are what pages of other
// origins could send without asking, so nothing else is taken.
func readChange(w http.ResponseWriter, r *http.Request, v any) error {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != "application/json" {
		return &httpError{status: http.StatusUnsupportedMediaType, code: "unsupported_type", message: "Content-Type must be application/json"}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxChange))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("one JSON object is wanted")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &httpError{status: http.StatusRequestEntityTooLarge, code: "too_large", message: "the body is too large"}
	}
	if err != nil {
		return invalid(err)
	}
	return nil
}

func invalid(err error) error {
	return &httpError{status: http.StatusBadRequest, code: "invalid", message: err.Error()}
}
