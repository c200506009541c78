package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/eider-analytics/eider/aggregator/relabel"
)

// RelabelControl judges history anew.
type RelabelControl interface {
	// Relabel takes the site by any of its names.
	Relabel(ctx context.Context, o relabel.Options) (relabel.Report, error)
}

func relabelRoute(mux *http.ServeMux, c RelabelControl) {
	mux.HandleFunc("POST /relabel", func(w http.ResponseWriter, r *http.Request) {
		var o relabel.Options
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&o); err != nil {
			reply(w, nil, fmt.Errorf("read command: %w", err))
			return
		}
		report, err := c.Relabel(r.Context(), o)
		reply(w, report, err)
	})
}

// Relabel judges the running server's history anew.
func (c *Client) Relabel(ctx context.Context, o relabel.Options) (relabel.Report, error) {
	var r relabel.Report
	err := c.do(ctx, http.MethodPost, "/relabel", o, &r)
	return r, err
}
