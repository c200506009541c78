package handover

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// marksFile keeps the marks through the end of the process: written in place
// and not synced, since it must survive a kill but not a power loss, which the
// proxies on the same machine don't survive either. No batch is written before
// the file says so: one of which it knows nothing would count twice.
//
// Layout: two slots of [slotSize] bytes, used in turn; each a CRC-32 of what
// follows, a counter, the number of marks and, for each, epoch, expected
// sequence and the counts of drops. Behind those stands for each, in the same
// order, what is open of it, see [intent].
type marksFile struct {
	f    *os.File
	turn uint64
}

const (
	markSize = 8 + 8 + 8*int(shared.NumDropReasons)
	openSize = 8 + 8 + batch.SumSize
	slotHead = 4 + 8 + 4
	slotSize = 8 << 10
	openAt   = slotHead + maxLives*markSize
)

var _ [slotSize - openAt - maxLives*openSize]byte // it fits

func openMarks(path string, s *Server) (*marksFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	m := &marksFile{f: f}
	var buf [2 * slotSize]byte
	n, err := f.ReadAt(buf[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, f.Close())
	}
	if n < len(buf) {
		// A new file: its blocks are there when the volume is full later. Where it
		// is full now, put says so.
		_, _ = f.WriteAt(buf[n:], int64(n))
	}
	var newest []byte
	for at := 0; at < len(buf); at += slotSize {
		slot := buf[at : at+slotSize]
		if binary.LittleEndian.Uint32(slot) != crc32.ChecksumIEEE(slot[4:]) {
			continue // cut by a kill: the other one is whole
		}
		if turn := binary.LittleEndian.Uint64(slot[4:]); newest == nil || turn > m.turn {
			newest, m.turn = slot, turn
		}
	}
	if newest != nil {
		s.decode(newest)
	}
	return m, nil
}

func (s *Server) decode(slot []byte) {
	n := min(int(binary.LittleEndian.Uint32(slot[12:])), maxLives)
	for i := range n {
		b, o := slot[slotHead+i*markSize:], slot[openAt+i*openSize:]
		epoch := shared.Epoch(binary.LittleEndian.Uint64(b))
		if epoch == 0 {
			continue
		}
		l := s.life(epoch)
		l.expected = max(binary.LittleEndian.Uint64(b[8:]), 1)
		for r := range l.dropped {
			l.dropped[r] = binary.LittleEndian.Uint64(b[16+8*r:])
		}
		l.open = intent{
			reaches: binary.LittleEndian.Uint64(o), first: binary.LittleEndian.Uint64(o[8:]), sum: [batch.SumSize]byte(o[16:]),
		}
	}
}

// put writes the marks into the older slot. Where that fails the other one
// stands, and the next put tries the same slot again.
func (m *marksFile) put(s *Server) error {
	turn := m.turn + 1
	var slot [slotSize]byte
	binary.LittleEndian.PutUint64(slot[4:], turn)
	binary.LittleEndian.PutUint32(slot[12:], uint32(len(s.order)))
	for i, epoch := range s.order {
		b, o, l := slot[slotHead+i*markSize:], slot[openAt+i*openSize:], s.lives[epoch]
		binary.LittleEndian.PutUint64(b, uint64(epoch))
		binary.LittleEndian.PutUint64(b[8:], l.expected)
		for r := range l.dropped {
			binary.LittleEndian.PutUint64(b[16+8*r:], l.dropped[r])
		}
		binary.LittleEndian.PutUint64(o, l.open.reaches)
		binary.LittleEndian.PutUint64(o[8:], l.open.first)
		copy(o[16:], l.open.sum[:])
	}
	binary.LittleEndian.PutUint32(slot[:], crc32.ChecksumIEEE(slot[4:]))
	if _, err := m.f.WriteAt(slot[:], int64(turn%2)*slotSize); err != nil {
		return err
	}
	m.turn = turn
	return nil
}

func (m *marksFile) close() error { return errors.Join(m.f.Sync(), m.f.Close()) }
