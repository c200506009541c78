package state

import (
	"errors"

	"github.com/dgraph-io/badger/v4"
)

// PutSite adds a site or replaces the one with the same id. What a site may be
// called is the registry's to decide.
func (s *State) PutSite(site Site) error {
	if site.ID == "" {
		return errors.New("put site: it has no id")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return err
	}
	next := s.head
	next.Revision++
	return s.change(next, func(txn *badger.Txn) error {
		return putJSON(txn, join(prefixSite, site.ID), &site)
	})
}

// Sites returns every site, ordered by id.
func (s *State) Sites() ([]Site, error) { return all[Site](s, prefixSite) }
