package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
	"github.com/eider-analytics/eider/shared/classify"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler observes the requests of a site and records page views, errors,
// downloads, feeds and bots. It passes every request on, unchanged, but for
// those below `script`, which it answers itself.
//
// In a Caddyfile it takes its place by itself, outside of rewrites and
// encoding, so that it sees the original URI and the bytes on the wire. In
// JSON, put it first.
type Handler struct {
	// The name of the site, usually its domain. By default each host that the
	// route's host matchers name is a site of its own; on a route without host
	// matcher, or with a wildcard, those hosts are sites that were added at the
	// aggregator. Placeholders are replaced when the configuration is loaded.
	Site string `json:"site,omitempty"`

	// Paths whose requests are left out: counted as `excluded`, never
	// recorded. They are matched as Caddy's path matcher does: the whole path
	// in any case, with `*` at the start or end (or anywhere) standing for
	// whatever is there.
	Exclude []string `json:"exclude,omitempty"`

	// What is counted, where it differs from the default: a name of errors,
	// downloads, feeds, bots, prefetches, soft_navigations, evidence (all on by
	// default) or frames (off), and true or false. Requests that would be
	// recorded otherwise are then counted as `switched_off`. Without evidence
	// no visitor is remembered from one request to the next.
	Count map[string]bool `json:"count,omitempty"`

	// Where below the site the script and its endpoints are, as /e. If it is
	// set, requests below it are answered here and go no further, and page views carry their view id in a Server-Timing header for the
	// script to read.
	Script string `json:"script,omitempty"`

	// The name of the script below that path, instead of e.js and script.js,
	// and the name that it sends to, instead of event. Blockers know names.
	ScriptFile     string `json:"script_file,omitempty"`
	ScriptEndpoint string `json:"script_endpoint,omitempty"`

	// The least that is left out of the events of the site: "strict" or "cnil".
	// The registry's options for the site hold beside; the stricter wins.
	Privacy string `json:"privacy,omitempty"`

	app     *App
	rt      *runtime
	server  *caddyhttp.Server
	exclude classify.Paths
	counted classify.Switches
	layers  layers
	privacy *shared.Privacy
	collect *beacon.Handler // nil = no script
	hosts   hostResolver
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.eider", New: func() caddy.Module { return new(Handler) }}
}

// Provision finds the app and prepares the rules.
func (h *Handler) Provision(ctx caddy.Context) error {
	module, err := ctx.App("eider")
	if err != nil {
		return err
	}
	h.app = module.(*App)
	h.rt = h.app.rt
	if h.layers, err = judgeBy(h.app.Judge); err != nil {
		return err
	}
	if h.Site, err = caddy.NewReplacer().ReplaceOrErr(h.Site, true, true); err != nil {
		return fmt.Errorf("site: %w", err)
	}
	if h.Site != "" {
		if h.Site, err = siteName(h.Site); err != nil {
			return err
		}
	}
	if h.exclude, err = classify.CompilePaths(h.Exclude); err != nil {
		return fmt.Errorf("exclude %w", err)
	}
	if h.counted, err = readCount(h.Count); err != nil {
		return err
	}
	if h.privacy, err = shared.Preset(h.Privacy); err != nil {
		return err
	}
	if err = h.provisionScript(); err != nil {
		return err
	}
	h.server, _ = ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	h.app.addHandler(h)
	if h.server != nil && looselyTrusts(h.server) && h.app.warnLoose(h.server) {
		ctx.Logger().Warn("trusted_proxies is set without trusted_proxies_strict: the left-most X-Forwarded-For entry, which "+
			"a client can forge, counts as its address",
			zap.String("server", h.server.Name()))
	}
	return nil
}

// looselyTrusts reports whether the server takes the left-most entry of a
// trusted proxy's X-Forwarded-For, which anybody can write. Caddy keeps the
// range source in an unexported field by the time handlers are provisioned;
// whether it is nil can be seen nevertheless.
func looselyTrusts(server *caddyhttp.Server) bool {
	source := reflect.ValueOf(server).Elem().FieldByName("trustedProxies")
	return source.IsValid() && source.Kind() == reflect.Interface && !source.IsNil() && server.TrustedProxiesStrict == 0
}

// ServeHTTP passes the request to next, exactly once, and counts it.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (err error) {
	var a asked
	if !h.begin(&a, r) {
		if a.collects {
			h.collect.ServeHTTP(w, r)
			return nil
		}
		return next.ServeHTTP(w, r)
	}
	// The writer is not pooled: a handler that kept it past its return could
	// otherwise write into another visitor's answer.
	rw := &responseWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, exchange: h.rt.exchange(), handler: h}
	rw.asked, rw.request = a, r
	h.listen(&rw.capture, r)
	returned := false
	// Deferred without recover: reverse_proxy panics on purpose when a body
	// breaks off, and such a request counts too.
	defer func() { h.finish(rw, err, returned) }()
	err = next.ServeHTTP(rw, r)
	returned = true
	return err
}

// begin notes what the request is for before any other handler changes it. It
// returns false if there is nothing more to see: the request is counted
// already.
func (h *Handler) begin(c *asked, r *http.Request) (observe bool) {
	defer h.guard(c)
	if !c.enter(r) {
		return false
	}
	c.address(r)
	c.site = h.hosts.lookup(h, r.Host)
	if c.site != h.rt.other && h.collects(r) {
		c.count(shared.ResultCollection)
		c.collects = true
		return false
	}
	early := classify.Request{
		Path: c.path, UserAgent: firstValue(r.Header, "User-Agent"),
		Excluded: h.exclude.Match(c.path), UnknownHost: c.site == h.rt.other,
	}
	if result, done := early.Early(); done {
		if result == shared.ResultUnknownHost {
			h.rt.hosts.Seen(r.Host)
		}
		c.count(result)
		return false
	}
	return true
}

// listen notes what the request's headers say.
func (h *Handler) listen(c *capture, r *http.Request) {
	defer h.guard(&c.asked)
	c.started = start(c.vars)
	c.headers(r.Header)
	c.decline(h)
}

// finish counts the request and records what is to be recorded.
func (h *Handler) finish(w *responseWriter, err error, returned bool) {
	defer h.rt.release(w)
	c := &w.capture
	defer h.guard(&c.asked)
	a := w.answer(err, returned)
	if c.counted {
		return // our code failed on it
	}
	if !w.judged || w.judgedType != a.contentType {
		h.judge(w, a.status, a.contentType)
	}
	if a.status == http.StatusOK && c.method == http.MethodGet {
		h.rt.types.Learn(c.site.name, c.path, a.contentType)
	}
	c.count(w.result)
	if w.result.Recorded() {
		var o shared.Observation
		c.observe(&o, w.request, a, h.layers.noHeaders)
		o.CacheStatus = cacheStatus(w.Header())
		o.Result, o.Kind, o.ViewID = w.result, w.kind, w.viewID
		w.texts.take(&o)
		h.rt.ring.push(&o, &w.texts)
	}
	h.complete(w)
}

// guard catches a panic of our own code: the request is counted as `internal`
// unless it has been counted, and the visitor notices nothing. It is deferred
// in begin, listen, settle and finish only, never around the next handler.
func (h *Handler) guard(c *asked) {
	v := recover()
	if v == nil {
		return
	}
	defer func() {
		if again := recover(); again != nil { // even in counting it
			h.rt.reportPanic("count", again)
		}
	}()
	if !c.counted {
		if c.site == nil {
			c.site = h.rt.other
		}
		c.count(shared.ResultInternal)
	}
	h.rt.reportPanic("observe", v)
}

// handlerStatus is the status that an error will be answered with.
func handlerStatus(err error) int {
	var he caddyhttp.HandlerError
	if errors.As(err, &he) && he.StatusCode != 0 {
		return he.StatusCode
	}
	return http.StatusInternalServerError
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
