package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"
)

// Format is the newest layout that this package knows; a store of a higher one
// is refused. A new store has the format baseFormat until it has something that
// older versions would spoil.
const (
	Format     = FormatDays
	baseFormat = 1
)

// Sentinels of [Open] and [State.Commit], wrapped with the path and what to do.
var (
	// ErrLocked means that another process has the store open.
	ErrLocked = errors.New("in use by another process")
	// ErrCorrupt means that the store is damaged or older than what was
	// committed to it.
	ErrCorrupt = errors.New("damaged")
	// ErrNewer means that a newer version of the software wrote the store.
	ErrNewer = errors.New("written by a newer version")
	// ErrNoSpace means that the volume has too little room for the store to be
	// written safely. The call changed nothing and may be repeated.
	ErrNoSpace = errors.New("too little space on the volume")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("state is closed")
)

// State is the open store. Its methods are safe for concurrent use; changes
// happen one after the other.
type State struct {
	dir string
	log *zap.Logger
	db  *badger.DB

	mu        sync.Mutex // orders changes; guards what follows
	head      head
	witness   *witness
	allocated map[string]bool // log files whose blocks are reserved
	staged    bool            // a staged commit's entries may have to be swept
	broken    error           // the outcome of a change is unknown
	closed    bool
}

// head is the one record that makes a commit visible.
type head struct {
	Format       int    `json:"format"`
	Revision     uint64 `json:"revision"` // counts every change, sites too
	Version      uint64 `json:"version"`  // counts commits of the manifest
	SpoolThrough uint64 `json:"spool_through"`
	Segments     int    `json:"segments"` // number of live ones, and the digest
	Digest       uint64 `json:"digest"`   // of their ids: see digestOf
}

// Open opens the store in dir, which is created when it does not exist.
func Open(dir string, log *zap.Logger) (*State, error) {
	if log == nil {
		log = zap.NewNop()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create state directory: %w", err)
	}
	if err := requireSpace(dir); err != nil {
		return nil, err
	}
	store := filepath.Join(dir, "db")
	existed := exists(filepath.Join(store, badger.ManifestFilename))
	db, err := openBadger(store, log)
	if err != nil {
		return nil, explainOpen(dir, err)
	}
	s := &State{dir: dir, log: log, db: db, allocated: map[string]bool{}, staged: true}
	if err := s.load(existed); err != nil {
		if s.witness != nil {
			_ = s.witness.close()
		}
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// load reads the head, compares it with the witness and with the segments, and
// readies the store for changes.
func (s *State) load(existed bool) error {
	var err error
	if s.witness, err = openWitness(filepath.Join(s.dir, "HEAD")); err != nil {
		return err
	}
	found, err := s.readHead()
	if err != nil {
		return err
	}
	switch seen := s.witness.revision; {
	case s.head.Format > Format:
		return fmt.Errorf("state in %s: %w (format %d, this version knows %d): upgrade eider, or restore a backup made before the upgrade",
			s.dir, ErrNewer, s.head.Format, Format)
	case seen > s.head.Revision && !existed:
		return fmt.Errorf("state in %s: %w: its store is missing although %d changes were committed to it: restore the directory from a backup",
			s.dir, ErrCorrupt, seen)
	case seen > s.head.Revision:
		return fmt.Errorf("state in %s: %w: it holds %d changes although %d were committed to it: restore the directory from a backup",
			s.dir, ErrCorrupt, s.head.Revision, seen)
	}
	m, err := s.Manifest()
	if err != nil {
		return err
	}
	if n, d := len(m.Segments), digestOf(m.Segments); n != s.head.Segments || d != s.head.Digest {
		return fmt.Errorf("state in %s: %w: it lists %d segments although %d were committed to it: restore the directory from a backup",
			s.dir, ErrCorrupt, n, s.head.Segments)
	}
	if err := s.begin(); err != nil {
		return err
	}
	if found {
		return nil
	}
	next := s.head
	next.Revision++
	return s.change(next, func(*badger.Txn) error { return nil })
}

func (s *State) readHead() (found bool, err error) {
	s.head = head{Format: baseFormat}
	err = s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(keyHead)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		return item.Value(func(b []byte) error { return json.Unmarshal(b, &s.head) })
	})
	if err != nil {
		return false, fmt.Errorf("state in %s: %w: read head: %w", s.dir, ErrCorrupt, err)
	}
	return found, nil
}

// Close closes the store. On a volume that is full the store is left as it is
// instead, its lock held until the process ends: closing writes a table through
// a memory mapping, which ends the process where there is no room, and the next
// Open recovers everything from the log.
func (s *State) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.witness.close()
	if space := requireSpace(s.dir); space != nil {
		s.log.Warn("state is left open because its volume is full", zap.String("path", s.dir), zap.Error(space))
		return err
	}
	if closeErr := s.db.Close(); closeErr != nil {
		return errors.Join(err, fmt.Errorf("close state in %s: %w", s.dir, closeErr))
	}
	return err
}

// openBadger opens the store with options that never change on an existing
// directory: Badger ends the process when a log is larger than its memtable.
func openBadger(dir string, log *zap.Logger) (*badger.DB, error) {
	return badger.Open(badger.DefaultOptions(dir).
		WithLogger(badgerLog{log}).
		WithSyncWrites(true).
		WithMemTableSize(memTable).
		WithNumMemtables(2).
		WithValueThreshold(1 << 20). // values stay in the tree: the value log is never used
		WithValueLogFileSize(1 << 20).
		WithBaseTableSize(2 << 20).
		WithBlockCacheSize(4 << 20).
		WithIndexCacheSize(4 << 20).
		WithNumCompactors(2).
		WithMetricsEnabled(false).
		WithCompactL0OnClose(false).
		WithDetectConflicts(false)) // one writer at a time, by s.mu
}

// explainOpen adds what to do to Badger's reasons for not opening.
func explainOpen(dir string, err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "Cannot acquire directory lock"):
		return fmt.Errorf("state in %s: %w: stop the other eider that uses this data directory, or choose another with --data", dir, ErrLocked)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("open state in %s: %w", dir, err)
	case strings.Contains(text, "unsupported version") || strings.Contains(text, "manifest has unsupported"):
		return fmt.Errorf("state in %s: %w: upgrade eider (%w)", dir, ErrNewer, err)
	default:
		return fmt.Errorf("state in %s: %w: restore the directory from a backup (%w)", dir, ErrCorrupt, err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// badgerLog passes on what Badger warns of.
type badgerLog struct{ log *zap.Logger }

func (l badgerLog) Errorf(format string, args ...any) {
	l.log.Error("state store reports an error", zap.String("text", strings.TrimSpace(fmt.Sprintf(format, args...))))
}

func (l badgerLog) Warningf(format string, args ...any) {
	l.log.Warn("state store reports a warning", zap.String("text", strings.TrimSpace(fmt.Sprintf(format, args...))))
}

func (badgerLog) Infof(string, ...any)  {}
func (badgerLog) Debugf(string, ...any) {}
