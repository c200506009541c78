package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/classify"
	"github.com/eider-analytics/eider/shared/conduct"
	"github.com/eider-analytics/eider/shared/enrich"
)

// The layers by which requests are judged to be bots'. The user agent always is.
const (
	layerAgents   = "agents"
	layerHeaders  = "headers"
	layerBehavior = "behavior"
)

// layers are those that are left out; the zero value judges by all.
type layers struct{ noHeaders, noBehavior bool }

// judgeBy reads the names of the layers that are wanted; none means all.
func judgeBy(names []string) (layers, error) {
	if len(names) == 0 {
		return layers{}, nil
	}
	known := []string{layerAgents, layerHeaders, layerBehavior}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return layers{}, fmt.Errorf("judge: unknown layer %q: want one or more of %s", name, strings.Join(known, ", "))
		}
	}
	return layers{!slices.Contains(names, layerHeaders), !slices.Contains(names, layerBehavior)}, nil
}

// signs are what a request shows of its sender.
func (c *capture) signs(h *Handler, r *http.Request) enrich.Signs {
	return enrich.Signs{
		UserAgent: c.userAgent, At: c.started.UnixMicro(),
		HeadersKnown: !h.layers.noHeaders, Secure: r.TLS != nil, SecFetch: c.secFetch(),
		Language: c.language != "", Hints: c.chua,
	}
}

func (c *capture) secFetch() bool {
	return c.fetchSite != "" || c.signals.Dest != classify.DestUnknown
}

// behindUnknownProxy reports whether the request came through a proxy that Caddy
// was not told about. Behind a CDN that answers styles and images itself, its
// whole audience would look like one client that reads page after page.
func (c *capture) behindUnknownProxy(r *http.Request) bool {
	if trustedPeer(c.vars) {
		return false
	}
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip", "Cf-Connecting-Ip", "True-Client-Ip", "Cdn-Loop"} {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	return false
}

// answered is the request's result: what it is, and whether a bot asked.
func (h *Handler) answered(w *responseWriter, q *classify.Request) (shared.Result, shared.Kind) {
	c := &w.capture
	signs := c.signs(h, w.request)
	q.Bot = h.rt.isBot(signs) || c.behavior != ""
	result, kind := q.Answered()
	if q.Bot || h.layers.noBehavior || w.judged { // a second look sees the same request
		return result, kind
	}
	seen := conduct.Request{
		UserAgent: c.userAgent, At: signs.At, Path: c.path, Status: q.Status, Result: result, Embedded: q.Signals.Embedded(),
	}
	if h.counted&classify.NoEvidence == 0 { // where no visitor is to be remembered, the path alone says something
		seen.Addr = c.client()
	}
	c.behavior = h.rt.conduct.Observe(&seen)
	if c.behavior != "" && c.behindUnknownProxy(w.request) {
		seen.Addr = netip.Addr{} // not the client's: only the path counts
		c.behavior = h.rt.conduct.Observe(&seen)
	}
	if c.behavior != "" {
		q.Bot = true
		return q.Answered()
	}
	return result, kind
}
