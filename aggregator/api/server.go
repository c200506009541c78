package api

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/flight"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
)

// DefaultQueryTimeout bounds one question.
const DefaultQueryTimeout = 30 * time.Second

// DefaultAnswerMemory bounds the answers that are kept, for the many tabs that
// ask the same. An answer is some kilobytes, at most 1000 rows.
const DefaultAnswerMemory = 64 << 20

// Sites is what the API needs of the registry.
type Sites interface {
	Resolve(name string) (state.Site, bool)
	List() []state.Site
}

// Registry changes the sites.
type Registry interface {
	Add(domain string, c sites.Change) (state.Site, error)
	Edit(name string, c sites.Change) (state.Site, error)
	AddGoal(site string, g state.Goal) (state.Site, error)
	RemoveGoal(site, name string) (state.Site, error)
}

// Keys knows who shows a token, and is where keys are made and ended.
type Keys = auth.Keys

// Engine is what it needs of package stats.
type Engine = stats.Engine

// Books is where the accounting comes from.
type Books interface {
	Edges() []receive.EdgeHealth
	Incidents(from, to int64) ([]state.Incident, error)
	Erased() ([]state.Erased, error)
}

// Config is what a Server is made of. Hosts, Now, QueryTimeout, AnswerMemory,
// ClientIP and Registerer may be left out.
type Config struct {
	Engine    *Engine
	Sites     Sites
	Registry  Registry
	Keys      *Keys
	Unknown   func() []shared.UnknownHost // hosts that belong to no site
	Books     Books
	Eraser    Eraser
	Snapshot  func() *lake.Snapshot
	SQL       SQL          // nil = none is answered
	Edges     http.Handler // /v1/: brings its own authentication
	Ops       http.Handler // /health…, /metrics
	Dashboard http.Handler // everything else
	// Collect is what browsers, clients and servers send to. It answers pages of
	// any origin, by rules of its own.
	Collect Collection
	// Hosts are names, beside loopback's, by which the API is reached.
	Hosts []string
	// Loopback says that only this machine reaches the server: sites may then
	// be changed without a token.
	Loopback     bool
	QueryTimeout time.Duration
	AnswerMemory int64 // bytes; 0 = DefaultAnswerMemory
	// ClientIP is who asks, for the fair order of questions; nil = the peer.
	ClientIP   func(*http.Request) netip.Addr
	Registerer prometheus.Registerer
	Now        func() time.Time
	Logger     *zap.Logger
}

// Collection is the collection endpoints, with the patterns that they answer.
type Collection struct {
	Handler http.Handler
	Paths   []string
}

// Server is the http.Handler of the aggregator.
type Server struct {
	cfg     Config
	log     *zap.Logger
	hosts   []string
	handler http.Handler
	tags    tagger
	logins  logins
	answers *flight.Group[reply] // by their tags
}

// New mounts everything.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.QueryTimeout <= 0 {
		cfg.QueryTimeout = DefaultQueryTimeout
	}
	if cfg.AnswerMemory <= 0 {
		cfg.AnswerMemory = DefaultAnswerMemory
	}
	if cfg.ClientIP == nil {
		cfg.ClientIP = peer
	}
	answers := flight.Sized(cfg.AnswerMemory, func(tag string, a reply) int64 { return a.bytes(tag) })
	s := &Server{cfg: cfg, log: cfg.Logger, tags: newTagger(), answers: answers}
	if cfg.Registerer != nil {
		registerMetrics(cfg.Registerer, answers.Stats)
	}
	for _, host := range cfg.Hosts {
		s.hosts = append(s.hosts, strings.ToLower(strings.Trim(strings.TrimSpace(host), "[].")))
	}
	own := http.NewServeMux()
	own.Handle("/api/sites", s.methods(map[string]handler{http.MethodGet: s.sites, http.MethodPost: s.addSite}))
	own.Handle("/api/sites/unknown", s.methods(map[string]handler{http.MethodGet: s.unknownHosts}))
	own.Handle("/api/sites/{id}", s.methods(map[string]handler{http.MethodGet: s.oneSite, http.MethodPatch: s.editSite}))
	own.Handle("/api/keys", s.methods(map[string]handler{http.MethodGet: s.keys, http.MethodPost: s.addKey}))
	own.Handle("/api/keys/{id}", s.methods(map[string]handler{http.MethodDelete: s.revokeKey}))
	for _, path := range []string{"/api/erase", "/api/gdpr/erase"} {
		own.Handle(path, s.methods(map[string]handler{http.MethodDelete: s.erase}))
	}
	for name, parse := range reports {
		own.Handle("/api/stats/"+name, s.handle(s.answer(parse)))
	}
	own.Handle("/api/stats/realtime", s.handle(s.answer(realtime)))
	s.mountUmami(own)
	own.Handle("/api/goals", s.methods(map[string]handler{http.MethodGet: s.goals, http.MethodPost: s.addGoal, http.MethodDelete: s.removeGoal}))
	own.Handle("/api/query", s.methods(map[string]handler{http.MethodPost: s.query(&ours)}))
	own.Handle("/api/v2/query", s.plain(methods(map[string]handler{http.MethodPost: s.query(&plausible)})))
	for name, parse := range behaviour {
		own.Handle("/api/stats/"+name, s.handle(s.answer(parse)))
	}
	own.Handle("/api/stats/accounting", s.handle(s.accounting))
	own.Handle("/api/sql", s.methods(map[string]handler{http.MethodPost: s.sql}))
	own.Handle("/api/", s.handle(func(http.ResponseWriter, *http.Request) error {
		return notFound("there is no such endpoint")
	}))
	own.Handle("/health", cfg.Ops)
	own.Handle("/health/", cfg.Ops)
	own.Handle("/metrics", cfg.Ops)
	own.Handle("/", cfg.Dashboard)

	mux := http.NewServeMux()
	mux.Handle("/v1/", beacon.EndSlowBodies(cfg.Edges))
	for _, path := range cfg.Collect.Paths {
		mux.Handle(path, cfg.Collect.Handler)
	}
	mux.Handle("/", beacon.EndSlowBodies(s.guard(own)))
	s.handler = mux
	return s
}

// ServeHTTP answers everything that the aggregator answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }
