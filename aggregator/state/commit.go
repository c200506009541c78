package state

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared/failpoint"
)

// stageAt is the number of segments from which a commit is staged: they are
// written in several transactions first, which count for nothing until one
// small last transaction moves the head. It keeps each transaction below
// Badger's limit of 15 % of the memtable.
const stageAt = 1000

// Commit applies c in one step and returns when it survives power loss.
//
// A commit that contradicts the manifest (a segment added twice or removed
// without being there, a spool position that goes back), that is too large for
// one transaction, or that finds too little space (ErrNoSpace) is refused and
// changes nothing. Any other error leaves open whether it happened; the state
// then refuses every further change until it is opened again.
func (s *State) Commit(c Commit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		return err
	}
	next, err := s.plan(&c)
	if err != nil {
		return fmt.Errorf("commit to state in %s: %w", s.dir, err)
	}
	if len(c.Add)+len(c.Remove) > stageAt {
		return s.commitStaged(&c, next)
	}
	return s.change(next, func(txn *badger.Txn) error {
		for i := range c.Add {
			if err := putSegment(txn, &c.Add[i], next.Revision); err != nil {
				return err
			}
		}
		for _, id := range c.Remove {
			if err := txn.Delete(join(prefixSegment, id)); err != nil {
				return err
			}
		}
		return putRest(txn, &c)
	})
}

// plan checks c against the manifest and returns the head that it leads to.
func (s *State) plan(c *Commit) (head, error) {
	next := s.head
	next.Revision++
	next.Version++
	if c.SpoolThrough != 0 {
		if c.SpoolThrough < next.SpoolThrough {
			return head{}, fmt.Errorf("spool position %d is before %d", c.SpoolThrough, next.SpoolThrough)
		}
		next.SpoolThrough = c.SpoolThrough
	}
	seen := make(map[string]bool, len(c.Add)+len(c.Remove))
	err := s.db.View(func(txn *badger.Txn) error {
		for i := range c.Add {
			id := c.Add[i].ID
			if id == "" || seen[id] || listed(txn, id) {
				return fmt.Errorf("segment %q is added twice or has no id", id)
			}
			seen[id] = true
			next.Segments++
			next.Digest ^= idDigest(id)
		}
		for _, id := range c.Remove {
			if seen[id] || !listed(txn, id) {
				return fmt.Errorf("segment %q is removed but not listed", id)
			}
			seen[id] = true
			next.Segments--
			next.Digest ^= idDigest(id)
		}
		return checkDays(txn, c)
	})
	if len(c.Days) > 0 {
		next.Format = max(next.Format, FormatDays)
	}
	return next, err
}

// listed reports whether a segment is live. Nothing is staged when it is called.
func listed(txn *badger.Txn, id string) bool {
	_, err := txn.Get(join(prefixSegment, id))
	return err == nil
}

// commitStaged is Commit for more segments than one transaction takes.
func (s *State) commitStaged(c *Commit, next head) error {
	s.staged = true
	for i := 0; i < len(c.Add); i += stageAt {
		part := c.Add[i:min(i+stageAt, len(c.Add))]
		err := s.update(func(txn *badger.Txn) error {
			for i := range part {
				if err := putSegment(txn, &part[i], next.Revision); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i := 0; i < len(c.Remove); i += stageAt {
		part := c.Remove[i:min(i+stageAt, len(c.Remove))]
		err := s.update(func(txn *badger.Txn) error {
			for _, id := range part {
				if err := putJSON(txn, join(prefixRemoved, id), removal{next.Revision}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	failpoint.Hit("state.commit.staged")
	return s.change(next, func(txn *badger.Txn) error { return putRest(txn, c) })
}

func putSegment(txn *badger.Txn, seg *Segment, revision uint64) error {
	return putJSON(txn, join(prefixSegment, seg.ID), entry{revision, *seg})
}

// putRest writes what moves with the segments.
func putRest(txn *badger.Txn, c *Commit) error {
	if err := putDays(txn, c); err != nil {
		return err
	}
	for i := range c.Marks {
		if err := putJSON(txn, markKey(&c.Marks[i]), &c.Marks[i]); err != nil {
			return err
		}
	}
	for i := range c.Edges {
		if err := putJSON(txn, join(prefixEdge, c.Edges[i].ID.String()), &c.Edges[i]); err != nil {
			return err
		}
	}
	for i := range c.Incidents {
		if err := mergeIncident(txn, c.Incidents[i]); err != nil {
			return err
		}
	}
	return addErased(txn, c.Erased)
}

// begin readies the store for a change. The caller holds s.mu.
func (s *State) begin() error {
	switch {
	case s.closed:
		return ErrClosed
	case s.broken != nil:
		return fmt.Errorf("state in %s must be opened again after: %w", s.dir, s.broken)
	}
	if err := s.reserve(); err != nil {
		return err
	}
	return s.sweep()
}

// change makes next the head in one transaction with what fill writes. The
// caller holds s.mu and has called begin.
func (s *State) change(next head, fill func(*badger.Txn) error) error {
	failpoint.Hit("state.commit.before")
	err := s.update(func(txn *badger.Txn) error {
		if err := fill(txn); err != nil {
			return err
		}
		return putJSON(txn, keyHead, next)
	})
	if err != nil {
		return err
	}
	failpoint.Hit("state.commit.after")
	s.head = next
	if err := s.witness.record(next.Revision); err != nil {
		// The change is durable; the next one brings the witness up to date.
		s.log.Error("state witness is behind", zap.String("path", s.dir), zap.Error(err))
	}
	return nil
}

// update runs one transaction. An error of fn changes nothing; one of the
// commit itself leaves the outcome open, and the state refuses to go on.
func (s *State) update(fn func(*badger.Txn) error) error {
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	if err := fn(txn); err != nil {
		return fmt.Errorf("commit to state in %s: %w", s.dir, err)
	}
	err := txn.Commit()
	if err == nil {
		return nil
	}
	err = fmt.Errorf("commit to state in %s: %w", s.dir, err)
	if !errors.Is(err, badger.ErrTxnTooBig) {
		s.broken = err
	}
	return err
}

func putJSON(txn *badger.Txn, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return txn.Set(key, b)
}
