package aggregator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/relabel"
)

// Relabel judges history anew, in the lake of the running server or, where none
// runs, in one that is opened for it.
func (s *Store) Relabel(ctx context.Context, o relabel.Options) (report relabel.Report, err error) {
	if err := o.Check(); err != nil {
		return report, err
	}
	if o.Site != "" {
		site, ok := s.sites.Resolve(o.Site)
		if !ok {
			return report, fmt.Errorf("site: %q is not known: `eider site list` shows the sites", o.Site)
		}
		o.Site = site.ID
	}
	err = s.withLake(ctx, func(l *lake.Lake) error {
		report, err = relabel.Run(ctx, l, o)
		return err
	})
	return report, err
}

// withLake calls with the running server's lake or, where none runs, with one
// that is opened for it.
func (s *Store) withLake(ctx context.Context, with func(*lake.Lake) error) (err error) {
	if s.lake != nil {
		return with(s.lake)
	}
	l, err := lake.Open(lake.Config{
		Dir: s.cfg.lakeDir(), State: s.state, Zone: s.sites.Zone, SpoolOldest: s.spool.Stats().Oldest, Erasures: s.ledger,
	})
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, l.Close(closing))
	}()
	return with(l)
}
