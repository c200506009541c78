package salts

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

// retryAfter is how soon a file that could not be written is tried again.
const retryAfter = time.Minute

// Store is the file of salts, in memory. Its methods are safe for concurrent
// use.
type Store struct {
	path string
	now  func() time.Time
	log  *zap.Logger
	boot string

	mu      sync.Mutex
	content *content
	zones   map[string]*time.Location
	offer   []shared.Salt
	count   uint64 // of changes of what is handed out
	dirty   bool   // memory has what the file has not
	due     time.Time
	lost    string // why the secrets are new
}

// Handout is what may be known of the salts now.
type Handout struct {
	Version    string // changes with what follows, and with every opening
	Salts      []shared.Salt
	SigningKey []byte
}

// Open reads the file at path, or makes it. now is the clock; nil = time.Now.
func Open(path string, now func() time.Time, log *zap.Logger) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = zap.NewNop()
	}
	s := &Store{path: path, now: now, log: log, boot: randomID(), zones: map[string]*time.Location{}}
	c, found, err := load(path)
	switch {
	case errors.Is(err, errDamaged):
		log.Error("salts are damaged, all identities begin anew", zap.String("path", path))
		s.lost = "damaged"
	case err != nil:
		return nil, err
	case !found:
		s.lost = "missing"
	}
	if s.lost == "" {
		s.content = c
		return s, nil
	}
	s.content = &content{ID: randomID(), Sites: map[string]series{}}
	s.rotateSigning(s.now().UnixMicro())
	if err := save(path, s.content); err != nil {
		return nil, err
	}
	return s, nil
}

func randomID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// ID names the file for ever: where another was in use, identities begin anew.
func (s *Store) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.ID
}

// Lost says why the secrets are new: "missing", "damaged", or "" if they are
// not.
func (s *Store) Lost() string { return s.lost }

// Update makes, offers and destroys what the moment asks for, and returns when
// it is to be called again at the latest. It must be called after each change
// of the sites, with all of them. Archived sites get no new salts.
//
// An error means that the file could not be written. The salts are handed out
// all the same: an identity that a crash would end is better than none.
func (s *Store) Update(sites []shared.SiteConfig) (due time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().UnixMicro()
	next := s.rotateSigning(now)
	for i := range sites {
		if site := &sites[i]; !site.Archived {
			s.grow(site, now)
		}
	}
	offer := make([]shared.Salt, 0, 3*len(s.content.Sites))
	for id, list := range s.content.Sites {
		list, changed := list.destroyed(now)
		s.dirty = s.dirty || changed
		if len(list) == 0 {
			delete(s.content.Sites, id)
			continue
		}
		s.content.Sites[id] = list
		next = min(next, list.due(now))
		for _, x := range list.offered(now) {
			one := shared.Salt{Site: id, From: x.From, Until: x.Until, Identity: x.Identity}
			copy(one.Key[:], x.Key)
			offer = append(offer, one)
		}
	}
	slices.SortFunc(offer, func(a, b shared.Salt) int {
		if a.Site != b.Site {
			return compare(a.Site, b.Site)
		}
		return compare(a.From, b.From)
	})
	if s.count == 0 || !slices.Equal(offer, s.offer) {
		s.count++
	}
	s.offer = offer
	s.due = time.UnixMicro(next)
	if s.dirty {
		if err = save(s.path, s.content); err != nil {
			s.due = s.now().Add(retryAfter)
			return s.due, err
		}
		s.dirty = false
	}
	return s.due, nil
}

func compare[T string | int64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (s *Store) grow(site *shared.SiteConfig, now int64) {
	kind := site.Identity
	if kind != shared.IdentityMonth {
		kind = shared.IdentityDay
	}
	list, changed := s.content.Sites[site.ID].grown(now, kind, s.zone(site.TimeZone))
	s.content.Sites[site.ID] = list
	s.dirty = s.dirty || changed
}

// zone is a location by its name; one that is not known here counts as UTC, as
// it does in the lake.
func (s *Store) zone(name string) *time.Location {
	loc, ok := s.zones[name]
	if !ok {
		var err error
		if loc, err = time.LoadLocation(name); err != nil || name == "Local" {
			loc = time.UTC
		}
		s.zones[name] = loc
	}
	return loc
}

// rotateSigning makes a key for Umami's tokens each day of UTC, and returns
// when the next one is due. A token lives for a day at most, and one that is no
// longer valid is ignored, so there is no need for the key before.
func (s *Store) rotateSigning(now int64) (due int64) {
	if k := &s.content.Signing; len(k.Key) != 32 || now >= k.Until || k.Until-now > 2*day {
		clear(k.Key)
		*k = signing{Key: newKey(), Until: (now/day + 1) * day}
		s.count++
		s.dirty = true
	}
	return s.content.Signing.Until
}

// Handout is what Update offered last. Nobody may change it.
func (s *Store) Handout() Handout {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Handout{
		Version: s.boot + "-" + strconv.FormatUint(s.count, 10), Salts: s.offer, SigningKey: slices.Clone(s.content.Signing.Key),
	}
}

// Due is when Update is to be called again at the latest.
func (s *Store) Due() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.due
}

// String keeps the secrets out of whatever prints the store.
func (s *Store) String() string { return fmt.Sprintf("salts in %s", s.path) }
