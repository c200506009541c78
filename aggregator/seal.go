package aggregator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/seal"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// newSealer makes what seals the days of a lake.
func newSealer(cfg *Config, l *lake.Lake, db *duck.DB, c seal.Config) *seal.Sealer {
	c.Lake, c.Deriver, c.Duty, c.Now = l, stats.NewSealer(stats.NewEngine(db)), cfg.SealDuty, cfg.now
	return seal.New(c)
}

// Seal seals days, in the lake of the running server or, where none runs, in one
// that is opened for it.
func (s *Store) Seal(ctx context.Context, sel seal.Selection) (report seal.Report, err error) {
	for _, date := range []string{sel.From, sel.To} {
		if _, err := time.Parse(time.DateOnly, date); date != "" && err != nil {
			return report, fmt.Errorf("%q is no day: write it as 2026-11-22", date)
		}
	}
	if sel.Site != "" {
		site, ok := s.sites.Resolve(sel.Site)
		if !ok {
			return report, fmt.Errorf("site: %q is not known: `eider site list` shows the sites", sel.Site)
		}
		sel.Site = site.ID
	}
	if s.sealer != nil {
		return s.sealer.Seal(ctx, sel)
	}
	err = s.withLake(ctx, func(l *lake.Lake) error {
		db, err := duck.Open(duck.Config{
			Lake: s.cfg.lakeDir(), Temp: s.cfg.tempDir(), Memory: s.cfg.QueryMemory, MaxTemp: s.cfg.QueryTemp, Threads: s.cfg.QueryThreads,
		})
		if err != nil {
			return err
		}
		report, err = newSealer(s.cfg, l, db, seal.Config{}).Seal(ctx, sel)
		return errors.Join(err, db.Close())
	})
	return report, err
}
