package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/beacon"
	"github.com/eider-analytics/eider/shared/enrich"
	"github.com/eider-analytics/eider/shared/handover"
	"github.com/eider-analytics/eider/shared/queue"
	"github.com/eider-analytics/eider/shared/registry"
	"github.com/eider-analytics/eider/shared/ship"
)

// How long a stop may take in all, and how much of it goes to shipping what is
// left.
const (
	Grace      = 9 * time.Second
	drainGrace = 3 * time.Second
)

// Collector is a running collector.
type Collector struct {
	cfg Config
	log *zap.Logger

	holder   registry.Holder
	hosts    registry.Hosts
	client   *registry.Client
	enricher *enrich.Enricher
	queue    *queue.Queue
	shipper  *ship.Shipper
	intake   *beacon.Intake
	handover *handover.Server // nil without a socket

	sites   atomic.Pointer[[]shared.SiteHello] // of the local proxies
	started time.Time

	web, local net.Listener
	servers    []*http.Server
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// Open opens the queue and begins to listen. What was opened belongs to Run
// from then on, which must be called.
func Open(cfg Config, log *zap.Logger) (*Collector, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	c := &Collector{cfg: cfg, log: log, started: time.Now()}
	c.sites.Store(&[]shared.SiteHello{})
	if err := c.open(); err != nil {
		ctx, cancel := context.WithTimeout(context.Background(), Grace)
		defer cancel()
		return nil, errors.Join(err, c.close(ctx))
	}
	return c, nil
}

func (c *Collector) open() error {
	if err := os.MkdirAll(c.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("dir: %w", err)
	}
	var err error
	if c.client, err = registry.NewClient(registry.ClientConfig{
		URL: c.cfg.Aggregator, Token: c.cfg.Token, Version: c.cfg.Version, Holder: &c.holder, File: c.cfg.sitesFile(),
		Hosts: &c.hosts, Logger: c.log.Named("registry"),
	}); err != nil {
		return err
	}
	if c.enricher, err = enrich.New(enrich.Config{
		GeoIP: c.cfg.GeoIP, Sites: &c.holder, Salts: &c.holder, Local: enrich.NewLocalSalts(nil), Logger: c.log.Named("enrich"),
	}); err != nil {
		return err
	}
	if c.queue, err = queue.Open(queue.Config{
		Dir: c.cfg.queueDir(), MaxSize: c.cfg.MaxSize, ReserveFree: c.cfg.ReserveFree, Sync: c.cfg.Sync, UnsafeFS: c.cfg.UnsafeFS,
		Logger: c.log.Named("queue"),
	}); err != nil {
		return fmt.Errorf("open queue: %w", err)
	}
	name, _ := os.Hostname() // for people only
	if c.shipper, err = ship.New(ship.Config{
		URL: c.cfg.Aggregator, Token: c.cfg.Token, Name: name, Version: c.cfg.Version, Logger: c.log.Named("ship"),
		Sites: func() []shared.SiteHello { return *c.sites.Load() }, Greeted: c.client.AskSoon,
	}, c.queue); err != nil {
		return err
	}
	if c.cfg.Listen != "" {
		c.openIntake()
		if c.web, err = net.Listen("tcp", c.cfg.Listen); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
	}
	if c.cfg.Socket != "" {
		return c.openSocket()
	}
	return nil
}

func (c *Collector) openIntake() {
	proxies := c.cfg.TrustedProxies
	c.intake = beacon.New(beacon.Config{
		View: c.holder.Load, Enrich: c.enricher.Enrich, CleanProps: c.enricher.CleanProps, Log: c.queue,
		ClientIP: proxies.ClientIP, Trusted: proxies.Trusted, Keys: c.ingestKey,
		Unresolved: true, UnknownSite: c.hosts.Seen, Logger: c.log.Named("collect"),
	})
}

// ingestKey says for which sites a server may send with a key.
func (c *Collector) ingestKey(token string) (beacon.Grant, bool) {
	allows, ok := c.holder.Load().IngestKey(token, time.Now().UnixMicro())
	return allows, ok
}

// openSocket listens on the socket, which only its owner and group may open.
func (c *Collector) openSocket() error {
	var err error
	if c.handover, err = handover.NewServer(handover.Config{
		Log: c.queue, State: c.state, Announce: c.announce, Report: c.hosts.Add, Marks: c.cfg.marksFile(), Logger: c.log.Named("handover"),
	}); err != nil {
		return err
	}
	// A socket that is there is a dead process's, since the queue was not locked.
	if err := os.Remove(c.cfg.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove old socket: %w", err)
	}
	if c.local, err = net.Listen("unix", c.cfg.Socket); err != nil {
		return fmt.Errorf("listen on socket: %w", err)
	}
	return os.Chmod(c.cfg.Socket, 0o660)
}

// state is what the aggregator said last, nil if it never did.
func (c *Collector) state() *shared.EdgeState {
	if c.client.Status().ReachedAt.IsZero() {
		return nil
	}
	return c.holder.Load().State()
}

// announce takes note of the sites that local proxies name.
func (c *Collector) announce(sites []shared.SiteHello) {
	slices.SortFunc(sites, func(a, b shared.SiteHello) int { return strings.Compare(a.Domain, b.Domain) })
	sites = slices.Compact(sites)
	if before := c.sites.Swap(&sites); !slices.Equal(*before, sites) {
		c.shipper.SitesChanged()
	}
}

// Addr is where the collection endpoints are, nil without them.
func (c *Collector) Addr() net.Addr {
	if c.web == nil {
		return nil
	}
	return c.web.Addr()
}

// Run serves until ctx ends or something that can't be done without fails.
// When it returns, everything is closed; what was answered as taken is shipped
// or in the queue.
func (c *Collector) Run(ctx context.Context) error {
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = cancel
	c.running.Go(func() { c.client.Run(background) })
	c.running.Go(func() { _ = c.shipper.Run(background) })
	failed := make(chan error, 2)
	c.serve(c.web, c.routes(), failed)
	if c.handover != nil {
		c.serve(c.local, c.handover, failed)
	}
	c.log.Info("collector is ready", zap.Duration("after", time.Since(c.started)))
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		c.log.Info("collector is stopping")
	}
	closing, end := context.WithTimeout(context.WithoutCancel(ctx), Grace)
	defer end()
	return errors.Join(err, c.close(closing))
}

func (c *Collector) serve(l net.Listener, h http.Handler, failed chan<- error) {
	if l == nil {
		return
	}
	s := &http.Server{
		Handler: beacon.HidePanics(h, c.log.Named("http")), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: zap.NewStdLog(c.log.Named("http")),
	}
	c.servers = append(c.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
}

// close ends everything in the order of the data's way.
func (c *Collector) close(ctx context.Context) error {
	var errs []error
	patience, cancel := context.WithTimeout(ctx, Grace/3)
	defer cancel()
	for _, s := range c.servers {
		if s.Shutdown(patience) != nil {
			_ = s.Close() // what it cuts off was not answered
		}
	}
	if len(c.servers) == 0 {
		for _, l := range []net.Listener{c.web, c.local} {
			if l != nil {
				errs = append(errs, l.Close())
			}
		}
	}
	if c.stop != nil {
		c.stop()
		c.running.Wait()
	}
	if c.queue != nil {
		errs = append(errs, c.closeQueue(ctx))
	}
	if c.handover != nil {
		errs = append(errs, c.handover.Close())
	}
	if c.enricher != nil {
		errs = append(errs, c.enricher.Close())
	}
	return errors.Join(errs...)
}

func (c *Collector) closeQueue(ctx context.Context) error {
	if err := c.queue.Flush(ctx); err != nil {
		c.log.Warn("flush of the queue at the end", zap.Error(err))
	}
	if c.shipper != nil {
		drain, cancel := context.WithTimeout(ctx, drainGrace)
		defer cancel()
		if err := c.shipper.Drain(drain); err != nil {
			c.log.Info("not everything is shipped; the queue keeps it for the next start", zap.Error(err))
		}
	}
	if err := c.queue.Close(ctx); err != nil {
		return fmt.Errorf("close queue: %w", err)
	}
	return nil
}
