package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/shared"
)

const (
	countersMagic = "EIDERCNT"
	countersSlot  = 2 << 10
	// spellEnd is how long nothing is dropped before the next drop begins a
	// new spell.
	spellEnd = 10 * time.Second
)

// books are the queue's counters. What the request path touches is two atomic
// additions; everything else is under mu.
//
// Queued is what remains of captured. It never is too small: every event is
// captured before it is dropped, acknowledged or lost, and a snapshot reads
// captured last.
type books struct {
	captured atomic.Uint64
	dropped  [shared.NumDropReasons]atomic.Uint64

	mu       sync.Mutex
	stored   uint64
	rejected uint64
	lost     uint64 // among what was acknowledged; holes beyond are found by the log
	seen     [shared.NumDropReasons]shared.Dropped
	saved    [shared.NumDropReasons]shared.Dropped
	file     *slotFile
}

// Capture counts n events that the edge sets out to record. It costs an
// atomic addition.
func (q *Queue) Capture(n uint64) { q.books.captured.Add(n) }

// Discard counts n captured events as dropped. It costs an atomic addition.
func (q *Queue) Discard(n uint64, r shared.DropReason) {
	if r >= shared.NumDropReasons {
		r = shared.DropError
	}
	q.books.dropped[r].Add(n)
}

// Counters returns the books as of one moment: they balance.
func (q *Queue) Counters() shared.Counters {
	b := &q.books
	b.mu.Lock()
	defer b.mu.Unlock()
	return q.snapshot()
}

func (q *Queue) snapshot() shared.Counters {
	b := &q.books
	b.notice(time.Now())
	c := shared.Counters{Stored: b.stored, Rejected: b.rejected, Dropped: b.seen}
	c.Lost = b.lost + q.l.lostIn(q.l.Trimmed(), q.l.Next())
	gone := c.Stored + c.Rejected + c.Lost + c.DroppedTotal()
	c.Captured = max(b.captured.Load(), gone)
	c.Queued = c.Captured - gone
	return c
}

// notice takes over what was dropped since the last look, with its time. b.mu
// is held.
func (b *books) notice(now time.Time) {
	for r := range b.seen {
		d := &b.seen[r]
		n := b.dropped[r].Load()
		if n == d.Count {
			continue
		}
		if d.From == 0 || now.UnixMicro()-d.To > spellEnd.Microseconds() {
			d.From = now.UnixMicro()
		}
		d.Count, d.To = n, now.UnixMicro()
	}
}

// openBooks reads what was counted before. What was captured follows from the
// rest: what a crash took from memory was never counted as kept.
func (q *Queue) openBooks() error {
	b := &q.books
	path := filepath.Join(q.cfg.Dir, countersFile)
	file, payload, err := openSlotFile(path, countersMagic, formatVersion, countersSlot)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createSlotFile(path, countersMagic, formatVersion, countersSlot, b.encodeDropped()); err != nil {
			return fmt.Errorf("create %s: %w", path, spaceError(err))
		}
		file, payload, err = openSlotFile(path, countersMagic, formatVersion, countersSlot)
	}
	if err != nil {
		if errors.Is(err, ErrCorrupt) {
			err = fmt.Errorf("%w (or delete %s: drops are then counted from 0)", err, path)
		}
		return explain(q.cfg.Dir, err)
	}
	b.file = file
	b.decodeDropped(payload)
	b.open(q.l)
	return nil
}

// open derives what was captured from what is known: acknowledged, dropped,
// and what the log has or should have.
func (b *books) open(l *Log) {
	b.decodeAcked(l.meta)
	total := b.stored + b.rejected + b.lost
	total += l.Next() - l.Trimmed() // queued, or lost in holes
	for r := range b.seen {
		total += b.seen[r].Count
		b.dropped[r].Store(b.seen[r].Count)
	}
	b.saved = b.seen
	b.captured.Store(total)
}

func (b *books) encodeDropped() []byte {
	var p []byte
	for r := range b.seen {
		d := &b.seen[r]
		p = binary.LittleEndian.AppendUint64(p, d.Count)
		p = binary.LittleEndian.AppendUint64(p, uint64(d.From))
		p = binary.LittleEndian.AppendUint64(p, uint64(d.To))
	}
	return p
}

func (b *books) decodeDropped(p []byte) {
	for r := range b.seen {
		if len(p) < 24 {
			return
		}
		b.seen[r] = shared.Dropped{
			Count: binary.LittleEndian.Uint64(p), From: int64(binary.LittleEndian.Uint64(p[8:])), To: int64(binary.LittleEndian.Uint64(p[16:])),
		}
		p = p[24:]
	}
}

// The acknowledged counts lie in the checkpoint, so that they move in the same
// write as the mark that they belong to.
func (b *books) encodeAcked() []byte {
	p := binary.LittleEndian.AppendUint64(nil, b.stored)
	p = binary.LittleEndian.AppendUint64(p, b.rejected)
	return binary.LittleEndian.AppendUint64(p, b.lost)
}

func (b *books) decodeAcked(p []byte) {
	if len(p) < 24 {
		return
	}
	b.stored = binary.LittleEndian.Uint64(p)
	b.rejected = binary.LittleEndian.Uint64(p[8:])
	b.lost = binary.LittleEndian.Uint64(p[16:])
}

// saveCounters writes the drops in place if there were any.
func (q *Queue) saveCounters() {
	b := &q.books
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notice(time.Now())
	if b.seen == b.saved || b.file == nil {
		return
	}
	if err := b.file.write(formatVersion, b.encodeDropped()); err != nil {
		q.log.Error("counters of dropped events can't be written", zap.Error(err))
		return
	}
	b.saved = b.seen
}

func (q *Queue) closeBooks() {
	q.saveCounters()
	b := &q.books
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return
	}
	if err := errors.Join(b.file.sync(), b.file.close()); err != nil {
		q.log.Warn("counters may be behind", zap.Error(err))
	}
	b.file = nil
}

// Acked is the highest acknowledged position; reading goes on behind it.
func (q *Queue) Acked() uint64 { return q.l.Trimmed() - 1 }

// Ack says that everything up to and including through is done with. Of what
// this acknowledges anew, rejected events were refused by the aggregator one
// by one, and lost ones went out as loss markers or were in batches that it
// could not read; what the queue itself knows to be lost counts as lost even
// where lost leaves it out. What was acknowledged before is no error and
// counts nothing.
func (q *Queue) Ack(through, rejected, lost uint64) error {
	q.ackMu.Lock()
	defer q.ackMu.Unlock()
	from := q.l.Trimmed()
	if through < from {
		return nil
	}
	if through >= q.l.Next() {
		return fmt.Errorf("acknowledge through %d: %w, the next is %d", through, ErrBeyond, q.l.Next())
	}
	b := &q.books
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := through + 1 - from
	lost = min(max(lost, q.l.lostIn(from, through+1)), fresh)
	rejected = min(rejected, fresh-lost)
	b.rejected += rejected
	b.lost += lost
	b.stored += fresh - rejected - lost
	// The books are consistent again only once the mark has moved: both happen
	// before mu is released.
	return q.l.trimWith(through+1, b.encodeAcked())
}
