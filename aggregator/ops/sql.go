package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/eider-analytics/eider/shared"
)

// SQLControl answers SQL.
type SQLControl interface {
	// SQL writes the answer to w. Where there is none, nothing is written.
	SQL(ctx context.Context, q SQLQuery, w io.Writer) error
}

// SQLQuery is a statement about one site.
type SQLQuery struct {
	Site   string `json:"site"` // any of its names
	SQL    string `json:"sql"`
	Limit  int    `json:"limit"`  // rows; 0 = the default
	Format string `json:"format"` // see package sqlbox
}

func sqlRoute(mux *http.ServeMux, c SQLControl) {
	mux.HandleFunc("POST /sql", func(w http.ResponseWriter, r *http.Request) {
		var q SQLQuery
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand)).Decode(&q); err != nil {
			reply(w, nil, fmt.Errorf("read command: %w", err))
			return
		}
		out := &begun{ResponseWriter: w}
		if err := c.SQL(r.Context(), q, out); err != nil {
			if out.begun {
				panic(http.ErrAbortHandler) // half of an answer must not look like a whole one
			}
			reply(w, nil, err)
		}
	})
}

// begun knows whether anything was written.
type begun struct {
	http.ResponseWriter
	begun bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.begun = true
	return b.ResponseWriter.Write(p)
}

// SQL asks the running server.
func (c *Client) SQL(ctx context.Context, q SQLQuery, w io.Writer) error {
	res, err := c.send(ctx, http.MethodPost, "/sql", q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("read the running server's answer: %w", err)
	}
	return nil
}

// refusal is what a server that did not do what it was asked says of it.
func refusal(res *http.Response) error {
	var refused shared.ErrorBody
	if err := json.NewDecoder(res.Body).Decode(&refused); err != nil || refused.Error.Message == "" {
		return fmt.Errorf("the running server answered %s", res.Status)
	}
	return errors.New(refused.Error.Message)
}
