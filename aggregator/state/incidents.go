package state

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// touching is how far two spans of one edge and reason may lie apart (µs) and
// still be one incident: an outage is reported batch by batch, and a list of a
// record per batch would help nobody and grow without end.
const touching = 60_000_000

// Incidents returns the incidents that overlap [from, to] (µs since 1970, both
// included), edge by edge, each in the order of time.
func (s *State) Incidents(from, to int64) ([]Incident, error) {
	list, err := all[Incident](s, prefixIncident)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, i := range list {
		if i.From <= to && i.To >= from {
			list[n] = i
			n++
		}
	}
	return list[:n], nil
}

// mergeIncident adds i to the stored incidents of its edge and reason: one
// with those that it touches.
func mergeIncident(txn *badger.Txn, i Incident) error {
	if i.Count == 0 {
		return nil
	}
	if i.To < i.From {
		i.From, i.To = i.To, i.From
	}
	if i.From < 0 || i.Reason == "" {
		return fmt.Errorf("incident %q from %d", i.Reason, i.From)
	}
	for {
		old, key, err := touched(txn, &i)
		if err != nil {
			return err
		}
		if key == nil {
			return putJSON(txn, incidentKey(&i), &i)
		}
		if err := txn.Delete(key); err != nil {
			return err
		}
		i.From, i.To = min(i.From, old.From), max(i.To, old.To)
		i.Count += old.Count
	}
}

// touched returns the last stored incident that begins before i's end and
// touches i, if there is one. Stored ones of an edge and reason never touch each
// other, so the one that begins last also ends last, and no other needs to be
// looked at when it does not touch.
func touched(txn *badger.Txn, i *Incident) (old Incident, key []byte, err error) {
	prefix := incidentPrefix(i.Edge, i.Reason)
	opts := badger.DefaultIteratorOptions
	opts.Reverse = true
	it := txn.NewIterator(opts)
	defer it.Close()
	latest := Incident{Edge: i.Edge, Reason: i.Reason, From: i.To + touching}
	it.Seek(incidentKey(&latest))
	if !it.ValidForPrefix(prefix) {
		return old, nil, nil
	}
	item := it.Item()
	if err := item.Value(func(b []byte) error { return json.Unmarshal(b, &old) }); err != nil {
		return old, nil, fmt.Errorf("%w: record %q: %w", ErrCorrupt, item.Key(), err)
	}
	if old.To < i.From-touching {
		return old, nil, nil
	}
	return old, bytes.Clone(item.Key()), nil
}
