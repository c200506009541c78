package aggregator

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/salts"
	"github.com/eider-analytics/eider/aggregator/state"
)

// openSalts opens the file of salts. Where it is not the one that was in use,
// because it was lost, damaged, or the rest comes from a backup, the identities
// begin anew, and the books say when.
func (a *Aggregator) openSalts() error {
	var err error
	if a.salts, err = salts.Open(a.cfg.saltsFile(), a.cfg.now, a.log.Named("salts")); err != nil {
		return err
	}
	was, err := a.store.state.SaltsID()
	if err != nil {
		return fmt.Errorf("read which salts were in use: %w", err)
	}
	if was == a.salts.ID() {
		return nil
	}
	if sites := len(a.store.sites.List()); was != "" && sites > 0 {
		now := time.Now().UnixMicro()
		a.log.Warn("identities begin anew, as the salts are not those that were in use", zap.String("salts", a.salts.Lost()))
		err := a.store.state.Commit(state.Commit{Incidents: []state.Incident{{
			Reason: state.IdentityChanged, From: now, To: now, Count: uint64(sites),
		}}})
		if err != nil {
			return fmt.Errorf("note that identities begin anew: %w", err)
		}
	}
	if err := a.store.state.PutSaltsID(a.salts.ID()); err != nil {
		return fmt.Errorf("remember which salts are in use: %w", err)
	}
	return nil
}
