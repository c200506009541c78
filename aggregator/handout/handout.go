// Package handout is what the aggregator tells those who collect: the sites.
//
// It owns putting the registry together into one state, keeping the view of it
// that the aggregator's own endpoints collect by, and cutting it to what one
// edge token may see. It promises that whoever asks after a change sees it, and
// that the own view follows a change within a moment.
package handout

import (
	"context"
	"sync"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/registry"
)

// Sites is the registry.
type Sites interface {
	Configs() (list []shared.SiteConfig, version string)
	Version() string
	// Changed receives after changes; the Keeper is its one reader.
	Changed() <-chan struct{}
}

// Keeper keeps the state that is handed out up to date.
type Keeper struct {
	sites  Sites
	holder registry.Holder

	mu    sync.Mutex
	state *shared.EdgeState
}

// New makes a keeper and its first state.
func New(sites Sites) *Keeper {
	k := &Keeper{sites: sites}
	k.current()
	return k
}

// Holder is where the aggregator's own endpoints find the newest view.
func (k *Keeper) Holder() *registry.Holder { return &k.holder }

// Run follows the changes until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.sites.Changed():
			k.current()
		}
	}
}

// current is the newest state, made anew if anything changed. Nobody may
// change it.
func (k *Keeper) current() *shared.EdgeState {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state != nil && k.state.Version == k.sites.Version() {
		return k.state
	}
	list, version := k.sites.Configs()
	k.state = &shared.EdgeState{Version: version, Sites: list}
	k.holder.Store(registry.NewView(k.state))
	return k.state
}
