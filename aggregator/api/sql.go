package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/eider-analytics/eider/aggregator/sqlbox"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// SQL runs statements of people.
type SQL interface {
	Run(ctx context.Context, q sqlbox.Request) (*sqlbox.Answer, error)
}

// sqlBody is the body of POST /api/sql.
type sqlBody struct {
	SiteID     string        `json:"site_id"`
	SQL        string        `json:"sql"`
	Limit      int           `json:"limit"`
	Format     string        `json:"format"`
	Parameters sqlParameters `json:"parameters"`
}

// sqlParameters are the values of $1, $2 and so on, or of the question marks.
type sqlParameters []any

// UnmarshalJSON keeps whole numbers whole.
func (p *sqlParameters) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return errors.New("parameters must be a list")
	}
	for _, raw := range list {
		v, err := sqlParameter(raw)
		if err != nil {
			return err
		}
		*p = append(*p, v)
	}
	return nil
}

func sqlParameter(raw json.RawMessage) (any, error) {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n, nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil, string, bool:
		return v, nil
	case float64:
		if !math.IsInf(v, 0) {
			return v, nil
		}
	}
	return nil, errors.New("parameters: each is a text, a number, true, false or null")
}

// Headers of an answer to SQL.
const (
	headerRows      = "X-Eider-Rows"
	headerTruncated = "X-Eider-Truncated"
)

// sql answers a statement about one site. The answer is whole before its first
// byte is sent, so that what goes wrong is a status.
func (s *Server) sql(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.SQL == nil {
		return notFound("this server answers no SQL")
	}
	var body sqlBody
	if err := readChange(w, r, &body); err != nil {
		return err
	}
	site, err := s.namedSite(r, body.SiteID)
	if err != nil {
		return err
	}
	name := body.Format
	if query, err := url.ParseQuery(r.URL.RawQuery); err == nil && name == "" {
		name = query.Get("format")
	}
	format, err := sqlbox.ParseFormat(name, r.Header.Get("Accept"))
	if err != nil {
		return sqlRefusal(err)
	}
	answer, err := s.cfg.SQL.Run(r.Context(), sqlbox.Request{Site: site, SQL: body.SQL, Args: body.Parameters, Limit: body.Limit, Format: format})
	if err != nil {
		return sqlRefusal(err)
	}
	defer answer.Close()
	h := w.Header()
	h.Set("Content-Type", format.ContentType())
	h.Set("Content-Length", strconv.FormatInt(answer.Size, 10))
	h.Set("Cache-Control", "no-store")
	h.Set(headerRows, strconv.FormatInt(answer.Rows, 10))
	h.Set(headerTruncated, strconv.FormatBool(answer.Truncated))
	if format != sqlbox.JSON {
		h.Set("Content-Disposition", `attachment; filename="eider.`+string(format)+`"`)
	}
	_, _ = io.Copy(w, answer) // a reader who went away is no error of ours
	return nil
}

// namedSite finds the site that a body names, for whoever may ask about it.
func (s *Server) namedSite(r *http.Request, name string) (state.Site, error) {
	if !validSiteID(name) {
		return state.Site{}, &stats.InvalidError{Field: "site_id", Message: "must be a site's id, UUID or domain: 1 to 256 letters, digits and . _ : -"}
	}
	site, ok := s.cfg.Sites.Resolve(name)
	if !ok {
		return state.Site{}, unknownSite()
	}
	return site, s.mayAsk(r, &site)
}

// sqlRefusal is what went wrong with a statement, as a status.
func sqlRefusal(err error) error {
	var refused *sqlbox.RefusedError
	switch {
	case errors.As(err, &refused):
		status := http.StatusBadRequest
		switch refused.Code {
		case "too_long", "too_large":
			status = http.StatusRequestEntityTooLarge
		case "too_slow", "too_much_memory", "too_much":
			status = http.StatusUnprocessableEntity
		}
		return &httpError{status: status, code: refused.Code, message: refused.Message}
	case errors.Is(err, sqlbox.ErrBusy):
		return &httpError{status: http.StatusTooManyRequests, code: "busy", message: err.Error()}
	}
	return err
}
