// Package aggregator wires the parts of the aggregator together: it opens them
// in the order of the data's way, serves, and closes them in the opposite
// order. It owns the configuration and the life cycle, nothing else.
//
//	browsers, clients ──> beacon ──┐ as an edge of its own
//	edges ── /v1/ ────> receive ───┴> spool (fsync, then 200)
//	                     │ in the order of the spool
//	                     ▼
//	 sites <── state <── lake ──> Parquet files (hot, durable)
//	   │         ▲ segments, marks, spool position: one transaction
//	   │         └─ OnCommitted: spool.Trim
//	   │                 │ snapshot: a list of files
//	   ▼                 ▼
//	  api <── stats <── duck        ops: health, metrics, DATA/eider.sock
//	            └── seal: days that are over, back into the lake
//	   │
//	   └─ dashboard
package aggregator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/api"
	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/handout"
	"github.com/eider-analytics/eider/aggregator/importjob"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/receive"
	"github.com/eider-analytics/eider/aggregator/salts"
	"github.com/eider-analytics/eider/aggregator/seal"
	"github.com/eider-analytics/eider/aggregator/sqlbox"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
	"github.com/eider-analytics/eider/aggregator/turns"
	"github.com/eider-analytics/eider/dashboard"
	"github.com/eider-analytics/eider/shared/beacon"
	"github.com/eider-analytics/eider/shared/enrich"
	"github.com/eider-analytics/eider/shared/registry"
)

// Grace is how long a stop may take, all parts together: less than the 10
// seconds after which most supervisors kill.
const Grace = 8 * time.Second

// Aggregator is the running aggregator.
type Aggregator struct {
	cfg     Config
	log     *zap.Logger
	version string

	lock     *ops.Lock
	store    *Store
	engine   *stats.Engine
	lake     *lake.Lake
	receiver *receive.Receiver
	duck     *duck.DB
	health   *ops.Health
	metrics  *prometheus.Registry
	// registry is the newest view of the sites, for collection endpoints.
	registry *registry.Holder
	keeper   *handout.Keeper
	salts    *salts.Store
	enricher *enrich.Enricher // of what is collected here
	intake   *beacon.Intake
	proxies  beacon.Proxies // that are before this server
	socket   *ops.Socket
	listener net.Listener
	server   *http.Server
	handler  atomic.Pointer[http.Handler] // nil until everything is recovered

	tokenPath string // "" = the edge token is configured
}

// Open opens everything and begins to listen. version is the software's, for
// people. What was opened belongs to Run from then on, which must be called.
func Open(cfg Config, version string, log *zap.Logger) (*Aggregator, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	a := &Aggregator{cfg: cfg, log: log, version: version}
	if err := a.open(); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), Grace)
		defer cancel()
		return nil, errors.Join(err, a.close(ctx))
	}
	return a, nil
}

func (a *Aggregator) open() error {
	var err error
	if a.lock, err = ops.LockData(a.cfg.Data); err != nil {
		return err
	}
	if a.store, err = openStore(&a.cfg, a.log); err != nil {
		return err
	}
	a.lake, err = lake.Open(lake.Config{
		Dir: a.cfg.lakeDir(), State: a.store.state, Zone: a.store.sites.Zone, Logger: a.log.Named("lake"),
		SpoolOldest: a.store.spool.Stats().Oldest, OnCommitted: a.trim,
		Erasures: a.store.ledger, OnErased: func() { a.store.eraser.Swept() },
	})
	if err != nil {
		return err
	}
	a.store.lake = a.lake
	a.store.eraser = a.openEraser()
	if err := a.openSalts(); err != nil {
		return err
	}
	a.keeper = handout.New(handout.Config{Sites: a.store.sites, Salts: a.salts, Keys: a.store.keys, Now: a.cfg.now, Logger: a.log.Named("salts")})
	a.registry = a.keeper.Holder()
	a.metrics = ops.NewRegistry()
	if err := a.openReceiver(); err != nil {
		return err
	}
	if err := a.openIntake(); err != nil {
		return err
	}
	order := turns.New(turns.Config{Light: a.cfg.QueryLight, Heavy: a.cfg.QueryHeavy, Waiting: a.cfg.QueryWaiting})
	if err := order.Register(a.metrics); err != nil {
		return err
	}
	a.duck, err = duck.Open(duck.Config{
		Lake: a.cfg.lakeDir(), Temp: a.cfg.tempDir(), Memory: a.cfg.QueryMemory, MaxTemp: a.cfg.QueryTemp, Threads: a.cfg.QueryThreads,
		Turns: order,
	})
	if err != nil {
		return err
	}
	a.engine = stats.NewEngine(a.duck)
	a.store.sql = sqlbox.New(sqlbox.Config{
		Engine: a.engine, Snapshot: a.files, Temp: a.cfg.sqlDir(), Memory: a.cfg.SQLMemory, Time: time.Duration(a.cfg.SQLTimeout),
	})
	a.store.sealer = newSealer(&a.cfg, a.lake, a.duck, seal.Config{Logger: a.log.Named("seal")})
	if err := a.openOps(); err != nil {
		return err
	}
	if a.listener, err = net.Listen("tcp", a.cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// Run serves until ctx ends or something that can't be done without fails. It
// first replays what the last process left in the spool; while it does, health
// is answered and everything else is told to come back. When it returns,
// everything is closed, and every acknowledged event is in the lake or in the
// spool.
func (a *Aggregator) Run(ctx context.Context) error {
	keeping, endKeeping := context.WithCancel(context.WithoutCancel(ctx))
	kept := make(chan struct{})
	go func() { defer close(kept); a.keeper.Run(keeping) }()
	defer func() { endKeeping(); <-kept }()
	served := make(chan error, 1)
	a.server = a.newServer()
	go func() { served <- a.server.Serve(a.listener) }()
	sweeping, stopSweeping := context.WithCancel(ctx)
	defer stopSweeping()
	go a.sweepImport(sweeping)
	stopSealing := func() {}
	err := a.receiver.Recover(ctx)
	if err == nil {
		stopSealing = a.startSealing(ctx)
		erasing, endErasing := context.WithCancel(ctx)
		erased := make(chan struct{})
		go func() { defer close(erased); a.store.eraser.Run(erasing) }()
		defer func() { endErasing(); <-erased }()
		a.mount()
		a.health.SetReady(true)
		a.log.Info("aggregator is ready", zap.Stringer("listen", a.listener.Addr()), zap.String("data", a.cfg.Data))
		select {
		case err = <-served:
			err = fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			a.log.Info("aggregator is stopping")
		}
	} else if ctx.Err() != nil {
		err = nil // asked to stop while it started
	}
	stopSealing()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), Grace)
	defer cancel()
	return errors.Join(err, a.close(closing))
}

// startSealing seals days as they are due, if it is to, until ctx ends or stop is
// called, which waits for a day that is being sealed to be given up.
func (a *Aggregator) startSealing(ctx context.Context) (stop func()) {
	if !a.cfg.Seal {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); a.store.sealer.Run(ctx) }()
	return func() { cancel(); <-done }
}

// sweepImport removes the salts of an import that nobody goes on with: the
// command may never be called again.
func (a *Aggregator) sweepImport(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if swept, err := importjob.Sweep(a.cfg.ImportJob(), time.Now()); err != nil {
			a.log.Error("salts of an idle import could not be removed", zap.Error(err))
		} else if swept {
			a.log.Info("salts of an idle import were overwritten and removed")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// close ends everything in the order of the data's way, so that what came in
// gets as far as it can. What ctx cuts off is in the spool.
func (a *Aggregator) close(ctx context.Context) error {
	var errs []error
	try := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", what, err))
		}
	}
	if a.health != nil {
		a.health.SetReady(false)
	}
	if a.server != nil {
		a.closeServer(ctx)
	} else if a.listener != nil {
		try("listener", a.listener.Close())
	}
	if a.socket != nil {
		try("control socket", a.socket.Close(ctx))
	}
	if a.enricher != nil {
		try("enrichment", a.enricher.Close())
	}
	if a.receiver != nil {
		try("receiver", a.receiver.Close(ctx))
	}
	if a.lake != nil {
		if err := a.lake.Close(ctx); err != nil {
			a.log.Warn("events stay in the spool until the next start", zap.Error(err))
		}
	}
	if a.duck != nil {
		try("duckdb", a.duck.Close())
	}
	if a.store != nil {
		try("store", a.store.Close())
	}
	if a.lock != nil {
		try("lock", a.lock.Release())
	}
	return errors.Join(errs...)
}

// closeServer lets requests end for a part of the time that is left, because
// the commit needs some of it too.
func (a *Aggregator) closeServer(ctx context.Context) {
	patience, cancel := context.WithTimeout(ctx, Grace/4)
	defer cancel()
	if a.server.Shutdown(patience) != nil {
		_ = a.server.Close() // what it cuts off was not acknowledged
	}
}

// files are those of the newest snapshot, which stay until they are let go of.
func (a *Aggregator) files() ([]lake.File, func()) {
	snap := a.lake.Snapshot()
	return snap.Files, snap.Release
}

// trim is called by the lake after each commit.
func (a *Aggregator) trim(through uint64) {
	if err := a.store.spool.Trim(through + 1); err != nil {
		a.log.Error("spool could not be trimmed", zap.Error(err))
	}
}

func (a *Aggregator) openReceiver() error {
	if err := a.trust(); err != nil {
		return err
	}
	importKey, err := lastingSecret(a.cfg.importKeyFile())
	if err != nil {
		return fmt.Errorf("import key: %w", err)
	}
	a.receiver, err = receive.New(receive.Config{
		Tokens: edgeTokens{a.store.keys}, Registry: a.store.sites, Directory: a.keeper, State: a.store.state, Spool: a.store.spool,
		Sink: a.lake, DeadLetters: a.cfg.deadLettersDir(), ImportKey: []byte(importKey), Days: a.lake,
		Erased:     func() receive.Erased { return a.store.ledger.Erased() },
		Registerer: a.metrics, Logger: a.log.Named("receive"),
	})
	return err
}

func (a *Aggregator) openOps() error {
	sources := ops.Sources{
		Lake: a.lake.Stats, Seal: a.store.sealer.Stats, Spool: a.store.spool.Stats, Edges: a.receiver.Edges, Pending: a.receiver.PendingEvents,
		Sites: func() int { return len(a.store.sites.List()) }, DeadLetters: a.cfg.deadLettersDir(), Version: a.version,
	}
	a.health = ops.NewHealth(sources)
	if err := ops.RegisterMetrics(a.metrics, sources); err != nil {
		return err
	}
	var err error
	a.socket, err = ops.ListenSocket(a.cfg.Data, a.store, a.receiver.Trusted())
	return err
}

// books is where the API's accounting comes from.
type books struct {
	*receive.Receiver
	*state.State
}

// Edges are those that the receiver has heard of, with what is not committed.
func (b books) Edges() []receive.EdgeHealth { return b.Receiver.Edges() }

// mount makes everything reachable.
func (a *Aggregator) mount() {
	operation := http.NewServeMux()
	operation.Handle("/health", a.health)
	operation.Handle("/health/", a.health)
	operation.Handle("/metrics", ops.MetricsHandler(a.metrics))
	var h http.Handler = api.New(api.Config{
		Engine: a.engine, SQL: a.store.sql, Sites: a.store.sites, Registry: a.store.sites, Keys: a.store.keys,
		Unknown: a.keeper.Unknown, Loopback: a.cfg.loopback(), Books: books{a.receiver, a.store.state},
		Eraser: a.store.eraser, Snapshot: a.lake.Snapshot, Edges: a.receiver, Ops: operation, Dashboard: dashboard.Handler(), Collect: a.collection(),
		Hosts: a.cfg.hosts(), QueryTimeout: time.Duration(a.cfg.QueryTimeout), AnswerMemory: a.cfg.AnswerMemory,
		ClientIP: a.proxies.ClientIP, Registerer: a.metrics, Logger: a.log.Named("api"),
	})
	a.handler.Store(&h)
}

func (a *Aggregator) newServer() *http.Server {
	return &http.Server{
		Handler:           beacon.HidePanics(http.HandlerFunc(a.dispatch), a.log.Named("http")),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          zap.NewStdLog(a.log.Named("http")),
	}
}

// dispatch answers health before the rest is there.
func (a *Aggregator) dispatch(w http.ResponseWriter, r *http.Request) {
	if h := a.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	beacon.EndSlowBodies(http.HandlerFunc(a.starting)).ServeHTTP(w, r)
}

func (a *Aggregator) starting(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" || r.URL.Path == "/health/ready" {
		a.health.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "starting", http.StatusServiceUnavailable)
}

// Addr is the address that it listens on.
func (a *Aggregator) Addr() net.Addr { return a.listener.Addr() }

// TokenPath is the file with the edge token, "" if it is configured.
func (a *Aggregator) TokenPath() string { return a.tokenPath }

// OwnerPath is the file with the owner's token.
func (a *Aggregator) OwnerPath() string { return a.cfg.ownerFile() }
