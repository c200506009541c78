package handover

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"

	"github.com/eider-analytics/eider/shared"
)

// marksFile keeps the marks through the end of the process: written in place
// and not synced, since it must survive a kill but not a power loss, which the
// proxies on the same machine don't survive either.
//
// Layout: two slots of [slotSize] bytes, used in turn; each a CRC-32 of what
// follows, a counter, the number of marks and, for each, epoch, expected
// sequence and the counts of drops. At its end stands what was being written
// then, see [intent].
type marksFile struct {
	f    *os.File
	turn uint64
}

const (
	markSize = 8 + 8 + 8*int(shared.NumDropReasons)
	slotHead = 4 + 8 + 4
	slotSize = 8 << 10
	intentAt = slotSize - 3*8
)

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
		m.put(s, intent{}) // decided, before the sequence is given to others
	}
	return m, nil
}

func (s *Server) decode(slot []byte) {
	n := min(int(binary.LittleEndian.Uint32(slot[12:])), maxLives)
	for b := slot[slotHead:]; n > 0; n, b = n-1, b[markSize:] {
		epoch := shared.Epoch(binary.LittleEndian.Uint64(b))
		if epoch == 0 {
			continue
		}
		l := s.life(epoch)
		l.expected = max(binary.LittleEndian.Uint64(b[8:]), 1)
		for r := range l.dropped {
			l.dropped[r] = binary.LittleEndian.Uint64(b[16+8*r:])
		}
	}
	b := slot[intentAt:]
	i := intent{shared.Epoch(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])}
	if l := s.lives[i.epoch]; l != nil && s.cfg.Log.NextSeq() > i.first {
		l.expected = max(l.expected, i.expected)
	}
}

// put writes the marks. A volume that refuses it costs exactness after a kill
// and nothing else.
func (m *marksFile) put(s *Server, i intent) {
	m.turn++
	var slot [slotSize]byte
	binary.LittleEndian.PutUint64(slot[4:], m.turn)
	binary.LittleEndian.PutUint32(slot[12:], uint32(len(s.order)))
	b := slot[slotHead:]
	for _, epoch := range s.order {
		l := s.lives[epoch]
		binary.LittleEndian.PutUint64(b, uint64(epoch))
		binary.LittleEndian.PutUint64(b[8:], l.expected)
		for r := range l.dropped {
			binary.LittleEndian.PutUint64(b[16+8*r:], l.dropped[r])
		}
		b = b[markSize:]
	}
	binary.LittleEndian.PutUint64(slot[intentAt:], uint64(i.epoch))
	binary.LittleEndian.PutUint64(slot[intentAt+8:], i.expected)
	binary.LittleEndian.PutUint64(slot[intentAt+16:], i.first)
	binary.LittleEndian.PutUint32(slot[:], crc32.ChecksumIEEE(slot[4:]))
	_, _ = m.f.WriteAt(slot[:], int64(m.turn%2)*slotSize)
}

func (m *marksFile) close() error { return errors.Join(m.f.Sync(), m.f.Close()) }
