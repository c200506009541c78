package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/eider-analytics/eider/shared/durable"
)

// A slotFile is a small file of two slots that are written in turn, in place,
// into blocks that were allocated when it was created. It can therefore be
// written on a full disk, and a write that is cut short leaves the other slot.
//
// Slot: magic (8) · version (2) · reserved (2) · payload length (4) ·
// generation (8) · payload · CRC-32C of all before it (4). Little endian.
type slotFile struct {
	f        *os.File
	path     string
	magic    string
	slotSize int
	gen      uint64
	buf      []byte
}

const (
	slotHeader = 24
	slotTail   = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errNoSlot: neither slot can be read.
var errNoSlot = errors.New("neither copy is readable")

// createSlotFile makes the file with its first payload, durably: it appears
// under its name complete or not at all.
func createSlotFile(path, magic string, version uint16, slotSize int, payload []byte) error {
	s := &slotFile{path: path, magic: magic, slotSize: slotSize}
	b := make([]byte, 2*slotSize) // written, not only reserved: works everywhere
	if err := s.encode(b[:slotSize], version, payload); err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := writeFileSync(tmp, b); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// openSlotFile returns the newest payload. It is an error wrapping ErrNewer
// where the newest slot's version is above version, ErrForeign where the file
// is something else, ErrCorrupt where no slot is whole.
func openSlotFile(path, magic string, version uint16, slotSize int) (*slotFile, []byte, error) {
	if err := refuseSymlink(path); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	s := &slotFile{f: f, path: path, magic: magic, slotSize: slotSize}
	payload, err := s.read(f, version)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return s, payload, nil
}

func (s *slotFile) read(r io.ReaderAt, version uint16) ([]byte, error) {
	var best []byte
	var ours, other bool
	for i := range 2 {
		b := make([]byte, s.slotSize)
		n, err := r.ReadAt(b, int64(i*s.slotSize))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read %s: %w", s.path, err)
		}
		b = b[:n]
		if len(b) >= 8 && string(b[:8]) == s.magic {
			ours = true
		} else if !allZero(b) {
			other = true
		}
		v, gen, payload, err := decodeSlot(b, s.magic)
		if err != nil {
			continue
		}
		if v > version {
			return nil, fmt.Errorf("%w: %s has version %d, this program knows %d", ErrNewer, s.path, v, version)
		}
		if best == nil || gen > s.gen {
			best, s.gen = payload, gen
		}
	}
	switch {
	case best != nil:
		return best, nil
	case other && !ours:
		return nil, fmt.Errorf("%w: %s is something else", ErrForeign, s.path)
	}
	return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, s.path, errNoSlot)
}

// decodeSlot checks one slot and returns its payload, never nil on success.
func decodeSlot(b []byte, magic string) (version uint16, gen uint64, payload []byte, err error) {
	if len(b) < slotHeader+slotTail || string(b[:8]) != magic {
		return 0, 0, nil, errNoSlot
	}
	n := binary.LittleEndian.Uint32(b[12:])
	if uint64(n) > uint64(len(b)-slotHeader-slotTail) {
		return 0, 0, nil, errNoSlot
	}
	end := slotHeader + int(n)
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return 0, 0, nil, errNoSlot
	}
	return binary.LittleEndian.Uint16(b[8:]), binary.LittleEndian.Uint64(b[16:]), b[slotHeader:end:end], nil
}

func (s *slotFile) encode(b []byte, version uint16, payload []byte) error {
	if len(payload) > s.slotSize-slotHeader-slotTail {
		return fmt.Errorf("payload of %d bytes does not fit into a slot of %s", len(payload), s.path)
	}
	clear(b)
	copy(b, s.magic)
	binary.LittleEndian.PutUint16(b[8:], version)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(b[16:], s.gen)
	end := slotHeader + copy(b[slotHeader:], payload)
	binary.LittleEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
	return nil
}

// write replaces the older slot. The write is in the page cache when it
// returns; sync makes it durable.
func (s *slotFile) write(version uint16, payload []byte) error {
	if s.buf == nil {
		s.buf = make([]byte, s.slotSize)
	}
	s.gen++
	if err := s.encode(s.buf, version, payload); err != nil {
		return err
	}
	_, err := s.f.WriteAt(s.buf, int64(s.gen%2)*int64(s.slotSize))
	return err
}

func (s *slotFile) sync() error  { return s.f.Sync() }
func (s *slotFile) close() error { return s.f.Close() }

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func writeFileSync(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func refuseSymlink(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if fi.Mode()&os.ModeSymlink != 0 {
		target, _ := os.Readlink(path)
		return fmt.Errorf("%w: %s is a symbolic link to %s: configure the directory that it points to", ErrForeign, path, target)
	}
	return nil
}
