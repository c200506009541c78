package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/eider-analytics/eider/shared"
)

// Record is one accepted batch. Everything that decided about its events is in
// it, so that reading it again decides the same.
type Record struct {
	ReceivedAt int64  // µs since 1970, our clock
	SkewMS     int64  // sender's clock minus ours at send time
	NotBefore  int64  // µs, our clock: when the sending process began, 0 = unknown
	AcceptFrom uint64 // the first sequence of the frame that counts
	// Rejected are the refused events from AcceptFrom on, in order.
	Rejected []shared.Rejected
	// Frame is the sealed frame. A batch that could not be decoded is
	// represented by a loss marker over its range.
	Frame []byte
}

// The first byte of a record.
const (
	versionRecord = 1
	versionSkip   = 0xFF // see SkipTo
)

// Layout: version (1) · received at, skew, not before, accept from (4 × 8) ·
// number of rejected, then for each the distance to the one before (the first:
// to accept from) and the reason's code, as uvarints · CRC-32C of all that (4)
// · frame, which has a checksum of its own.
const recordFixed = 1 + 4*8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// reasonCodes are the disk's numbers of the rejections; they never change
// meaning.
var reasonCodes = [...]shared.Rejection{
	1: shared.RejectMalformed, 2: shared.RejectKind, 3: shared.RejectOrigin, 4: shared.RejectVerdict,
	5: shared.RejectTooLong, 6: shared.RejectText, 7: shared.RejectTime, 8: shared.RejectNumber,
	9: shared.RejectProps, 10: shared.RejectUnknownSite, 11: shared.RejectSiteDenied, 12: shared.RejectArchived,
}

var codeOf = func() map[shared.Rejection]uint64 {
	codes := make(map[shared.Rejection]uint64, len(reasonCodes))
	for i, r := range reasonCodes {
		if r != "" {
			codes[r] = uint64(i)
		}
	}
	return codes
}()

func appendRecord(dst []byte, r *Record) []byte {
	start := len(dst)
	dst = append(dst, versionRecord)
	for _, v := range [...]uint64{uint64(r.ReceivedAt), uint64(r.SkewMS), uint64(r.NotBefore), r.AcceptFrom} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Rejected)))
	at := r.AcceptFrom
	for _, rej := range r.Rejected {
		dst = binary.AppendUvarint(dst, rej.Seq-at)
		dst = binary.AppendUvarint(dst, codeOf[rej.Reason])
		at = rej.Seq
	}
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	return append(dst, r.Frame...)
}

var errRecord = errors.New("unreadable spool record")

// parseRecord reads what appendRecord wrote. Frame refers to b's memory.
func parseRecord(b []byte) (Record, error) {
	if len(b) < recordFixed || b[0] != versionRecord {
		return Record{}, fmt.Errorf("%w: %d bytes, or of another version", errRecord, len(b))
	}
	r := Record{
		ReceivedAt: int64(binary.LittleEndian.Uint64(b[1:])),
		SkewMS:     int64(binary.LittleEndian.Uint64(b[9:])),
		NotBefore:  int64(binary.LittleEndian.Uint64(b[17:])),
		AcceptFrom: binary.LittleEndian.Uint64(b[25:]),
	}
	rest := b[recordFixed:]
	next := func() (uint64, bool) {
		v, w := binary.Uvarint(rest)
		if w <= 0 {
			return 0, false
		}
		rest = rest[w:]
		return v, true
	}
	n, ok := next()
	if !ok || n > shared.MaxBatchEvents {
		return Record{}, fmt.Errorf("%w: cut in the rejections", errRecord)
	}
	at := r.AcceptFrom
	for range n {
		step, ok1 := next()
		code, ok2 := next()
		if !ok1 || !ok2 || code == 0 || code >= uint64(len(reasonCodes)) {
			return Record{}, fmt.Errorf("%w: cut in the rejections", errRecord)
		}
		at += step
		r.Rejected = append(r.Rejected, shared.Rejected{Seq: at, Reason: reasonCodes[code]})
	}
	if len(rest) < 4 {
		return Record{}, fmt.Errorf("%w: cut in the checksum", errRecord)
	}
	if crc32.Checksum(b[:len(b)-len(rest)], castagnoli) != binary.LittleEndian.Uint32(rest) {
		return Record{}, fmt.Errorf("%w: checksum mismatch", errRecord)
	}
	r.Frame = rest[4:]
	return r, nil
}
