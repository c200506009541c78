package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
)

// Control is what operator commands can ask, of the running server or, by
// [Client], from another process.
type Control interface {
	SiteControl
	KeyControl
	RelabelControl
	SealControl
	EraseControl
	SQLControl
	Verify(ctx context.Context) (Report, error)
}

// SiteControl is the registry.
type SiteControl interface {
	Sites(ctx context.Context) ([]state.Site, error)
	// AddSite makes sure that a domain is a site that has what c says.
	AddSite(ctx context.Context, domain string, c sites.Change) (state.Site, error)
	// EditSite changes a site, by its id, UUID or domain.
	EditSite(ctx context.Context, name string, c sites.Change) (state.Site, error)
}

// KeyControl is the keys.
type KeyControl interface {
	Keys(ctx context.Context) ([]state.Key, error)
	AddKey(ctx context.Context, n auth.New) (auth.Issued, error)
	// RevokeKey ends a key, by its id.
	RevokeKey(ctx context.Context, id string) (state.Key, error)
}

func controlRoutes(c Control, edges http.Handler) http.Handler {
	mux := http.NewServeMux()
	if edges != nil {
		mux.Handle("/v1/", edges)
	}
	mux.HandleFunc("GET /sites", func(w http.ResponseWriter, r *http.Request) {
		list, err := c.Sites(r.Context())
		reply(w, list, err)
	})
	mux.HandleFunc("POST /sites", command(func(ctx context.Context, _ *http.Request, in addSite) (any, error) {
		return c.AddSite(ctx, in.Domain, in.Change)
	}))
	mux.HandleFunc("PATCH /sites/{name}", command(func(ctx context.Context, r *http.Request, in sites.Change) (any, error) {
		return c.EditSite(ctx, r.PathValue("name"), in)
	}))
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		list, err := c.Keys(r.Context())
		reply(w, list, err)
	})
	mux.HandleFunc("POST /keys", command(func(ctx context.Context, _ *http.Request, in auth.New) (any, error) {
		return c.AddKey(ctx, in)
	}))
	mux.HandleFunc("DELETE /keys/{id}", func(w http.ResponseWriter, r *http.Request) {
		key, err := c.RevokeKey(r.Context(), r.PathValue("id"))
		reply(w, key, err)
	})
	mux.HandleFunc("POST /verify", func(w http.ResponseWriter, r *http.Request) {
		report, err := c.Verify(r.Context())
		reply(w, report, err)
	})
	relabelRoute(mux, c)
	sealRoute(mux, c)
	eraseRoutes(mux, c)
	sqlRoute(mux, c)
	return mux
}

// maxCommand bounds a command; a site's lists are most of it.
const maxCommand = 256 << 10

// command reads what a command brings and answers with what it made.
func command[T any](do func(ctx context.Context, r *http.Request, in T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCommand)).Decode(&in); err != nil {
			reply(w, nil, fmt.Errorf("read command: %w", err))
			return
		}
		out, err := do(r.Context(), r, in)
		reply(w, out, err)
	}
}

type addSite struct {
	Domain string       `json:"domain"`
	Change sites.Change `json:"change"`
}

// Sites lists the sites.
func (c *Client) Sites(ctx context.Context) ([]state.Site, error) {
	var list []state.Site
	err := c.do(ctx, http.MethodGet, "/sites", nil, &list)
	return list, err
}

// AddSite makes sure that a domain is a site that has what change says.
func (c *Client) AddSite(ctx context.Context, domain string, change sites.Change) (state.Site, error) {
	var site state.Site
	err := c.do(ctx, http.MethodPost, "/sites", addSite{domain, change}, &site)
	return site, err
}

// EditSite changes a site.
func (c *Client) EditSite(ctx context.Context, name string, change sites.Change) (state.Site, error) {
	var site state.Site
	err := c.do(ctx, http.MethodPatch, "/sites/"+url.PathEscape(name), change, &site)
	return site, err
}

// Keys lists the keys.
func (c *Client) Keys(ctx context.Context) ([]state.Key, error) {
	var list []state.Key
	err := c.do(ctx, http.MethodGet, "/keys", nil, &list)
	return list, err
}

// AddKey makes a key.
func (c *Client) AddKey(ctx context.Context, n auth.New) (auth.Issued, error) {
	var key auth.Issued
	err := c.do(ctx, http.MethodPost, "/keys", n, &key)
	return key, err
}

// RevokeKey ends a key.
func (c *Client) RevokeKey(ctx context.Context, id string) (state.Key, error) {
	var key state.Key
	err := c.do(ctx, http.MethodDelete, "/keys/"+url.PathEscape(id), nil, &key)
	return key, err
}

// Verify compares the running server's books with its files.
func (c *Client) Verify(ctx context.Context) (Report, error) {
	var r Report
	err := c.do(ctx, http.MethodPost, "/verify", nil, &r)
	return r, err
}
