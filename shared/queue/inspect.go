package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// Report is what Inspect finds in a directory.
type Report struct {
	Dir        string          `json:"dir"`
	Kind       string          `json:"kind"`
	ID         shared.EdgeID   `json:"id"`
	Created    time.Time       `json:"created"`
	Clean      bool            `json:"clean"`   // it was closed in order
	Trimmed    uint64          `json:"trimmed"` // the first position that is still needed
	Synced     uint64          `json:"synced"`  // everything before was durable
	Next       uint64          `json:"next"`    // behind the last record that was found
	Records    int             `json:"records"`
	Bytes      int64           `json:"bytes"`
	Segments   []SegmentReport `json:"segments"`
	Missing    []MissingReport `json:"missing"`     // positions that are needed and have no record
	BadBatches int             `json:"bad_batches"` // records of a queue that are no sound batch
	Epochs     []EpochReport   `json:"epochs"`      // of a queue
	Counters   shared.Counters `json:"counters"`    // of a queue
	Problems   []string        `json:"problems"`
}

// SegmentReport is one segment.
type SegmentReport struct {
	Serial  uint64 `json:"serial"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
	Sealed  bool   `json:"sealed"`
	Damaged bool   `json:"damaged"` // holds bytes that are no record
}

// MissingReport is a range of positions that has no record.
type MissingReport struct {
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	Reason string `json:"reason"`
}

// EpochReport is one epoch of a queue.
type EpochReport struct {
	Edge  shared.EdgeID `json:"edge"`
	Epoch shared.Epoch  `json:"epoch"`
	First uint64        `json:"first"`
}

// Inspect looks at a log's or a queue's directory without changing it. It is
// an error wrapping ErrLocked while a process has it open: ask that process,
// or look at a copy.
func Inspect(dir string) (Report, error) {
	r := Report{Dir: dir}
	if fresh, err := inspectDir(dir); err != nil {
		return r, err
	} else if fresh {
		return r, fmt.Errorf("%w: there is no queue in %s", fs.ErrNotExist, dir)
	}
	lock, err := lockDir(dir, true)
	if err != nil {
		return r, err
	}
	defer lock.Close()
	var d identity
	if err := readSlotFile(filepath.Join(dir, identityFile), identityMagic, identitySlot, d.decode); err != nil {
		return r, explain(dir, err)
	}
	r.Kind, r.ID, r.Created = d.kind, shared.EdgeID(d.id), time.UnixMicro(d.created).UTC()
	c := checkpoint{trim: 1, synced: 1}
	if err := readSlotFile(filepath.Join(dir, checkpointFile), checkpointMagic, checkpointSlot, c.decode); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	r.Trimmed, r.Synced, r.Clean = c.trim, c.synced, c.clean
	// The same code as at opening finds what is there and what is missing, on a
	// log that has no files to write to.
	l := &Log{cfg: LogConfig{Dir: dir}, log: discardLogger, id: d}
	if err := r.readSegments(l); err != nil {
		return r, err
	}
	l.settle(c, false)
	r.Next = l.next
	for _, h := range l.holes {
		if h.last >= c.trim {
			r.Missing = append(r.Missing, MissingReport{First: h.first, Last: h.last, Reason: h.reason.String()})
		}
	}
	if d.kind == queueKind {
		r.readBooks(l)
	}
	return r, nil
}

func (r *Report) readSegments(l *Log) error {
	root := filepath.Join(r.Dir, segmentsDir)
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		serial, err := strconv.ParseUint(e.Name(), 10, 64)
		if err != nil || !e.IsDir() {
			r.Problems = append(r.Problems, fmt.Sprintf("%s holds %q, which is no segment", root, e.Name()))
			continue
		}
		seg := SegmentReport{Serial: serial, Sealed: true}
		path := filepath.Join(root, e.Name(), sealedFile)
		if _, err := os.Lstat(path); err != nil {
			seg.Sealed = false
			path = filepath.Join(root, e.Name(), memFile)
		}
		items, size, dirt, err := indexOf(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // nothing was ever written to it
		}
		if err != nil {
			return err
		}
		seg.Records, seg.Bytes, seg.Damaged = len(items), size, dirt
		if len(items) > 0 {
			seg.First, seg.Last = items[0].first, items[len(items)-1].next-1
		}
		r.Records += seg.Records
		r.Bytes += seg.Bytes
		r.Segments = append(r.Segments, seg)
		l.admit(&segment{serial: serial, dir: filepath.Dir(path), size: size}, items)
		if r.Kind == queueKind {
			if err := r.checkBatches(path, items); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkBatches opens every frame of a segment and holds it against its record.
func (r *Report) checkBatches(path string, items []item) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, it := range items {
		rec, err := readItem(f, it)
		if err != nil {
			return err
		}
		frame, rest, err := batch.Next(rec.Data)
		if err != nil || len(rest) != 0 || frame.Header.FirstSeq != rec.First || frame.Header.Count != rec.Count {
			r.BadBatches++
			r.Problems = append(r.Problems, fmt.Sprintf("%s: the record of positions %d to %d is no sound batch", path, it.first, it.next-1))
		}
	}
	return nil
}

// readBooks works out the counters as the next opening would.
func (r *Report) readBooks(l *Log) {
	q := Queue{l: l}
	err := readSlotFile(filepath.Join(r.Dir, countersFile), countersMagic, countersSlot, func(b []byte) error {
		q.books.decodeDropped(b)
		return nil
	})
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
	q.books.open(l)
	r.Counters = q.Counters()
	for _, e := range decodeEpochs(l.id.meta) {
		r.Epochs = append(r.Epochs, EpochReport{Edge: e.edge, Epoch: e.epoch, First: e.first})
	}
}

// readSlotFile reads a slot file without opening it for writing.
func readSlotFile(path, magic string, slotSize int, decode func([]byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := &slotFile{path: path, magic: magic, slotSize: slotSize}
	payload, err := s.read(f, formatVersion)
	if err != nil {
		return err
	}
	if err := decode(payload); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	return nil
}
