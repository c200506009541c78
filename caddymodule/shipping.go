package caddymodule

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/handover"
	"github.com/eider-analytics/eider/shared/registry"
	"github.com/eider-analytics/eider/shared/ship"
)

// destination is where events go; another one needs another shipper.
type destination struct{ url, token string }

func (a *App) destination() destination { return destination{a.Aggregator, a.Token} }

// shipping is one destination's part: a shipper at work, and the question for
// what the destination knows of the sites.
type shipping struct {
	to      destination
	shipper *ship.Shipper
	asker   *registry.Client
	sites   atomic.Pointer[[]shared.SiteHello]
	log     *zap.Logger
	cancel  context.CancelFunc
	ended   chan struct{}
}

// sitesFile is where the sites are kept in the queue's directory for the next
// start. It holds no salt and no key.
const sitesFile = "sites.json"

func (rt *runtime) startShipping(to destination, sites []shared.SiteHello, q *wal) (*shipping, error) {
	name, _ := os.Hostname() // for people only
	log := rt.log
	s := &shipping{to: to, log: log, ended: make(chan struct{})}
	s.sites.Store(&sites)
	cfg := ship.Config{
		URL: to.url, Token: to.token, Name: name, Version: version(), Logger: log.Named("ship"),
		Sites: func() []shared.SiteHello { return *s.sites.Load() },
	}
	ask := registry.ClientConfig{Version: version(), Holder: &rt.known, Hosts: &rt.hosts, Logger: log.Named("registry")}
	if socket, ok := handover.Socket(to.url); ok {
		// Who may open the socket may use it; there is no token to show.
		cfg.URL, cfg.Token, cfg.Transport = "http://collector", "none", handover.Transport(socket)
	}
	ask.URL, ask.Token, ask.Transport = cfg.URL, cfg.Token, cfg.Transport
	if q.disk != nil {
		ask.File = filepath.Join(rt.dir, sitesFile)
	}
	var err error
	s.asker, err = registry.NewClient(ask)
	if err != nil {
		return nil, err
	}
	cfg.Greeted = s.asker.AskSoon // sites that were new have their salts now
	s.shipper, err = ship.New(cfg, q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer close(s.ended)
		var both sync.WaitGroup
		both.Go(func() { s.run(ctx, "shipper", s.shipper.Run) })
		both.Go(func() { s.run(ctx, "question for the registry", s.asker.Run) })
		both.Wait()
	}()
	return s, nil
}

// rerunDelay is the pause before something is run again that should not have
// ended.
const rerunDelay = 5 * time.Second

func (s *shipping) run(ctx context.Context, what string, run func(context.Context) error) {
	for ctx.Err() == nil {
		s.runOnce(ctx, what, run)
		select {
		case <-time.After(rerunDelay):
		case <-ctx.Done():
		}
	}
}

// runOnce keeps a fault from ending the process, and with it every site behind
// it.
func (s *shipping) runOnce(ctx context.Context, what string, run func(context.Context) error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("a worker panicked; it is run again", zap.String("worker", what), zap.ByteString("stack", debug.Stack()))
		}
	}()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("a worker ended; it is run again", zap.String("worker", what), zap.Error(err))
	}
}

// setSites announces other sites, if they are others.
func (s *shipping) setSites(sites []shared.SiteHello) {
	if previous := s.sites.Swap(&sites); !slices.Equal(*previous, sites) {
		s.shipper.SitesChanged()
	}
}

func (s *shipping) stop() {
	s.cancel()
	<-s.ended
}

// finish ships for a little longer, then stops.
func (s *shipping) finish(ctx context.Context, grace time.Duration) {
	s.stop()
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := s.shipper.Drain(ctx); err != nil {
		s.log.Info("not everything is shipped; the queue keeps it for the next start", zap.Error(err))
	}
}
