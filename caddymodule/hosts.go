package caddymodule

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/idna"

	"github.com/eider-analytics/eider/shared"
)

// siteName brings the name of a site to its one form, or says what is wrong
// with it: names become labels, event fields and aliases in the aggregator's
// registry.
func siteName(name string) (string, error) {
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return addr.WithZone("").String(), nil
	}
	ascii, err := idna.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil {
		return "", fmt.Errorf("site %q: %w", name, err)
	}
	ascii = strings.ToLower(ascii)
	ok := ascii != "" && len(ascii) <= shared.MaxSite && !strings.Contains(ascii, "..") && ascii[0] != '.' && ascii[0] != '-'
	for i := 0; ok && i < len(ascii); i++ {
		c := ascii[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
	}
	if !ok {
		return "", fmt.Errorf("site %q: want a name like example.com, without scheme, port, path or wildcard", name)
	}
	return ascii, nil
}

// hostTable tells the site of a host.
type hostTable struct {
	fixed    *site            // where the site is named, whatever the host
	byHost   map[string]*site // else, by the hosts that the configuration names
	catchAll bool             // hosts that it does not name can get here, too
}

// hostResolver makes a handler's table when it is first wanted: the routes
// around a handler are complete only after it has been provisioned, and a
// server may answer before our app starts.
type hostResolver struct {
	once  sync.Once
	table atomic.Pointer[hostTable]
}

func (hr *hostResolver) get(h *Handler) *hostTable {
	if t := hr.table.Load(); t != nil {
		return t
	}
	hr.once.Do(func() { hr.table.Store(h.makeHostTable()) })
	return hr.table.Load()
}

// lookup returns the site that a request's Host belongs to, or the runtime's
// site for hosts that neither a configuration nor the registry names. It does not
// allocate for those that a configuration names.
func (hr *hostResolver) lookup(h *Handler, host string) *site {
	t := hr.get(h)
	if t.fixed != nil {
		return t.fixed
	}
	if s := t.byHost[host]; s != nil { // as browsers send it: no port, lower case
		return s
	}
	var buf [shared.MaxSite + 3]byte
	if s := t.byHost[string(normalHost(host, &buf))]; s != nil {
		return s
	}
	if t.catchAll {
		if s := h.rt.listed(host); s != nil {
			return s
		}
	}
	return h.rt.other
}

// listed is the site of a host that was added at the aggregator, which is how
// hosts that a catch-all or a wildcard takes become sites. It goes by its first
// domain, whichever of them is asked for; nil = the host is no site's.
func (rt *runtime) listed(host string) *site {
	known := rt.known.Load().Host(host)
	if known == nil {
		return nil
	}
	return rt.site(known.Domains[0])
}

// normalHost is a Host header without port, brackets and trailing dot, in
// lower case: empty if it is too long to be one.
func normalHost(host string, buf *[shared.MaxSite + 3]byte) []byte {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 &&
		(strings.IndexByte(host, ':') == i || host[0] == '[') {
		host = host[:i]
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > len(buf) {
		return nil
	}
	for i := 0; i < len(host); i++ {
		c := host[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		buf[i] = c
	}
	return buf[:len(host)]
}

func (h *Handler) makeHostTable() *hostTable {
	if h.Site != "" {
		return &hostTable{fixed: h.rt.site(h.Site)}
	}
	t := &hostTable{byHost: map[string]*site{}, catchAll: true}
	if h.server == nil {
		return t
	}
	found := routeWalk{server: h.server, target: h, hosts: map[string]bool{}}
	found.routes(h.server.Routes, hostScope{any: true})
	if h.server.Errors != nil {
		found.routes(h.server.Errors.Routes, hostScope{any: true})
	}
	for host := range found.hosts {
		t.byHost[host] = h.rt.site(host)
	}
	t.catchAll = found.any
	return t
}

// names lists the sites that the configuration names for this handler, in
// order.
func (t *hostTable) names() []string {
	if t.fixed != nil {
		return []string{t.fixed.name}
	}
	var names []string
	for name := range t.byHost {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// hostScope is which hosts a route is reached by.
type hostScope struct {
	hosts []string
	any   bool // a catch-all, a wildcard, or a matcher that is not understood
}

// routeWalk finds the ways through a server's routes to one handler.
type routeWalk struct {
	server *caddyhttp.Server
	target *Handler
	depth  int
	hosts  map[string]bool
	any    bool
}

// maxRouteDepth ends named routes that invoke each other.
const maxRouteDepth = 64

func (w *routeWalk) routes(list caddyhttp.RouteList, outer hostScope) {
	if w.depth++; w.depth > maxRouteDepth {
		w.depth--
		return
	}
	for i := range list {
		w.route(&list[i], outer)
	}
	w.depth--
}

func (w *routeWalk) route(r *caddyhttp.Route, outer hostScope) {
	scope := narrow(outer, r.MatcherSets)
	for _, handler := range r.Handlers {
		switch next := handler.(type) {
		case *Handler:
			if next == w.target {
				w.reached(scope)
			}
		case *caddyhttp.Subroute:
			w.routes(next.Routes, scope)
			if next.Errors != nil {
				w.routes(next.Errors.Routes, scope)
			}
		case *caddyhttp.Invoke:
			if named := w.server.NamedRoutes[next.Name]; named != nil {
				w.routes(caddyhttp.RouteList{*named}, scope)
			}
		}
	}
}

func (w *routeWalk) reached(scope hostScope) {
	w.any = w.any || scope.any
	for _, host := range scope.hosts {
		w.hosts[host] = true
	}
}

// narrow applies a route's matcher sets, of which any may fit: the innermost
// host matcher names the hosts.
func narrow(outer hostScope, sets caddyhttp.MatcherSets) hostScope {
	if len(sets) == 0 {
		return outer
	}
	var scope hostScope
	for _, set := range sets {
		own := outer
		for _, matcher := range set {
			if m, ok := matcher.(*caddyhttp.MatchHost); ok {
				own = namedHosts(*m)
			}
		}
		scope.hosts = append(scope.hosts, own.hosts...)
		scope.any = scope.any || own.any
	}
	return scope
}

// namedHosts are the hosts of a matcher that are written out. A wildcard names
// none: whoever can make up a host below it could make up sites.
func namedHosts(m caddyhttp.MatchHost) hostScope {
	var scope hostScope
	repl := caddy.NewReplacer()
	for _, host := range m {
		name, err := siteName(repl.ReplaceAll(host, ""))
		if err != nil {
			scope.any = true
			continue
		}
		scope.hosts = append(scope.hosts, name)
	}
	return scope
}
