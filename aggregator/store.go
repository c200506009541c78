package aggregator

import (
	"context"
	"errors"
	"io"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/erasure"
	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/ops"
	"github.com/eider-analytics/eider/aggregator/seal"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/sqlbox"
	"github.com/eider-analytics/eider/aggregator/state"
)

// Store is what of the data directory survives without anything running: the
// state, the spool, the registry, the keys, the ledger of erasures. It answers operator commands, in the running
// server by the socket, else in the command's own process.
type Store struct {
	cfg   *Config
	state *state.State
	spool *spool.Spool
	sites *sites.Registry
	keys  *auth.Keys
	log   *zap.Logger

	ledger *erasure.Ledger
	lake   *lake.Lake      // of the running server; nil in a command
	eraser *erasure.Eraser // likewise
	sql    *sqlbox.Runner  // likewise
	sealer *seal.Sealer    // likewise
}

// openStore opens it. The caller owns the data directory.
func openStore(cfg *Config, log *zap.Logger) (*Store, error) {
	s := &Store{cfg: cfg, log: log}
	var err error
	if s.state, err = state.Open(cfg.stateDir(), log.Named("state")); err != nil {
		return nil, err
	}
	if s.sites, err = sites.Open(s.state, cfg.DefaultTimeZone); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.keys, err = auth.Open(s.state, s.sites); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.ledger, err = erasure.OpenLedger(cfg.erasuresDir(), s.state, log.Named("erasure")); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.spool, err = spool.Open(spool.Config{
		Dir: cfg.spoolDir(), MaxSize: cfg.SpoolMaxSize, ReserveFree: cfg.SpoolReserveFree, Logger: log.Named("spool"),
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes it.
func (s *Store) Close() error {
	var err error
	if s.spool != nil {
		err = s.spool.Close()
	}
	return errors.Join(err, s.state.Close())
}

// Sites lists the registry.
func (s *Store) Sites(context.Context) ([]state.Site, error) { return s.sites.List(), nil }

// AddSite makes sure that a domain is a site that has what c says.
func (s *Store) AddSite(_ context.Context, domain string, c sites.Change) (state.Site, error) {
	return s.sites.Add(domain, c)
}

// EditSite changes a site.
func (s *Store) EditSite(_ context.Context, name string, c sites.Change) (state.Site, error) {
	return s.sites.Edit(name, c)
}

// Keys lists the keys.
func (s *Store) Keys(context.Context) ([]state.Key, error) { return s.keys.List(), nil }

// AddKey makes a key.
func (s *Store) AddKey(_ context.Context, n auth.New) (auth.Issued, error) { return s.keys.Add(n) }

// RevokeKey ends a key.
func (s *Store) RevokeKey(_ context.Context, id string) (state.Key, error) { return s.keys.Revoke(id) }

// SQL runs a statement about a site, by any of its names, and writes the answer.
func (s *Store) SQL(ctx context.Context, q ops.SQLQuery, w io.Writer) error {
	if s.sql == nil {
		return errors.New("no server runs on this data directory: SQL is answered by the running one, so start it with `eider serve`")
	}
	site, ok := s.sites.Resolve(q.Site)
	if !ok {
		return errors.New("there is no such site: `eider site list` lists them")
	}
	answer, err := s.sql.Run(ctx, sqlbox.Request{Site: site, SQL: q.SQL, Limit: q.Limit, Format: sqlbox.Format(q.Format)})
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(w, answer)
	return err
}

// Verify compares the manifest, the files, the spool and the books.
func (s *Store) Verify(ctx context.Context) (ops.Report, error) {
	return ops.Verify(ctx, ops.Stores{LakeDir: s.cfg.lakeDir(), State: s.state, Spool: s.spool})
}

// Operate calls with the running server that owns the data directory, or,
// where none runs, with the store itself.
func Operate(ctx context.Context, cfg Config, log *zap.Logger, with func(context.Context, ops.Control) error) error {
	client, dialErr := ops.Dial(cfg.Data)
	if dialErr == nil {
		defer client.Close()
		return with(ctx, client)
	}
	lock, err := ops.LockData(cfg.Data)
	if err != nil {
		if errors.Is(err, ops.ErrInUse) { // it starts or stops just now
			return errors.Join(err, dialErr)
		}
		return err
	}
	store, err := openStore(&cfg, log)
	if err != nil {
		return errors.Join(err, lock.Release())
	}
	return errors.Join(with(ctx, store), store.Close(), lock.Release())
}
