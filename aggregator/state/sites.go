package state

import (
	"encoding/json"
	"errors"

	"github.com/dgraph-io/badger/v4"

	"github.com/eider-analytics/eider/shared"
)

// PutSite adds a site or replaces the one with the same id. What a site may be
// called is the registry's to decide.
func (s *State) PutSite(site Site) error {
	if site.ID == "" {
		return errors.New("put site: it has no id")
	}
	return s.single(func(txn *badger.Txn) error {
		return putJSON(txn, join(prefixSite, site.ID), &site)
	})
}

// Sites returns every site, ordered by id. What an older version did not record
// has its default.
func (s *State) Sites() ([]Site, error) {
	list, err := all[Site](s, prefixSite)
	for i := range list {
		if list[i].Identity == "" {
			list[i].Identity = shared.IdentityDay
		}
	}
	return list, err
}

// PutKey adds a key or replaces the one with the same id.
func (s *State) PutKey(key Key) error {
	if key.ID == "" || key.Hash == "" {
		return errors.New("put key: it has no id or no hash")
	}
	return s.single(func(txn *badger.Txn) error {
		return putJSON(txn, join(prefixKey, key.ID), &key)
	})
}

// DeleteKey forgets a key. One that is not there is none.
func (s *State) DeleteKey(id string) error {
	return s.single(func(txn *badger.Txn) error { return txn.Delete(join(prefixKey, id)) })
}

// Keys returns every key, ordered by id.
func (s *State) Keys() ([]Key, error) { return all[Key](s, prefixKey) }

// saltsRecord names the file of salts. The salts themselves are never in here:
// what this store holds goes into backups.
type saltsRecord struct {
	ID string `json:"id"`
}

// SaltsID is the name of the file of salts that was in use last; "" = none was.
func (s *State) SaltsID() (string, error) {
	var r saltsRecord
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", ErrClosed
	}
	err := s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(keySalts)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return item.Value(func(b []byte) error { return json.Unmarshal(b, &r) })
	})
	return r.ID, err
}

// PutSaltsID remembers which file of salts is in use.
func (s *State) PutSaltsID(id string) error {
	return s.single(func(txn *badger.Txn) error { return putJSON(txn, keySalts, saltsRecord{id}) })
}

// single is one change that has nothing to do with the manifest.
func (s *State) single(fill func(*badger.Txn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return err
	}
	next := s.head
	next.Revision++
	return s.change(next, fill)
}
