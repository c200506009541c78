package state

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Erasure is one entry of the erasure ledger: what was to be erased, by whom,
// and how far that is. It names nobody: ids are keyed digests. What the fields
// mean to a row is package erasure's to say.
type Erasure struct {
	ID     string `json:"id"`
	SiteID string `json:"site_id"`
	From   int64  `json:"from"` // µs since 1970, of event times
	To     int64  `json:"to"`   // µs since 1970, excluded
	// Key tells under which key the digests were made.
	Key      string   `json:"key"`
	Visitors []string `json:"visitors,omitempty"` // keyed digests, hexadecimal
	Distinct string   `json:"distinct,omitempty"` // likewise
	Both     bool     `json:"both,omitempty"`     // a row must match visitor and distinct id
	AskedAt  int64    `json:"asked_at"`           // µs since 1970
	By       string   `json:"by"`                 // id of the key that asked, or what else did
	State    string   `json:"state"`              // ErasureOpen or ErasureDone
	DoneAt   int64    `json:"done_at,omitempty"`  // µs since 1970; 0 = not yet
	// ForgottenAt is since when what comes may be taken again; 0 = it may not.
	ForgottenAt int64   `json:"forgotten_at,omitempty"` // µs since 1970
	Counts      Erasing `json:"counts"`                 // of a done one
}

// What an entry of the ledger can be.
const (
	ErasureOpen = "open" // asked for; what is stored may still have some of it
	ErasureDone = "done" // nothing stored has it
)

// Erasing is how many rows one erasure has taken from each kind of file.
type Erasing struct {
	Hot         int64 `json:"hot"`          // of rows that were not in a segment when it was asked for
	Events      int64 `json:"events"`       // of segments
	SetAside    int64 `json:"set_aside"`    // of segments that nothing lists
	DeadLetters int64 `json:"dead_letters"` // batches
	Spool       int64 `json:"spool"`        // copies of the above
	Visits      int64 `json:"visits"`       // derived files, which are made anew
	Rollups     int64 `json:"rollups"`      // likewise
}

// Add adds what was counted elsewhere.
func (e *Erasing) Add(o Erasing) {
	e.Hot += o.Hot
	e.Events += o.Events
	e.SetAside += o.SetAside
	e.DeadLetters += o.DeadLetters
	e.Spool += o.Spool
	e.Visits += o.Visits
	e.Rollups += o.Rollups
}

// Erased are accepted rows of a site's local day that are in no segment,
// because they were erased: from one, or on their way into one.
type Erased struct {
	SiteID string `json:"site_id"`
	Date   string `json:"date"` // yyyy-mm-dd
	Rows   int64  `json:"rows"`
	// Erasure is the entry that they were counted for, and Counts how; "" =
	// they came when it was done. Neither is part of the record.
	Erasure string  `json:"-"`
	Counts  Erasing `json:"-"`
}

// PutErasure adds an entry or replaces the one with the same id. From the first
// one on, a version that knows no erasures, and would let the rows in again, is
// refused.
func (s *State) PutErasure(e Erasure) error {
	if e.ID == "" || e.SiteID == "" {
		return errors.New("put erasure: it has no id or no site")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return err
	}
	next := s.head
	next.Revision++
	next.Format = max(next.Format, FormatDays) // the versions that know days know erasures
	return s.change(next, func(txn *badger.Txn) error { return putJSON(txn, join(prefixErasure, e.ID), &e) })
}

// Erasures returns every entry, ordered by id.
func (s *State) Erasures() ([]Erasure, error) { return all[Erasure](s, prefixErasure) }

// Erased returns how many accepted rows were erased, by site and day.
func (s *State) Erased() ([]Erased, error) { return all[Erased](s, prefixErased) }

// Erasing returns what an erasure's commits have counted so far.
func (s *State) Erasing(id string) (Erasing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return Erasing{}, ErrClosed
	}
	var n Erasing
	err := s.db.View(func(txn *badger.Txn) error { return getJSON(txn, join(prefixErasing, id), &n) })
	if err != nil {
		return n, fmt.Errorf("read state in %s: %w", s.dir, err)
	}
	return n, nil
}

// addErased adds to what is counted.
func addErased(txn *badger.Txn, list []Erased) error {
	for _, e := range list {
		key, sum := join(prefixErased, e.SiteID, e.Date), Erased{SiteID: e.SiteID, Date: e.Date}
		if err := getJSON(txn, key, &sum); err != nil {
			return err
		}
		sum.Rows += e.Rows
		if err := putJSON(txn, key, &sum); err != nil {
			return err
		}
		if e.Erasure == "" {
			continue
		}
		var n Erasing
		if err := getJSON(txn, join(prefixErasing, e.Erasure), &n); err != nil {
			return err
		}
		n.Add(e.Counts)
		if err := putJSON(txn, join(prefixErasing, e.Erasure), &n); err != nil {
			return err
		}
	}
	return nil
}

// getJSON reads a record, and leaves v as it is where there is none.
func getJSON(txn *badger.Txn, key []byte, v any) error {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := item.Value(func(b []byte) error { return json.Unmarshal(b, v) }); err != nil {
		return fmt.Errorf("%w: record %q: %w", ErrCorrupt, key, err)
	}
	return nil
}
