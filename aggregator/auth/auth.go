// Package auth knows who may do what by a token.
//
// It owns API keys and edge tokens: making them, knowing them again, ending
// them; what each may be used for, for which sites, and until when. It promises
// that a token is shown once, to whoever made it; that what is stored lets
// nobody use it; and that the time a wrong one takes tells nothing about a
// right one. It refuses keys that allow nothing, or more than their kind needs.
//
// The tokens that come from the configuration or the data directory (the shared
// edge token, the owner's) are told to it by [Keys.Trust].
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// What a token may be used for.
const (
	// ScopeEdge is to deliver batches and to ask for sites and salts.
	ScopeEdge = "edge"
	// ScopeIngest is to send events from servers, with times and addresses of
	// the sender's own.
	ScopeIngest = "ingest"
	// ScopeStats is to ask questions.
	ScopeStats = "stats:read"
	// ScopeAdmin is everything but to be an edge.
	ScopeAdmin = "admin"
)

// scopes are all of them, in the order in which they are shown.
var scopes = []string{ScopeEdge, ScopeIngest, ScopeStats, ScopeAdmin}

// maxKeys bounds the keys: each is a record in the store.
const maxKeys = 1000

// Errors that callers tell apart.
var (
	// ErrUnknown means that there is no key of that id.
	ErrUnknown = errors.New("there is no such key")
	// ErrInvalid means that no key can be as it was asked for.
	ErrInvalid = errors.New("no such key is possible")
)

// Store keeps the keys; see package state.
type Store interface {
	PutKey(state.Key) error
	DeleteKey(id string) error
	Keys() ([]state.Key, error)
}

// Sites finds the sites that a key is for.
type Sites interface {
	Resolve(name string) (state.Site, bool)
}

// Principal is who shows a token.
type Principal struct {
	ID     string   // of the key; of a token of the configuration its name
	Name   string   // for people
	Edge   string   // the edge that the token is bound to; "" = any
	Sites  []string // site ids; nil = every site
	scopes []string
}

// May reports whether the token is for a purpose.
func (p *Principal) May(scope string) bool {
	return slices.Contains(p.scopes, scope) || scope != ScopeEdge && slices.Contains(p.scopes, ScopeAdmin)
}

// For reports whether the token is for a site, by its id.
func (p *Principal) For(siteID string) bool {
	return p.Sites == nil || slices.Contains(p.Sites, siteID)
}

// Keys are the keys in memory, and in the store. Its methods are safe for
// concurrent use; knowing a token takes no lock.
type Keys struct {
	store Store
	sites Sites
	now   func() time.Time

	mu      sync.Mutex // orders changes
	byID    atomic.Pointer[map[string]state.Key]
	trusted []trusted // does not change after the start
}

// trusted is a token that is not in the store.
type trusted struct {
	sum [sha256.Size]byte
	who Principal
}

// Open reads the keys.
func Open(store Store, sites Sites) (*Keys, error) {
	list, err := store.Keys()
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	k := &Keys{store: store, sites: sites, now: time.Now}
	byID := make(map[string]state.Key, len(list))
	for _, key := range list {
		byID[key.ID] = key
	}
	k.byID.Store(&byID)
	return k, nil
}

// Trust makes a token of the configuration known, for every site. It must be
// called before the first Identify. An empty token is nobody's.
func (k *Keys) Trust(name, token string, scopes ...string) {
	if token != "" {
		k.trusted = append(k.trusted, trusted{sha256.Sum256([]byte(token)), Principal{ID: name, Name: name, scopes: scopes}})
	}
}

// Identify returns who shows a token. Digests are compared, in a time that
// depends on neither content nor length of what is secret.
func (k *Keys) Identify(token string) (Principal, bool) {
	if token == "" {
		return Principal{}, false
	}
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range k.trusted {
		if subtle.ConstantTimeCompare(sum[:], k.trusted[i].sum[:]) == 1 {
			found = i
		}
	}
	if found >= 0 {
		return k.trusted[found].who, true
	}
	key, known := (*k.byID.Load())[idOf(token)] // the id is no secret
	want, err := hex.DecodeString(key.Hash)
	if !known || err != nil || subtle.ConstantTimeCompare(sum[:], want) != 1 || k.expired(&key) {
		return Principal{}, false
	}
	return Principal{ID: key.ID, Name: key.Name, Edge: key.Edge, Sites: key.Sites, scopes: key.Scopes}, true
}

func (k *Keys) expired(key *state.Key) bool {
	return key.ExpiresAt != 0 && k.now().UnixMicro() >= key.ExpiresAt
}

// A token is `eider_`, the id (8 hexadecimal digits), `_`, and 32 random bytes
// in base64url. The beginning lets people and secret scanners recognise it.
const (
	tokenBegin = "eider_"
	idLen      = 8
)

func idOf(token string) string {
	rest, ok := strings.CutPrefix(token, tokenBegin)
	if !ok || len(rest) < idLen+1 || rest[idLen] != '_' {
		return ""
	}
	return rest[:idLen]
}

// Prefix is the part of a key's token that may be shown.
func Prefix(id string) string { return tokenBegin + id }

// New describes a key to be made.
type New struct {
	Name   string   `json:"name"`
	Edge   string   `json:"edge,omitempty"`    // the name of the edge; implies the scope edge
	Scopes []string `json:"scopes,omitempty"`  //
	Sites  []string `json:"sites,omitempty"`   // ids, UUIDs or domains; empty = every site
	Expire string   `json:"expires,omitempty"` // 90d, 12h, or a date; "" = never
}

// Issued is a key with its token, which nobody can be shown again.
type Issued struct {
	state.Key
	Token string `json:"token"`
}

// Add makes a key. What can't be is ErrInvalid, with what to change.
func (k *Keys) Add(n New) (Issued, error) {
	key, err := k.check(&n)
	if err != nil {
		return Issued{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	old := *k.byID.Load()
	if len(old) >= maxKeys {
		return Issued{}, fmt.Errorf("%w: there are %d keys already, which is the limit: revoke those that nobody uses", ErrInvalid, maxKeys)
	}
	var secret [32]byte
	for taken := true; taken || key.ID == ""; {
		var id [idLen / 2]byte
		_, _ = rand.Read(id[:]) // never fails since Go 1.24
		key.ID = hex.EncodeToString(id[:])
		_, taken = old[key.ID]
	}
	_, _ = rand.Read(secret[:])
	token := tokenBegin + key.ID + "_" + base64.RawURLEncoding.EncodeToString(secret[:])
	sum := sha256.Sum256([]byte(token))
	key.Hash = hex.EncodeToString(sum[:])
	if err := k.store.PutKey(key); err != nil {
		return Issued{}, fmt.Errorf("store key: %w", err)
	}
	next := make(map[string]state.Key, len(old)+1)
	for id, other := range old {
		next[id] = other
	}
	next[key.ID] = key
	k.byID.Store(&next)
	return Issued{key, token}, nil
}

// check makes a record of what is asked for.
func (k *Keys) check(n *New) (state.Key, error) {
	now := k.now()
	key := state.Key{Name: strings.TrimSpace(n.Name), Edge: strings.TrimSpace(n.Edge), CreatedAt: now.UnixMicro()}
	for _, text := range []string{key.Name, key.Edge} {
		if shared.Cut(text, shared.MaxShort) != text {
			return key, fmt.Errorf("a name has at most %d bytes of text, without control characters", shared.MaxShort)
		}
	}
	for _, scope := range scopes {
		if slices.Contains(n.Scopes, scope) || scope == ScopeEdge && key.Edge != "" {
			key.Scopes = append(key.Scopes, scope)
		}
	}
	for _, scope := range n.Scopes {
		if !slices.Contains(scopes, scope) {
			return key, fmt.Errorf("there is no scope %s: it can be %s", strconv.Quote(scope), strings.Join(scopes, ", "))
		}
	}
	edge, admin := slices.Contains(key.Scopes, ScopeEdge), slices.Contains(key.Scopes, ScopeAdmin)
	switch {
	case len(key.Scopes) == 0:
		return key, fmt.Errorf("say what it is for: a scope (%s), or the name of an edge", strings.Join(scopes, ", "))
	case edge && key.Edge == "":
		return key, errors.New("the scope edge needs the name of the edge")
	case edge && len(key.Scopes) > 1:
		return key, errors.New("an edge's token is for nothing else: make a second key for the other scopes")
	case admin && len(n.Sites) > 0:
		return key, errors.New("the scope admin is for all sites: leave the sites out, or choose other scopes")
	}
	if key.Name == "" {
		key.Name = key.Edge
	}
	for _, name := range n.Sites {
		site, ok := k.sites.Resolve(name)
		if !ok {
			return key, fmt.Errorf("there is no site %s: `eider site list` lists them", strconv.Quote(name[:min(len(name), 80)]))
		}
		if !slices.Contains(key.Sites, site.ID) {
			key.Sites = append(key.Sites, site.ID)
		}
	}
	expires, err := expiry(n.Expire, now)
	if err != nil {
		return key, err
	}
	key.ExpiresAt = expires
	return key, nil
}

// expiry reads a span of days (90d) or hours and minutes (12h, 30m), or a date
// (2027-01-31: to its end, in UTC); 0 = never.
func expiry(text string, now time.Time) (int64, error) {
	if text == "" {
		return 0, nil
	}
	var at time.Time
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			at = now.AddDate(0, 0, int(n))
		}
	} else if d, err := time.ParseDuration(text); err == nil {
		at = now.Add(d)
	} else if date, err := time.Parse(time.DateOnly, text); err == nil {
		at = date.AddDate(0, 0, 1)
	}
	switch {
	case at.IsZero():
		return 0, fmt.Errorf("expires: %s is no span of time: write 90d, 12h or a date such as 2027-01-31", strconv.Quote(text[:min(len(text), 80)]))
	case !at.After(now):
		return 0, errors.New("expires: that is over already")
	}
	return at.UnixMicro(), nil
}

// List returns every key in the order of making.
func (k *Keys) List() []state.Key {
	list := []state.Key{}
	for _, key := range *k.byID.Load() {
		list = append(list, key)
	}
	slices.SortFunc(list, func(a, b state.Key) int {
		if a.CreatedAt != b.CreatedAt {
			if a.CreatedAt < b.CreatedAt {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Ingest returns the keys with which servers may send, for those who take
// events in elsewhere, and a version that changes with them.
func (k *Keys) Ingest() (list []shared.IngestKey, version string) {
	sum := sha256.New()
	for _, key := range k.List() {
		who := Principal{scopes: key.Scopes}
		if k.expired(&key) || !who.May(ScopeIngest) {
			continue
		}
		list = append(list, shared.IngestKey{Digest: key.Hash, Sites: key.Sites, Until: key.ExpiresAt})
		_, _ = fmt.Fprintln(sum, key.Hash) // a key never changes
	}
	return list, hex.EncodeToString(sum.Sum(nil)[:8])
}

// Revoke ends a key, by its id or the beginning of its token that is shown.
// Requests that are on their way end as they began.
func (k *Keys) Revoke(id string) (state.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	id = strings.TrimPrefix(id, tokenBegin)
	old := *k.byID.Load()
	key, ok := old[id]
	if !ok {
		return state.Key{}, fmt.Errorf("%w: name it as `eider key list` does", ErrUnknown)
	}
	if err := k.store.DeleteKey(id); err != nil {
		return state.Key{}, fmt.Errorf("revoke key: %w", err)
	}
	next := make(map[string]state.Key, len(old))
	for other, key := range old {
		if other != id {
			next[other] = key
		}
	}
	k.byID.Store(&next)
	return key, nil
}
