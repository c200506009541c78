package beacon

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon/script"
	"github.com/eider-analytics/eider/shared/registry"
)

// Log is where events are written to.
type Log interface {
	// AddWait returns once the events are written. They may be used again then.
	AddWait(ctx context.Context, events []shared.Event) error
}

// Grant says for which sites, by their ids, an API key may send; nil = all.
type Grant func(siteID string) bool

// Config is what an [Intake] works with. View, Enrich, CleanProps, Log and
// ClientIP are required.
type Config struct {
	// View is the newest state of the registry, never nil.
	View func() *registry.View
	// Enrich makes an event of an observation; see package enrich.
	Enrich func(o *shared.Observation, dst *shared.Event)
	// CleanProps takes out of an event's properties what may not be in its path,
	// by the site's options and those of the place.
	CleanProps func(e *shared.Event, extra *shared.Privacy)
	Log        Log
	// ClientIP is the client's address, as far as the embedding server trusts
	// what stands before it.
	ClientIP func(*http.Request) netip.Addr
	// Trusted reports whether the peer, the other end of the connection, may
	// speak for others. nil = nobody.
	Trusted func(*http.Request) bool
	// Keys knows the API keys with the scope ingest. nil = there are none here,
	// and no server batches.
	Keys func(token string) (Grant, bool)
	// Unresolved accepts sites that the registry does not know, as long as it
	// has never been heard of: whether there are such sites is then for the
	// aggregator to say.
	Unresolved bool
	// UnknownSite is told the names of sites that are asked for and unknown.
	UnknownSite func(name string)
	Limits      Limits
	Logger      *zap.Logger // nil = silent
}

// Bounds of one request. Each names the abuse or accident it stops.
const (
	// maxBody bounds one message, or one native batch of a page.
	maxBody = 64 << 10
	// maxBatchBody bounds Umami's batches and maxServerBody those of servers.
	maxBatchBody  = 4 << 20
	maxServerBody = 8 << 20
	// writePatience is how long a message waits to be written before its sender
	// is told to come back.
	writePatience = 5 * time.Second
	// retryAfter is what it is told then, in seconds.
	retryAfter = "3"
)

// Longest values that are looked at of a request's headers, in bytes.
const (
	maxAgent  = 1024
	maxHeader = 256
	maxURL    = 4096
)

// Intake takes in what browsers, clients and servers send. It is safe for
// concurrent use; what it owns needs no closing.
type Intake struct {
	cfg       Config
	log       *zap.Logger
	counts    Counts
	addresses atomic.Pointer[buckets]
	sites     atomic.Pointer[buckets]
	held      atomic.Int64 // bytes of large bodies that are being read
	slow      slowBodies
	lastPanic atomic.Int64 // when one was logged, ns since 1970
	// ownKey signs tokens until the registry brings a key.
	ownKey []byte
	now    func() time.Time
}

// New makes an intake.
func New(cfg Config) *Intake {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	in := &Intake{cfg: cfg, log: cfg.Logger, ownKey: make([]byte, 32), now: time.Now}
	in.SetLimits(cfg.Limits)
	in.slow.allow(bodyTime)
	_, _ = rand.Read(in.ownKey) // never fails since Go 1.24
	return in
}

// SetLimits exchanges the token buckets for full ones.
func (in *Intake) SetLimits(l Limits) {
	in.addresses.Store(newBuckets(l.PerAddress, defaultPerAddress, 10, addressBuckets))
	in.sites.Store(newBuckets(l.PerSite, defaultPerSite, MaxServerBatch, siteBuckets))
}

// Counts are the outcomes of all messages so far.
func (in *Intake) Counts() *Counts { return &in.counts }

// Mount is a place at which an intake is reached.
type Mount struct {
	// Prefix is the path that everything is below, such as /e; "" = the root.
	Prefix string
	// Site names the site of a request, whatever its messages say; "" or nil =
	// they say it. Where it is set, a site that the registry does not know is
	// the configuration's, and good.
	Site func(*http.Request) string
	// Privacy is what the place asks for beside the registry; nil = nothing.
	Privacy *shared.Privacy
	// Excluded reports of which pages, by their decoded paths, nothing is recorded;
	// nil = there are none.
	Excluded func(path string) bool
	// File is the script's name; "" = e.js and script.js.
	File string
	// Endpoint is the name of the endpoint that the script sends to; "" = event
	// below a prefix, api/e at the root.
	Endpoint string
}

// Handler is an [Intake] at one place.
type Handler struct {
	in     *Intake
	mount  Mount
	prefix string // with a slash at its end
	routes map[string]endpoint
	script http.Handler
}

// endpoint is one endpoint: what each method does.
type endpoint struct {
	get, post func(*request)
	cors      corsRule
}

// At returns the handler for a place.
func (in *Intake) At(m Mount) *Handler {
	h := &Handler{in: in, mount: m, prefix: strings.TrimSuffix(m.Prefix, "/") + "/"}
	if h.mount.Endpoint == "" {
		h.mount.Endpoint = "event"
		if h.prefix == "/" {
			h.mount.Endpoint = "api/e"
		}
	}
	h.routes = map[string]endpoint{
		"api/event":     {get: (*request).pixel, post: (*request).plausible, cors: corsPlain},
		"api/send":      {post: (*request).umamiSend, cors: corsUmami},
		"api/batch":     {post: (*request).umamiBatch, cors: corsUmami},
		"api/heartbeat": {get: (*request).heartbeat, cors: corsUmami},
		"p":             {get: (*request).pixelLink, cors: corsPlain},
		"q":             {get: (*request).followLink, cors: corsPlain},
		"opt-out":       {post: (*request).optOut, cors: corsNone},
		"opt-in":        {post: (*request).optIn, cors: corsNone},
	}
	h.routes[h.mount.Endpoint] = endpoint{post: (*request).native, cors: corsPlain}
	if in.cfg.Keys != nil {
		h.routes["api/events"] = endpoint{post: (*request).serverBatch, cors: corsNone}
	}
	h.script = script.Handler(h.mount.Endpoint)
	for _, name := range h.files() {
		h.routes[name] = endpoint{get: (*request).script, cors: corsPlain}
	}
	return h
}

func (h *Handler) files() []string {
	if h.mount.File != "" {
		return []string{h.mount.File}
	}
	return []string{"e.js", "script.js"}
}

// Paths lists what the handler answers, as patterns of [http.ServeMux].
func (h *Handler) Paths() []string {
	var list []string
	for name := range h.routes {
		if name == "p" || name == "q" {
			name += "/"
		}
		list = append(list, h.prefix+name)
	}
	return list
}

// ServeHTTP answers a request for an endpoint. Nothing that a request holds is
// answered with a 5xx, but for 503 where a message could not be written.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := request{h: h, in: h.in, w: w, r: r}
	defer func() {
		if v := recover(); v != nil {
			h.in.counts.add(Internal, 1)
			h.in.reportPanic(v)
			q.unavailable()
		}
	}()
	defer q.leave()
	name, rest, ok := h.find(r.URL.Path)
	route, known := h.routes[name]
	if !ok || !known {
		http.NotFound(w, r)
		return
	}
	q.rest = rest
	q.dialect = dialectOf(name)
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	do := route.get
	switch r.Method {
	case http.MethodPost:
		do = route.post
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		if route.cors != corsNone {
			q.preflight(route.cors)
			return
		}
		do = nil
	default:
		do = nil
	}
	route.cors.allow(header)
	if do == nil {
		q.wrongMethod(&route)
		return
	}
	do(&q)
}

// find splits a path into the endpoint's name and, for links, the slug.
func (h *Handler) find(path string) (name, rest string, ok bool) {
	name, ok = strings.CutPrefix(path, h.prefix)
	if !ok || name == "" {
		return "", "", false
	}
	for _, short := range []string{"p", "q"} {
		if slug, ok := strings.CutPrefix(name, short+"/"); ok {
			return short, strings.TrimSuffix(slug, "/"), true
		}
	}
	name = strings.TrimSuffix(name, "/")
	return name, "", name != "p" && name != "q"
}
