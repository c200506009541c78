// Package batch seals runs of events into frames and opens them again.
//
// A frame is header, payload, SHA-256 of both. It is made once, at the edge,
// and is the same bytes in the WAL, on the wire and in the spool.
//
// It promises that Open returns what Seal was given or an error, never
// something in between, and that a hostile frame costs no more memory than the
// limits of package shared. It refuses to know where frames come from.
package batch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/eider-analytics/eider/shared"
)

// SumSize is the length of the checksum that ends a frame.
const SumSize = sha256.Size

// ErrChecksum is wrapped by the error of a frame whose bytes are not those
// that were sealed.
var ErrChecksum = errors.New("checksum mismatch")

// ErrShort is wrapped by the error of a frame that ends too early.
var ErrShort = errors.New("frame cut short")

// The zstd coders keep no state between calls of EncodeAll and DecodeAll and
// are safe for concurrent use.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	// A window of 256 KiB covers a whole batch and keeps the encoder small.
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(256<<10), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(shared.MaxBatchRaw+1),
		zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		panic(err)
	}
	return d
})

// Seal appends a frame to dst. raw is the concatenation of encoded events
// (package shared, AppendEvent with h.BaseTime); it is compressed where that
// makes it smaller. Schema, Kind, Compression and the lengths of h are set
// here; the rest is the caller's. The result is refused by [Open] if h breaks
// the limits of package shared.
func Seal(dst []byte, h *shared.Header, raw []byte) []byte {
	h.Kind = shared.BatchData
	h.LossReason = shared.LossNone
	h.Schema = shared.Schema
	h.RawLen = uint32(len(raw))
	scratch := scratchPool.Get().(*[]byte)
	payload := encoder().EncodeAll(raw, (*scratch)[:0])
	h.Compression = shared.CompressZstd
	body := payload
	if len(payload) >= len(raw) {
		body, h.Compression = raw, shared.CompressNone
	}
	h.PayloadLen = uint32(len(body))
	start := len(dst)
	dst = shared.AppendHeader(dst, h)
	dst = append(dst, body...)
	*scratch = payload
	scratchPool.Put(scratch)
	return appendSum(dst, start)
}

var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

// SealLost appends a frame that says that h.Count sequences from h.FirstSeq on
// are lost for h.LossReason.
func SealLost(dst []byte, h *shared.Header) []byte {
	h.Kind = shared.BatchLost
	h.Schema = shared.Schema
	h.Compression = shared.CompressNone
	h.RawLen, h.PayloadLen = 0, 0
	start := len(dst)
	dst = shared.AppendHeader(dst, h)
	return appendSum(dst, start)
}

func appendSum(dst []byte, start int) []byte {
	sum := sha256.Sum256(dst[start:])
	return append(dst, sum[:]...)
}

// Frame is one sealed batch whose checksum has been found right. Bytes is the
// whole frame, Payload the part of it between header and checksum.
type Frame struct {
	Header  shared.Header
	Bytes   []byte
	Payload []byte
	Sum     [SumSize]byte
}

// Next reads the frame that begins b and returns what follows it. The frame
// refers to b's memory. It returns [ErrShort] or [ErrChecksum] wrapped, or why
// the header is none.
func Next(b []byte) (f Frame, rest []byte, err error) {
	f, err = Unverified(b)
	if err != nil {
		return Frame{}, nil, err
	}
	if f.Sum != [SumSize]byte(f.Bytes[len(f.Bytes)-SumSize:]) {
		return Frame{}, nil, fmt.Errorf("%w: sequences %d to %d", ErrChecksum, f.Header.FirstSeq, f.Header.LastSeq())
	}
	return f, b[len(f.Bytes):], nil
}

// Unverified is Next without the comparison of checksums: Sum is that of the
// bytes that are there, whatever the frame says it should be. It is for
// putting a damaged frame aside; nothing in it can be relied on.
func Unverified(b []byte) (Frame, error) {
	n, err := shared.HeaderLen(b)
	if err != nil {
		if len(b) < shared.HeaderPrefix {
			err = fmt.Errorf("%w: %d bytes", ErrShort, len(b))
		}
		return Frame{}, err
	}
	if len(b) < n {
		return Frame{}, fmt.Errorf("%w: header of %d bytes, %d are there", ErrShort, n, len(b))
	}
	h, err := shared.ParseHeader(b[:n])
	if err != nil {
		return Frame{}, err
	}
	end := n + int(h.PayloadLen)
	if len(b) < end+SumSize {
		return Frame{}, fmt.Errorf("%w: frame of %d bytes, %d are there", ErrShort, end+SumSize, len(b))
	}
	f := Frame{Header: h, Bytes: b[:end+SumSize], Payload: b[n:end]}
	f.Sum = sha256.Sum256(b[:end])
	return f, nil
}

// Raw returns the decompressed payload, appended to dst[:0]. It is an error
// if it has another length than the header says.
func (f *Frame) Raw(dst []byte) ([]byte, error) {
	if f.Header.Compression == shared.CompressNone {
		if len(f.Payload) != int(f.Header.RawLen) {
			return nil, fmt.Errorf("payload of %d bytes, the header says %d", len(f.Payload), f.Header.RawLen)
		}
		return append(dst[:0], f.Payload...), nil
	}
	raw, err := decoder().DecodeAll(f.Payload, dst[:0])
	if err != nil {
		return nil, fmt.Errorf("decompress batch: %w", err)
	}
	if len(raw) != int(f.Header.RawLen) {
		return nil, fmt.Errorf("payload of %d bytes decompressed, the header says %d", len(raw), f.Header.RawLen)
	}
	return raw, nil
}

// Events decodes the frame's events in order; see shared.DecodeEvents for what
// yield receives. A loss marker has none.
func (f *Frame) Events(yield func(i uint64, e *shared.Event, err error)) error {
	if f.Header.Kind == shared.BatchLost {
		return nil
	}
	scratch := scratchPool.Get().(*[]byte)
	defer scratchPool.Put(scratch)
	raw, err := f.Raw(*scratch)
	if err != nil {
		return err
	}
	*scratch = raw
	return shared.DecodeEvents(&f.Header, raw, yield)
}
