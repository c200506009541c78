package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/eider-analytics/eider/shared/failpoint"
)

const (
	checkpointMagic = "EIDERCKP"
	checkpointSlot  = 4 << 10
	// maxHoles is how many holes the checkpoint remembers; older ones are found
	// again at every opening, only their time is not.
	maxHoles = 100
	holeSize = 8 + 8 + 8 + 1
)

// checkpoint is how far the reader and the disk have come.
type checkpoint struct {
	trim   uint64 // everything before is not needed any more
	synced uint64 // everything before was durable when this was written
	clean  bool   // the log was closed
	holes  []hole
	meta   []byte // the owner's: a Queue's acknowledged counts
}

// hole is a range of positions without a record.
type hole struct {
	first, last uint64
	time        int64 // µs since 1970: when it was found or made
	reason      Reason
}

func (c *checkpoint) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, c.trim)
	b = binary.LittleEndian.AppendUint64(b, c.synced)
	var clean byte
	if c.clean {
		clean = 1
	}
	holes := c.holes
	if len(holes) > maxHoles {
		holes = holes[len(holes)-maxHoles:]
	}
	b = append(b, clean, byte(len(holes)))
	for _, h := range holes {
		b = binary.LittleEndian.AppendUint64(b, h.first)
		b = binary.LittleEndian.AppendUint64(b, h.last)
		b = binary.LittleEndian.AppendUint64(b, uint64(h.time))
		b = append(b, byte(h.reason))
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(c.meta)))
	return append(b, c.meta...)
}

func (c *checkpoint) decode(b []byte) error {
	bad := errors.New("checkpoint cut short")
	if len(b) < 18 {
		return bad
	}
	c.trim = binary.LittleEndian.Uint64(b)
	c.synced = binary.LittleEndian.Uint64(b[8:])
	c.clean = b[16] != 0
	n := int(b[17])
	b = b[18:]
	if len(b) < n*holeSize+2 {
		return bad
	}
	for range n {
		h := hole{
			first: binary.LittleEndian.Uint64(b), last: binary.LittleEndian.Uint64(b[8:]),
			time: int64(binary.LittleEndian.Uint64(b[16:])), reason: Reason(b[24]),
		}
		if h.first == 0 || h.last < h.first || h.last == 1<<64-1 {
			return fmt.Errorf("checkpoint with a hole from %d to %d", h.first, h.last)
		}
		c.holes = append(c.holes, h)
		b = b[holeSize:]
	}
	m := int(binary.LittleEndian.Uint16(b))
	if len(b) < 2+m {
		return bad
	}
	c.meta = slices.Clone(b[2 : 2+m])
	return nil
}

// openCheckpoint reads the checkpoint. Where the file is missing it is made:
// an operator who removes a damaged one has everything that is kept sent
// again, which the other side recognizes.
func openCheckpoint(path string) (file *slotFile, c checkpoint, missing bool, err error) {
	file, payload, err := openSlotFile(path, checkpointMagic, formatVersion, checkpointSlot)
	if errors.Is(err, fs.ErrNotExist) {
		c = checkpoint{trim: 1, synced: 1}
		if err := createSlotFile(path, checkpointMagic, formatVersion, checkpointSlot, c.encode()); err != nil {
			return nil, c, true, spaceError(err)
		}
		file, _, err = openSlotFile(path, checkpointMagic, formatVersion, checkpointSlot)
		return file, c, true, err
	}
	if err == nil {
		if err = c.decode(payload); err != nil {
			file.close()
			err = fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
		}
	}
	if errors.Is(err, ErrCorrupt) {
		err = fmt.Errorf("%w (or delete %s: everything that is kept is then sent again and recognized as a duplicate)", err, path)
	}
	return file, c, false, err
}

// saveCheckpoint writes the checkpoint in place; with durable it is on disk
// when the call returns.
func (l *Log) saveCheckpoint(durable bool) error {
	l.checkMu.Lock()
	defer l.checkMu.Unlock()
	l.mu.Lock()
	c := checkpoint{trim: l.trim, synced: l.synced, clean: l.closed && l.clean, holes: l.holes, meta: l.meta}
	payload := c.encode()
	l.mu.Unlock()
	failpoint.Hit("queue.checkpoint.before")
	err := l.check.write(formatVersion, payload)
	if err == nil && durable {
		err = l.check.sync()
	}
	failpoint.Hit("queue.checkpoint.after")
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// addHole remembers that a range has no record; ranges of one reason that
// touch become one. l.mu is held.
func (l *Log) addHole(h hole) {
	i, _ := slices.BinarySearchFunc(l.holes, h.first, func(e hole, first uint64) int {
		if e.first < first {
			return -1
		}
		return 1
	})
	l.holes = slices.Insert(l.holes, i, h)
	if i > 0 && l.holes[i-1].reason == h.reason && l.holes[i-1].last+1 == h.first {
		l.holes[i-1].last = h.last
		l.holes = slices.Delete(l.holes, i, i+1)
	}
}

// holeAt returns the hole that covers pos. l.mu is held.
func (l *Log) holeAt(pos uint64) (hole, bool) {
	for _, h := range l.holes {
		if h.first <= pos && pos <= h.last {
			return h, true
		}
	}
	return hole{}, false
}

// lostIn counts the positions of [first, next) that lie in holes.
func (l *Log) lostIn(first, next uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n uint64
	for _, h := range l.holes {
		if a, b := max(h.first, first), min(h.last+1, next); a < b {
			n += b - a
		}
	}
	return n
}
