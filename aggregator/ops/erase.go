package ops

import (
	"context"
	"net/http"
	"net/url"

	"github.com/eider-analytics/eider/aggregator/erasure"
	"github.com/eider-analytics/eider/aggregator/state"
)

// EraseControl takes away what somebody asked to be taken away.
type EraseControl interface {
	Erase(ctx context.Context, r erasure.Request) (erasure.Report, error)
	// Erasures lists the ledger, oldest first.
	Erasures(ctx context.Context) ([]state.Erasure, error)
	// ForgetErasure lets in again what an erasure concerns.
	ForgetErasure(ctx context.Context, id string) (state.Erasure, error)
}

func eraseRoutes(mux *http.ServeMux, c EraseControl) {
	mux.HandleFunc("POST /erase", command(func(ctx context.Context, _ *http.Request, in erasure.Request) (any, error) {
		return c.Erase(ctx, in)
	}))
	mux.HandleFunc("GET /erasures", func(w http.ResponseWriter, r *http.Request) {
		list, err := c.Erasures(r.Context())
		reply(w, list, err)
	})
	mux.HandleFunc("POST /erasures/{id}/forget", func(w http.ResponseWriter, r *http.Request) {
		entry, err := c.ForgetErasure(r.Context(), r.PathValue("id"))
		reply(w, entry, err)
	})
}

// Erase takes away what a request names, by the running server.
func (c *Client) Erase(ctx context.Context, r erasure.Request) (erasure.Report, error) {
	var report erasure.Report
	err := c.do(ctx, http.MethodPost, "/erase", r, &report)
	return report, err
}

// Erasures lists the running server's ledger.
func (c *Client) Erasures(ctx context.Context) ([]state.Erasure, error) {
	var list []state.Erasure
	err := c.do(ctx, http.MethodGet, "/erasures", nil, &list)
	return list, err
}

// ForgetErasure lets in again what an erasure concerns.
func (c *Client) ForgetErasure(ctx context.Context, id string) (state.Erasure, error) {
	var entry state.Erasure
	err := c.do(ctx, http.MethodPost, "/erasures/"+url.PathEscape(id)+"/forget", nil, &entry)
	return entry, err
}
