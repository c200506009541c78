package erasure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/durable"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Store is what the ledger needs of package state.
type Store interface {
	PutErasure(state.Erasure) error
	Erasures() ([]state.Erasure, error)
	Erasing(id string) (state.Erasing, error)
}

// The ledger's directory: the entries, and the key of their digests.
const (
	ledgerFile = "ledger.json"
	keyFile    = "key"
)

// format is the version of the ledger's file that this package writes.
const format = 1

// maxEntries bounds the ledger: each entry is in memory and in one file.
const maxEntries = 10_000

// document is the ledger's file.
type document struct {
	Format  int             `json:"format"`
	Entries []state.Erasure `json:"entries"`
}

// Ledger is what was erased. Its methods are safe for concurrent use; looking
// something up takes no lock.
type Ledger struct {
	dir   string
	store Store
	log   *zap.Logger

	mu      sync.Mutex // guards what follows
	key     key        // nil until the first erasure that names somebody
	entries []state.Erasure

	rules atomic.Pointer[rules] // of what may not come in
}

// OpenLedger reads the ledger in dir. Entries that only the file has, because the
// state is from an older backup, are open again; those that only the state has
// are written to the file.
func OpenLedger(dir string, store Store, log *zap.Logger) (*Ledger, error) {
	if log == nil {
		log = zap.NewNop()
	}
	l := &Ledger{dir: dir, store: store, log: log}
	var err error
	if l.key, err = readKey(filepath.Join(dir, keyFile)); err != nil {
		return nil, err
	}
	filed, err := readLedger(filepath.Join(dir, ledgerFile))
	if err != nil {
		return nil, err
	}
	stored, err := store.Erasures()
	if err != nil {
		return nil, fmt.Errorf("read the ledger of erasures: %w", err)
	}
	if err := l.unite(filed, stored); err != nil {
		return nil, fmt.Errorf("unite the ledger of erasures with the state: %w", err)
	}
	if foreign := l.compile(); foreign > 0 {
		log.Error("erasures of visitors can't be applied to what comes late: their key is not there; restore it from a backup",
			zap.Int("erasures", foreign), zap.String("path", filepath.Join(dir, keyFile)))
	}
	return l, nil
}

// unite makes the file and the state have the same entries. How far an entry is,
// the state knows: it moves with the segments.
func (l *Ledger) unite(filed, stored []state.Erasure) error {
	byID := map[string]*state.Erasure{}
	for i := range stored {
		byID[stored[i].ID] = &stored[i]
	}
	again, missing := 0, len(stored)
	for _, e := range filed {
		was, ok := byID[e.ID]
		if ok {
			missing--
			e.State, e.DoneAt, e.Counts = was.State, was.DoneAt, was.Counts
		} else {
			again++
			e.State, e.DoneAt = state.ErasureOpen, 0
		}
		if !ok || e.ForgottenAt != was.ForgottenAt {
			e.ForgottenAt = max(e.ForgottenAt, forgotten(was))
			if err := l.store.PutErasure(e); err != nil {
				return err
			}
		}
		delete(byID, e.ID)
		l.entries = append(l.entries, e)
	}
	for _, e := range byID {
		l.entries = append(l.entries, *e)
	}
	l.sort()
	if again > 0 {
		l.log.Warn("the state is older than the ledger of erasures: they are carried out again", zap.Int("erasures", again))
	}
	if missing > 0 {
		return l.write(l.entries)
	}
	return nil
}

func forgotten(e *state.Erasure) int64 {
	if e == nil {
		return 0
	}
	return e.ForgottenAt
}

func (l *Ledger) sort() {
	sort.Slice(l.entries, func(i, j int) bool {
		a, b := &l.entries[i], &l.entries[j]
		return a.AskedAt < b.AskedAt || a.AskedAt == b.AskedAt && a.ID < b.ID
	})
}

// compile readies what may not come in. The caller holds l.mu, or is OpenLedger.
func (l *Ledger) compile() (foreign int) {
	var holding []state.Erasure
	for _, e := range l.entries {
		if e.ForgottenAt == 0 || e.State == state.ErasureOpen {
			holding = append(holding, e)
		}
	}
	r, foreign := compile(l.key, holding)
	l.rules.Store(r)
	return foreign
}

// Of implements lake.Erasures.
func (l *Ledger) Of(site string) func(*lake.Who) bool { return l.rules.Load().of(site) }

// Erased recognises the events of any site that may not be kept, for one
// goroutine.
func (l *Ledger) Erased() func(site string, e *shared.Event) bool { return l.rules.Load().event() }

// Empty reports whether nothing is kept from coming in.
func (l *Ledger) Empty() bool { return len(l.rules.Load().sites) == 0 }

// List returns every entry, oldest first.
func (l *Ledger) List() []state.Erasure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]state.Erasure{}, l.entries...) // none is a list, too
}

// lastingKey is the key, which is made when it is first needed.
func (l *Ledger) lastingKey() (key, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.key != nil {
		return l.key, nil
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of erasures: %w", err)
	}
	k, err := makeKey(filepath.Join(l.dir, keyFile))
	if err != nil {
		return nil, err
	}
	l.key = k
	return k, nil
}

// put adds an entry or replaces it: in the file, in the state, and from now on
// in what may not come in.
func (l *Ledger) put(e state.Erasure) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := slices.Clone(l.entries)
	at := slices.IndexFunc(next, func(o state.Erasure) bool { return o.ID == e.ID })
	if at >= 0 {
		next[at] = e
	} else {
		next = append(next, e)
	}
	if len(next) > maxEntries {
		return fmt.Errorf("the ledger has %d erasures, which is the limit: ask for longer spans, or for everything of a site", maxEntries)
	}
	if err := l.write(next); err != nil {
		return err
	}
	failpoint.Hit("erasure.ledger.written")
	l.entries = next
	l.sort()
	l.compile() // whatever comes of the next step: the file has it
	if err := l.store.PutErasure(e); err != nil {
		return fmt.Errorf("record erasure: %w", err)
	}
	return nil
}

func (l *Ledger) write(entries []state.Erasure) error {
	b, err := json.MarshalIndent(document{format, entries}, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("make directory of erasures: %w", err)
	}
	if err := writeFile(filepath.Join(l.dir, ledgerFile), append(b, '\n')); err != nil {
		return fmt.Errorf("write the ledger of erasures: %w", err)
	}
	return nil
}

func readLedger(path string) ([]state.Erasure, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger of erasures: %w", err)
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%s is damaged: restore it from a backup, or remove it (the state has its entries, unless it is older): %w", path, err)
	}
	if d.Format > format {
		return nil, fmt.Errorf("%s is of format %d, this version knows up to %d: use the version that wrote it", path, d.Format, format)
	}
	return d.Entries, nil
}

// writeFile writes a private file that is whole and durable when it has its
// name, and so is its directory.
func writeFile(path string, content []byte) error {
	if err := durable.Replace(path, content, func() { failpoint.Hit("erasure.ledger.writing") }); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(filepath.Dir(path)))
}
