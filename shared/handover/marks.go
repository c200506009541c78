package handover

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// marksFile keeps the marks through the end of the process: written in place
// and not synced, since it must survive a kill but not a power loss, which the
// proxies on the same machine don't survive either.
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
	n, _ := f.ReadAt(buf[:], 0) // a new file is empty
	var newest []byte
	for at := 0; at+slotSize <= n; at += slotSize {
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

// put writes the marks. A volume that refuses it costs exactness after a kill
// and nothing else.
func (m *marksFile) put(s *Server) {
	m.turn++
	var slot [slotSize]byte
	binary.LittleEndian.PutUint64(slot[4:], m.turn)
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
	_, _ = m.f.WriteAt(slot[:], int64(m.turn%2)*slotSize)
}

func (m *marksFile) close() error { return errors.Join(m.f.Sync(), m.f.Close()) }
