package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/eider-analytics/eider/aggregator/erasure"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// Eraser takes away what a request names; see package erasure.
type Eraser interface {
	Erase(ctx context.Context, r erasure.Request) (erasure.Report, error)
}

// erase serves DELETE /api/erase. It can't be undone, so it always asks for the
// owner's token or an administrator's.
func (s *Server) erase(w http.ResponseWriter, r *http.Request) error {
	if err := s.mayChange(r, true); err != nil {
		return err
	}
	ask, err := eraseRequest(r.URL.RawQuery)
	if err != nil {
		return err
	}
	who, _, err := s.who(r)
	if err != nil {
		return err
	}
	ask.By = who.ID
	report, err := s.cfg.Eraser.Erase(r.Context(), ask)
	var bad *erasure.InvalidError
	switch {
	case errors.Is(err, erasure.ErrUnknownSite):
		return unknownSite()
	case errors.As(err, &bad):
		return invalidParameter(bad.Error())
	case err != nil:
		return err
	}
	return answerJSON(w, r, http.StatusOK, report)
}

func invalidParameter(message string) error {
	return &httpError{status: http.StatusBadRequest, code: "invalid_parameter", message: message}
}

// eraseRequest reads the parameters. One that is not known or comes twice is an
// error: without it, more would be erased than was meant.
func eraseRequest(raw string) (erasure.Request, error) {
	var ask erasure.Request
	query, err := url.ParseQuery(raw)
	if err != nil {
		return ask, invalidParameter("the query can't be read: percent-encode the values")
	}
	texts := map[string]*string{
		"site_id": &ask.Site, "start_date": &ask.Start, "end_date": &ask.End, "visitor_id": &ask.VisitorID, "distinct_id": &ask.DistinctID,
	}
	flags := map[string]*bool{"everything": &ask.Everything, "dry_run": &ask.DryRun}
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := query[name]
		text, flag := texts[name], flags[name]
		switch {
		case text == nil && flag == nil:
			return ask, invalidParameter(fmt.Sprintf("%.40q: there is no such parameter; those are site_id, start_date, end_date, visitor_id, distinct_id, everything, dry_run", name))
		case len(values) != 1 || values[0] == "":
			return ask, invalidParameter(name + ": give it once, and with a value")
		case text != nil:
			*text = values[0]
		default:
			on, err := strconv.ParseBool(values[0])
			if err != nil {
				return ask, invalidParameter(name + ": true or false")
			}
			*flag = on
		}
	}
	if ask.Site == "" {
		return ask, invalidParameter("site_id: say which site")
	}
	return ask, nil
}

// erased counts what was erased of the days that a question touches.
func (s *Server) erased(q *stats.Query) (n int64, err error) {
	list, err := s.cfg.Books.Erased()
	if err != nil {
		return 0, fmt.Errorf("read what was erased: %w", err)
	}
	from := time.UnixMicro(q.Range.From).In(q.Range.Zone).Format(time.DateOnly)
	to := time.UnixMicro(q.Range.To - 1).In(q.Range.Zone).Format(time.DateOnly)
	for _, e := range list {
		if e.SiteID == q.SiteID && e.Date >= from && e.Date <= to {
			n += e.Rows
		}
	}
	return n, nil
}
