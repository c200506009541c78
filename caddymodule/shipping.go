package caddymodule

import (
	"context"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/handover"
	"github.com/eider-analytics/eider/shared/ship"
)

// destination is where events go; another one needs another shipper.
type destination struct{ url, token string }

func (a *App) destination() destination { return destination{a.Aggregator, a.Token} }

// shipping is one shipper at work.
type shipping struct {
	to      destination
	shipper *ship.Shipper
	sites   atomic.Pointer[[]shared.SiteHello]
	log     *zap.Logger
	cancel  context.CancelFunc
	ended   chan struct{}
}

func startShipping(to destination, sites []shared.SiteHello, q *wal, log *zap.Logger) (*shipping, error) {
	name, _ := os.Hostname() // for people only
	s := &shipping{to: to, log: log, ended: make(chan struct{})}
	s.sites.Store(&sites)
	cfg := ship.Config{
		URL: to.url, Token: to.token, Name: name, Version: version(), Logger: log.Named("ship"),
		Sites: func() []shared.SiteHello { return *s.sites.Load() },
	}
	if socket, ok := handover.Socket(to.url); ok {
		// Who may open the socket may use it; there is no token to show.
		cfg.URL, cfg.Token, cfg.Transport = "http://collector", "none", handover.Transport(socket)
	}
	var err error
	s.shipper, err = ship.New(cfg, q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go s.run(ctx)
	return s, nil
}

// rerunDelay is the pause before a shipper is run again that should not have
// ended.
const rerunDelay = 5 * time.Second

func (s *shipping) run(ctx context.Context) {
	defer close(s.ended)
	for ctx.Err() == nil {
		s.runOnce(ctx)
		select {
		case <-time.After(rerunDelay):
		case <-ctx.Done():
		}
	}
}

// runOnce keeps a fault of the shipper from ending the process, and with it
// every site behind it.
func (s *shipping) runOnce(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("shipper panicked; it is run again", zap.ByteString("stack", debug.Stack()))
		}
	}()
	if err := s.shipper.Run(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("shipper ended; it is run again", zap.Error(err))
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
