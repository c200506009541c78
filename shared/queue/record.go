package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A record is stored as the value of one Badger entry, or of several where it
// is longer than a memtable takes in one transaction. Each value says by
// itself what it is, so that a record behind a damaged place is found again:
//
//	magic "EWR\x01" (4) · CRC-32C of what follows (4) · first position (8) ·
//	count (8) · part (2) · parts (2) · length of data (4) · data
//
// Little endian. The key is the first position (8, big endian) and the part
// (2, big endian).
const (
	recordMagic  = "EWR\x01"
	recordHeader = 32
	keySize      = 10
	maxParts     = 1 << 10
)

// part is one stored piece of a record. data refers to the scanned memory.
type part struct {
	first, count uint64
	index, parts uint16
	data         []byte
}

var errNoRecord = errors.New("not a record")

func appendKey(dst []byte, first uint64, index uint16) []byte {
	dst = binary.BigEndian.AppendUint64(dst, first)
	return binary.BigEndian.AppendUint16(dst, index)
}

func appendPart(dst []byte, p part) []byte {
	start := len(dst)
	dst = append(dst, recordMagic...)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, p.first)
	dst = binary.LittleEndian.AppendUint64(dst, p.count)
	dst = binary.LittleEndian.AppendUint16(dst, p.index)
	dst = binary.LittleEndian.AppendUint16(dst, p.parts)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p.data)))
	dst = append(dst, p.data...)
	sum := crc32.Checksum(dst[start+8:], castagnoli)
	binary.LittleEndian.PutUint32(dst[start+4:], sum)
	return dst
}

// parsePart reads the part that begins b and returns how many bytes it takes.
func parsePart(b []byte) (part, int, error) {
	if len(b) < recordHeader || string(b[:4]) != recordMagic {
		return part{}, 0, errNoRecord
	}
	p := part{
		first: binary.LittleEndian.Uint64(b[8:]), count: binary.LittleEndian.Uint64(b[16:]),
		index: binary.LittleEndian.Uint16(b[24:]), parts: binary.LittleEndian.Uint16(b[26:]),
	}
	n := binary.LittleEndian.Uint32(b[28:])
	switch {
	case uint64(n) > uint64(len(b)-recordHeader),
		p.first == 0 || p.count == 0 || p.first+p.count < p.first,
		p.index >= p.parts || p.parts > maxParts:
		return part{}, 0, errNoRecord
	}
	end := recordHeader + int(n)
	if crc32.Checksum(b[8:end], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return part{}, 0, errNoRecord
	}
	p.data = b[recordHeader:end:end]
	return p, end, nil
}

// Badger's memtable log (v4): 20 bytes of key id and IV, then entries of
// meta (1) · user meta (1) · key, value length, expiry (uvarints) · key with
// 8 bytes of version · value · CRC-32C (4). A transaction ends with an entry
// whose meta has bitFinTxn.
const (
	logHeader    = 20
	entryCRC     = 4
	versionSize  = 8
	bitFinTxn    = 1 << 7
	maxEntryHead = 2 + 3*binary.MaxVarintLen64
)

// entryHead is the decoded beginning of one of Badger's entries.
type entryHead struct {
	meta       byte
	key, value int // lengths
	size       int // of the head
}

func (h entryHead) total() int { return h.size + h.key + h.value + entryCRC }

// parseHead reads an entry's head; ok is false at the zeros that end the log
// and at anything that can't be one.
func parseHead(b []byte) (h entryHead, ok bool) {
	if len(b) < 2 {
		return entryHead{}, false
	}
	h.meta = b[0]
	at := 2
	var lens [3]uint64
	for i := range lens {
		v, w := binary.Uvarint(b[at:])
		if w <= 0 {
			return entryHead{}, false
		}
		lens[i], at = v, at+w
	}
	if lens[0] <= versionSize || lens[0] > 1<<16 || lens[1] > 1<<30 {
		return entryHead{}, false
	}
	h.key, h.value, h.size = int(lens[0]), int(lens[1]), at
	return h, true
}

// found is one whole record in a scanned log.
type found struct {
	first, count uint64
	from, to     int64 // the bytes that hold it
	parts        [][]byte
}

// scanLog calls yield for each whole record of a memtable's log (without its
// first 20 bytes, which are at offset base), in the order of the file. It
// trusts neither lengths nor order: where an entry can't be read it looks for
// the next record by its magic, so that damage costs what was damaged.
// It returns the offset behind the last thing that was understood.
func scanLog(b []byte, base int64, yield func(found)) (end int64, damaged bool) {
	var cur found
	var want uint16 // parts of cur that are still to come
	at, last := 0, 0
	take := func(p part, from, to int) {
		switch {
		case p.index == 0:
			cur = found{first: p.first, count: p.count, from: base + int64(from), parts: make([][]byte, 0, 1)}
			want = p.parts
		case want == 0 || p.first != cur.first || p.count != cur.count || int(p.index) != len(cur.parts):
			want = 0
			return
		}
		cur.parts = append(cur.parts, p.data)
		cur.to = base + int64(to)
		if want--; want == 0 {
			yield(cur)
		}
	}
	for at < len(b) {
		if h, ok := parseHead(b[at:]); ok && h.total() <= len(b)-at {
			if h.meta&bitFinTxn != 0 && h.key < 64 && h.value < 64 {
				at += h.total()
				last = at
				continue
			}
			value := at + h.size + h.key
			if p, n, err := parsePart(b[value : value+h.value]); err == nil && n == h.value {
				take(p, at, at+h.total())
				at += h.total()
				last = at
				continue
			}
		}
		p, from, n := nextPart(b, at)
		if n == 0 {
			break
		}
		damaged = true
		to := min(from+n+entryCRC, len(b))
		take(p, from, to)
		at, last = to, to
	}
	return base + int64(last), damaged
}

// nextPart looks for the next readable part at or behind at; n is 0 where
// there is none.
func nextPart(b []byte, at int) (p part, from, n int) {
	for at < len(b) {
		i := bytes.Index(b[at:], []byte(recordMagic))
		if i < 0 {
			return part{}, 0, 0
		}
		if p, n, err := parsePart(b[at+i:]); err == nil {
			return p, at + i, n
		}
		at += i + 1
	}
	return part{}, 0, 0
}

// data joins the parts of a record; one part is returned as it lies.
func (f *found) data() []byte {
	if len(f.parts) == 1 {
		return f.parts[0]
	}
	return bytes.Join(f.parts, nil)
}
