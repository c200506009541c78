package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// entry is a stored segment. It counts from the head's revision on that its
// commit reached: what is above was staged by a commit that did not come
// through.
type entry struct {
	Revision uint64 `json:"revision"`
	Segment
}

// removal is the staged removal of the segment whose id its key has.
type removal struct {
	Revision uint64 `json:"revision"`
}

// Manifest returns the live segments, the spool position and the version, all
// of one commit.
func (s *State) Manifest() (Manifest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Manifest{}, ErrClosed
	}
	m := Manifest{SpoolThrough: s.head.SpoolThrough, Version: s.head.Version}
	removed := map[string]bool{}
	err := s.db.View(func(txn *badger.Txn) error {
		err := each(txn, prefixRemoved, func(key []byte, r *removal) error {
			if r.Revision <= s.head.Revision {
				removed[string(key[len(prefixRemoved):])] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		if m.Days, err = days(txn); err != nil {
			return err
		}
		return each(txn, prefixSegment, func(_ []byte, e *entry) error {
			if e.Revision <= s.head.Revision && !removed[e.ID] {
				m.Segments = append(m.Segments, e.Segment)
			}
			return nil
		})
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest in %s: %w", s.dir, err)
	}
	slices.SortFunc(m.Segments, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(a.SiteID, b.SiteID), cmp.Compare(a.Date, b.Date),
			cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return m, nil
}

// sweep drops what a commit staged that did not come through, and finishes the
// removals of one that did. The caller holds s.mu, or is Open.
func (s *State) sweep() error {
	if !s.staged {
		return nil
	}
	var dead [][]byte
	err := s.db.View(func(txn *badger.Txn) error {
		err := each(txn, prefixRemoved, func(key []byte, r *removal) error {
			if r.Revision <= s.head.Revision {
				dead = append(dead, join(prefixSegment, string(key[len(prefixRemoved):])))
			}
			// The marker goes after its segment: see below.
			dead = append(dead, bytes.Clone(key))
			return nil
		})
		if err != nil {
			return err
		}
		return each(txn, prefixSegment, func(key []byte, e *entry) error {
			if e.Revision > s.head.Revision {
				dead = append(dead, bytes.Clone(key))
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("read manifest in %s: %w", s.dir, err)
	}
	// Transactions in order: a segment's record never outlives the marker that
	// says it is removed.
	for len(dead) > 0 {
		part := dead[:min(2*stageAt, len(dead))]
		dead = dead[len(part):]
		err := s.update(func(txn *badger.Txn) error {
			for _, key := range part {
				if err := txn.Delete(key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	s.staged = false
	return nil
}

// Marks returns how far each epoch of each edge was accepted.
func (s *State) Marks() ([]Mark, error) { return all[Mark](s, prefixMark) }

// Edges returns what is known of each edge.
func (s *State) Edges() ([]Edge, error) { return all[Edge](s, prefixEdge) }

// all reads every record below prefix, in the order of its keys.
func all[T any](s *State, prefix []byte) ([]T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	var list []T
	err := s.db.View(func(txn *badger.Txn) error {
		return each(txn, prefix, func(_ []byte, v *T) error {
			list = append(list, *v)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read state in %s: %w", s.dir, err)
	}
	return list, nil
}

// each decodes every record below prefix. key is valid during the call only.
func each[T any](txn *badger.Txn, prefix []byte, fn func(key []byte, v *T) error) error {
	opts := badger.DefaultIteratorOptions
	opts.Prefix = prefix
	it := txn.NewIterator(opts)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		var v T
		if err := item.Value(func(b []byte) error { return json.Unmarshal(b, &v) }); err != nil {
			return fmt.Errorf("%w: record %q: %w", ErrCorrupt, item.Key(), err)
		}
		if err := fn(item.Key(), &v); err != nil {
			return err
		}
	}
	return nil
}
