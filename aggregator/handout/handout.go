// Package handout is what the aggregator tells those who collect: the sites,
// and the secrets that visitors are told apart by.
//
// It owns putting registry and salts together into one state, keeping the view
// of it that the aggregator's own endpoints collect by, cutting it to what one
// edge token may see, and the list of hosts that edges were asked for and no
// site has. It promises that whoever asks after a change sees it, that a site
// has its salts the first time that anybody hears of it, and that the own view
// follows a change within a moment.
//
// It refuses to write: the secrets pass through, the hosts are in memory only
// and bounded, as they are made up by whoever asks.
package handout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/salts"
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

// Keys are the API keys with which servers may send.
type Keys interface {
	Ingest() (list []shared.IngestKey, version string)
}

// Config is what a Keeper works with. Keys, Now and Logger may be left out.
type Config struct {
	Sites  Sites
	Salts  *salts.Store
	Keys   Keys
	Now    func() time.Time
	Logger *zap.Logger
}

// Keeper keeps the state that is handed out up to date.
type Keeper struct {
	cfg    Config
	log    *zap.Logger
	holder registry.Holder

	mu      sync.Mutex
	state   *shared.EdgeState
	sites   string    // the registry's version in state
	keys    string    // the keys' version in state
	made    time.Time // when the state was looked at last
	failing bool

	unknown unknown
}

// New makes a keeper and its first state.
func New(cfg Config) *Keeper {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	k := &Keeper{cfg: cfg, log: cfg.Logger, unknown: unknown{of: map[string]shared.UnknownHost{}}}
	k.current()
	return k
}

// Holder is where the aggregator's own endpoints find the newest view.
func (k *Keeper) Holder() *registry.Holder { return &k.holder }

// lookAgain bounds how long Run sleeps: a machine that was suspended wakes up
// in another period, and its timers do not know.
const lookAgain = 30 * time.Second

// Run follows the changes of the sites and the rotations until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.cfg.Sites.Changed():
		case <-timer.C:
		}
		k.current()
		timer.Reset(max(0, min(lookAgain, k.cfg.Salts.Due().Sub(k.cfg.Now()))))
	}
}

// current is the newest state, made anew if anything changed or the time has
// come. Nobody may change it.
func (k *Keeper) current() *shared.EdgeState {
	k.mu.Lock()
	defer k.mu.Unlock()
	var keys []shared.IngestKey
	var keysVersion string
	if k.cfg.Keys != nil {
		keys, keysVersion = k.cfg.Keys.Ingest()
	}
	// A clock that was set back is in a period that nobody made salts for, and
	// due only once it is where it was. Wall clocks are compared: the monotonic
	// one does not know.
	now := k.cfg.Now().Round(0)
	if k.state != nil && k.sites == k.cfg.Sites.Version() && k.keys == keysVersion && now.Before(k.cfg.Salts.Due()) && !now.Before(k.made) {
		return k.state
	}
	k.made = now
	list, version := k.cfg.Sites.Configs()
	due, err := k.cfg.Salts.Update(list)
	switch {
	case err != nil && !k.failing:
		k.log.Error("salts can't be written, identities will not survive a restart", zap.Error(err), zap.Time("again_at", due))
	case err == nil && k.failing:
		k.log.Info("salts are written again")
	}
	k.failing = err != nil
	h := k.cfg.Salts.Handout()
	k.sites, k.keys = version, keysVersion
	tag := digest(version, h.Version, keysVersion)
	if k.state == nil || k.state.Version != tag {
		k.state = &shared.EdgeState{Version: tag, Sites: list, Salts: h.Salts, SigningKey: h.SigningKey, Keys: keys}
		k.holder.Store(registry.NewView(k.state))
	}
	return k.state
}

// State is what the bearer of a token that allows some sites, by their ids,
// may know (nil = all), and its version. It is nil if have is that version.
func (k *Keeper) State(allowed []string, have string) (state *shared.EdgeState, version string) {
	all := k.current()
	version = all.Version
	if allowed != nil {
		sorted := slices.Clone(allowed)
		slices.Sort(sorted)
		version = digest(append([]string{version}, sorted...)...)
	}
	if version == have {
		return nil, version
	}
	cut := *all
	cut.Version = version
	if allowed != nil {
		cut.Sites, cut.Salts, cut.Keys = []shared.SiteConfig{}, []shared.Salt{}, keysFor(all.Keys, allowed)
		cut.SigningKey, cut.TokenKeys = nil, map[string]shared.Secret{}
		for _, s := range all.Sites {
			if slices.Contains(allowed, s.ID) {
				cut.Sites = append(cut.Sites, s)
				cut.TokenKeys[s.ID] = shared.TokenKey(all.SigningKey, s.ID)
			}
		}
		for _, s := range all.Salts {
			if slices.Contains(allowed, s.Site) {
				cut.Salts = append(cut.Salts, s)
			}
		}
	}
	return &cut, version
}

// keysFor are the keys that are of use for some sites, cut to these.
func keysFor(keys []shared.IngestKey, allowed []string) []shared.IngestKey {
	var list []shared.IngestKey
	for _, key := range keys {
		if len(key.Sites) > 0 {
			key.Sites = slices.DeleteFunc(slices.Clone(key.Sites), func(id string) bool { return !slices.Contains(allowed, id) })
			if len(key.Sites) == 0 {
				continue
			}
		}
		list = append(list, key)
	}
	return list
}

// digest is a short name for a list of texts.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:12])
}
