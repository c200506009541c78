package queue

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared/durable"
)

// A writer is the Badger directory of the active segment. Badger only ever
// writes: its memtable takes the whole segment and never rotates, so that the
// memtable's log is the record of everything, in order, and nothing is ever
// flushed into a table.
type writer struct {
	db       *badger.DB
	dir      string
	serial   uint64
	log      *os.File // our own descriptor of the memtable's log
	capacity int64    // bytes that entries may take
	used     int64    // offset behind the last entry
	arena    int64    // upper bound of what the memtable holds in memory
	scratch  []byte
}

const (
	memFile     = "00001.mem"
	vlogFile    = "000001.vlog"
	discardFile = "DISCARD"

	// Of value log and DISCARD only the first page is ever touched: values stay
	// in the memtable and nothing is ever discarded.
	untouched    = 64 << 10
	discardSize  = 4 << 10
	vlogFileSize = 1 << 20 // Badger's minimum; it maps twice as much

	// slack is what a segment's files take beyond the entries: the head of the
	// log, what Badger zeroes ahead, and rounding.
	slack = 64 << 10
	// arenaNode bounds what one entry costs in the skip list beyond key and
	// value: its tower (at most 96 bytes), alignment, and the value's own head.
	arenaNode = 128
	// descriptors is how many files opening a Badger directory needs at once.
	descriptors = 16
)

// footprint is what a new writer of that capacity takes of the volume.
func footprint(capacity int64) int64 {
	return capacity + slack + untouched + discardSize + 32<<10
}

// maxPart is the longest value that one transaction takes: Badger allows 15 %
// of a memtable.
func maxPart(capacity int64) int { return int(min(capacity/8, 512<<10)) }

func badgerOptions(dir string, capacity int64, log *zap.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithMemTableSize(capacity + slack). // never full, so never rotated
		WithNumMemtables(1).
		WithNumCompactors(0).
		WithCompactL0OnClose(false).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumVersionsToKeep(1).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithSyncWrites(false). // Sync decides, over its own descriptor
		WithValueLogFileSize(vlogFileSize).
		WithValueThreshold(int64(maxPart(capacity) + 2*recordHeader)).
		WithLogger(badgerLogger{log})
}

// createWriter makes the directory of the segment serial below root and opens a new Badger directory in it whose files
// have their space set aside. It returns ErrNoSpace wrapped where the volume
// is full; nothing is left behind then.
func createWriter(root string, serial uint64, capacity int64, unsafeFS bool, log *zap.Logger) (w *writer, err error) {
	dir := filepath.Join(root, segmentName(serial))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, spaceError(err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
			err = spaceError(err)
		}
	}()
	// Badger ends the process where it can't open this file (y.Check), so that
	// it is made before, and with it the certainty that descriptors are left.
	if err := writeFileSync(filepath.Join(dir, discardFile), make([]byte, discardSize)); err != nil {
		return nil, err
	}
	if err := probeDescriptors(dir); err != nil {
		return nil, err
	}
	w = &writer{dir: dir, serial: serial, capacity: capacity, used: logHeader}
	err = guard("open badger", func() error {
		w.db, err = badger.OpenManaged(badgerOptions(dir, capacity, log))
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := w.reserve(unsafeFS); err != nil {
		// Empty: closing writes to no page that is not there already.
		return nil, errors.Join(err, guard("close badger", w.db.Close))
	}
	return w, nil
}

// reserve allocates every page that Badger's mappings will ever touch, and
// makes the files themselves durable.
func (w *writer) reserve(unsafeFS bool) error {
	for name, size := range map[string]int64{memFile: w.capacity + slack, vlogFile: untouched} {
		f, err := os.OpenFile(filepath.Join(w.dir, name), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := preallocate(f, size); err != nil && !(unsafeFS && fallocateUnsupported(err)) {
			f.Close()
			return fmt.Errorf("allocate %s: %w", f.Name(), err)
		}
		if name == memFile {
			w.log = f
			continue
		}
		f.Close()
	}
	if err := errors.Join(w.log.Sync(), durable.SyncDir(w.dir), durable.SyncDir(filepath.Dir(w.dir))); err != nil {
		w.log.Close()
		return err
	}
	return nil
}

// fits tells whether a record of n bytes still goes into the segment.
func (w *writer) fits(n int) bool {
	parts := int64(n/maxPart(w.capacity) + 1)
	need := int64(n) + parts*(2*arenaNode+recordHeader)
	return w.used+need <= w.capacity && w.arena+need <= w.capacity
}

// append writes one record and returns the bytes of the log that hold it.
func (w *writer) append(first, count uint64, data []byte) (from, to int64, err error) {
	from = w.used
	size := maxPart(w.capacity)
	parts := max((len(data)+size-1)/size, 1)
	if err := w.touch(len(data) + parts*2*arenaNode); err != nil {
		return 0, 0, err
	}
	for i := range parts {
		piece := data[i*size : min((i+1)*size, len(data))]
		w.scratch = appendPart(w.scratch[:0], part{first: first, count: count, index: uint16(i), parts: uint16(parts), data: piece})
		if err := w.put(appendKey(nil, first, uint16(i)), w.scratch); err != nil {
			return 0, 0, err
		}
	}
	return from, w.used, nil
}

// touch writes zeros where the next n bytes of the log will be, through the
// descriptor and not through a mapping: a volume that has failed or become
// read-only answers with an error here, and would end the process in Badger.
func (w *writer) touch(n int) error {
	for off := 0; off < n; off += len(zeros) {
		if _, err := w.log.WriteAt(zeros[:min(n-off, len(zeros))], w.used+int64(off)); err != nil {
			return fmt.Errorf("write ahead: %w", err)
		}
	}
	return nil
}

var zeros [64 << 10]byte

// put commits one entry and finds it in the log, which moves used forward.
func (w *writer) put(key, value []byte) error {
	txn := w.db.NewTransactionAt(math.MaxUint64, true)
	defer txn.Discard()
	if err := txn.SetEntry(&badger.Entry{Key: key, Value: value}); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	if err := txn.CommitAt(1, nil); err != nil { // every key is new: versions say nothing
		return fmt.Errorf("badger: %w", err)
	}
	w.arena += int64(len(key)+len(value)) + arenaNode
	return w.locate(key, len(value))
}

// locate reads back where the entry lies, so that an offset is a fact and not
// an assumption about Badger.
func (w *writer) locate(key []byte, value int) error {
	var b [maxEntryHead + keySize]byte
	if _, err := w.log.ReadAt(b[:], w.used); err != nil {
		return fmt.Errorf("read back %s: %w", w.log.Name(), err)
	}
	h, ok := parseHead(b[:])
	if !ok || h.key != len(key)+versionSize || h.value != value || string(b[h.size:h.size+len(key)]) != string(key) {
		return fmt.Errorf("read back %s: the entry is not at offset %d", w.log.Name(), w.used)
	}
	end := w.used + int64(h.total())
	if _, err := w.log.ReadAt(b[:], end); err != nil {
		return fmt.Errorf("read back %s: %w", w.log.Name(), err)
	}
	h, ok = parseHead(b[:])
	if !ok || h.meta&bitFinTxn == 0 {
		return fmt.Errorf("read back %s: no end of transaction at offset %d", w.log.Name(), end)
	}
	w.used = end + int64(h.total())
	return nil
}

// dispose ends Badger and gives its memory back without flushing: DropAll
// deletes the log, so that Close finds an empty memtable. What is to be kept
// has been copied before.
func (w *writer) dispose() error {
	err := guard("drop segment", w.db.DropAll)
	if err == nil {
		err = guard("close badger", w.db.Close)
	}
	return errors.Join(err, w.log.Close())
}

// guard runs f, which touches mapped files, so that a page that the volume
// can't provide is an error and not the end of the process. It covers what f
// does in its own goroutine; see DESIGN.md for what Badger does where.
func guard(what string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("%s: %w: %v", what, errFault, r)
			}
		}()
		debug.SetPanicOnFault(true)
		if err := f(); err != nil {
			done <- fmt.Errorf("%s: %w", what, err)
			return
		}
		done <- nil
	}()
	return <-done
}

// errFault: a memory fault in a mapped file.
var errFault = errors.New("fault")

// spaceError marks errors that mean a full volume. Badger's errors have only
// the text of their cause.
func spaceError(err error) error {
	if err == nil || errors.Is(err, ErrNoSpace) {
		return err
	}
	full := outOfSpace(err) || errors.Is(err, errFault)
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		full = full || strings.Contains(err.Error(), cause.Error())
	}
	if full {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// probeDescriptors fails where opening Badger would run out of descriptors.
func probeDescriptors(dir string) error {
	var held [descriptors]*os.File
	defer func() {
		for _, f := range held {
			if f != nil {
				f.Close()
			}
		}
	}()
	for i := range held {
		f, err := os.Open(dir)
		if err != nil {
			return fmt.Errorf("no file descriptors left for the queue: %w", err)
		}
		held[i] = f
	}
	return nil
}

var discardLogger = zap.NewNop()

// badgerLogger passes on what Badger says when something is wrong.
type badgerLogger struct{ log *zap.Logger }

func (l badgerLogger) Errorf(format string, args ...any) {
	l.log.Warn("badger reports an error", zap.String("detail", fmt.Sprintf(format, args...)))
}

func (l badgerLogger) Warningf(format string, args ...any) {
	l.log.Warn("badger warns", zap.String("detail", fmt.Sprintf(format, args...)))
}

func (badgerLogger) Infof(string, ...any)  {}
func (badgerLogger) Debugf(string, ...any) {}
