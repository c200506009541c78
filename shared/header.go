package shared

import (
	"encoding/binary"
	"fmt"
)

// DropReason says why an event never got a sequence. The list is closed and
// its order is the wire's.
type DropReason uint8

// The reasons for a drop.
const (
	DropRing  DropReason = iota // the in-memory ring was full
	DropCap                     // the queue had reached max_size
	DropDisk                    // the volume had no room above reserve_free
	DropError                   // the queue could not be written or opened
	NumDropReasons
)

var dropNames = [NumDropReasons]string{"ring_full", "max_size", "disk_full", "queue_error"}

// String is the reason as metrics and answers name it.
func (r DropReason) String() string {
	if r < NumDropReasons {
		return dropNames[r]
	}
	return "unknown"
}

// LossReason says why events that had sequences can't be delivered.
type LossReason uint8

// The reasons for a loss.
const (
	LossNone        LossReason = iota
	LossDropOldest             // max_size was reached under `drop oldest`
	LossCorruption             // the queue's files were damaged
	LossUndecodable            // the aggregator could not read the batch at all
	LossTrimmed                // asked for again after the grace period
	NumLossReasons
)

var lossNames = [NumLossReasons]string{"none", "drop_oldest", "corruption", "undecodable", "no_longer_kept"}

// String is the reason as metrics and answers name it.
func (r LossReason) String() string {
	if r < NumLossReasons {
		return lossNames[r]
	}
	return "unknown"
}

// Dropped counts the drops of one reason: cumulative, with the time of the
// latest spell of them (µs since 1970; 0 = never).
type Dropped struct {
	Count    uint64
	From, To int64
}

// Counters are an edge's books, cumulative over the life of its queue and read
// under one lock, so that
//
//	Captured = Stored + Queued + Rejected + Lost + dropped in all.
type Counters struct {
	Captured uint64 // events that the edge set out to record
	Queued   uint64 // on their way: in the ring, in an open batch, or in the WAL unacknowledged
	Stored   uint64 // acknowledged by the aggregator as accepted
	Rejected uint64 // acknowledged by the aggregator as refused
	Lost     uint64 // had a sequence, can't be delivered
	Dropped  [NumDropReasons]Dropped
}

// DroppedTotal is the sum over all reasons.
func (c *Counters) DroppedTotal() uint64 {
	var n uint64
	for i := range c.Dropped {
		n += c.Dropped[i].Count
	}
	return n
}

// Unbalanced returns captured minus everything it must equal: 0 in sound books.
func (c *Counters) Unbalanced() int64 {
	return int64(c.Captured - c.Stored - c.Queued - c.Rejected - c.Lost - c.DroppedTotal())
}

// BatchKind tells data from a marker.
type BatchKind uint8

// The kinds of batch.
const (
	BatchData BatchKind = 1 // Count events
	BatchLost BatchKind = 2 // takes the place of Count events that are lost; no payload
)

// Compression of a batch's payload.
type Compression uint8

// The compressions.
const (
	CompressNone Compression = 0
	CompressZstd Compression = 1
)

// Header describes one batch: a run of consecutive sequences of one edge and
// epoch. It is written before the payload and covered by the checksum.
type Header struct {
	Kind        BatchKind
	Compression Compression
	Schema      uint16
	LossReason  LossReason // of BatchLost
	Edge        EdgeID
	Epoch       Epoch
	EpochFirst  uint64 // first sequence of this epoch: where its mark begins
	FirstSeq    uint64
	Count       uint64
	RawLen      uint32 // payload, decompressed
	PayloadLen  uint32 // payload, as it follows
	BaseTime    int64  // µs since 1970: when the batch was opened
	Counters    Counters
}

// LastSeq is the sequence of the batch's last event.
func (h *Header) LastSeq() uint64 { return h.FirstSeq + h.Count - 1 }

// Layout: magic "EIDB", version, kind, compression, loss reason (8 bytes) ·
// header length (4) · schema (2) · edge (16) · epoch, epoch first, first seq,
// count (4 × 8) · raw length, payload length (2 × 4) · base time (8) ·
// counters as uvarints, preceded by their number.
const (
	headerMagic   = "EIDB"
	headerVersion = 1
	headerFixed   = 4 + 4 + 4 + 2 + 16 + 4*8 + 2*4 + 8
	// maxHeader bounds what a hostile header length can ask for.
	maxHeader = 1024
)

// HeaderPrefix is how many bytes [HeaderLen] needs.
const HeaderPrefix = 12

// HeaderLen returns the length of the header that begins b, or an error if b
// does not begin with one.
func HeaderLen(b []byte) (int, error) {
	if len(b) < HeaderPrefix {
		return 0, fmt.Errorf("%w: %d bytes are no batch header", errMalformed, len(b))
	}
	if string(b[:4]) != headerMagic {
		return 0, fmt.Errorf("%w: not a batch (magic %q)", errMalformed, b[:4])
	}
	if b[4] != headerVersion {
		return 0, fmt.Errorf("%w: batch version %d, this reader knows %d", errMalformed, b[4], headerVersion)
	}
	n := binary.LittleEndian.Uint32(b[8:])
	if n < headerFixed || n > maxHeader {
		return 0, fmt.Errorf("%w: header of %d bytes", errMalformed, n)
	}
	return int(n), nil
}

// AppendHeader appends the encoded header.
func AppendHeader(dst []byte, h *Header) []byte {
	start := len(dst)
	dst = append(dst, headerMagic...)
	dst = append(dst, headerVersion, byte(h.Kind), byte(h.Compression), byte(h.LossReason))
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint16(dst, h.Schema)
	dst = append(dst, h.Edge[:]...)
	for _, v := range [...]uint64{uint64(h.Epoch), h.EpochFirst, h.FirstSeq, h.Count} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	dst = binary.LittleEndian.AppendUint32(dst, h.RawLen)
	dst = binary.LittleEndian.AppendUint32(dst, h.PayloadLen)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.BaseTime))
	c := &h.Counters
	dst = binary.AppendUvarint(dst, 5+3*uint64(NumDropReasons))
	for _, v := range [...]uint64{c.Captured, c.Queued, c.Stored, c.Rejected, c.Lost} {
		dst = binary.AppendUvarint(dst, v)
	}
	for i := range c.Dropped {
		d := &c.Dropped[i]
		dst = binary.AppendUvarint(dst, d.Count)
		dst = binary.AppendUvarint(dst, uint64(d.From))
		dst = binary.AppendUvarint(dst, uint64(d.To))
	}
	binary.LittleEndian.PutUint32(dst[start+8:], uint32(len(dst)-start))
	return dst
}

// ParseHeader reads a header that [HeaderLen] has measured; len(b) is its
// length. Its numbers are within the limits and consistent with each other.
func ParseHeader(b []byte) (Header, error) {
	n, err := HeaderLen(b)
	if err != nil {
		return Header{}, err
	}
	if n != len(b) {
		return Header{}, fmt.Errorf("%w: header of %d bytes, got %d", errMalformed, n, len(b))
	}
	h := Header{Kind: BatchKind(b[5]), Compression: Compression(b[6]), LossReason: LossReason(b[7])}
	h.Schema = binary.LittleEndian.Uint16(b[12:])
	copy(h.Edge[:], b[14:])
	h.Epoch = Epoch(binary.LittleEndian.Uint64(b[30:]))
	h.EpochFirst = binary.LittleEndian.Uint64(b[38:])
	h.FirstSeq = binary.LittleEndian.Uint64(b[46:])
	h.Count = binary.LittleEndian.Uint64(b[54:])
	h.RawLen = binary.LittleEndian.Uint32(b[62:])
	h.PayloadLen = binary.LittleEndian.Uint32(b[66:])
	h.BaseTime = int64(binary.LittleEndian.Uint64(b[70:]))
	if err := h.Counters.parse(b[headerFixed:]); err != nil {
		return Header{}, err
	}
	return h, h.check()
}

// parse reads the counters; a newer writer's additional ones are ignored.
func (c *Counters) parse(b []byte) error {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > maxHeader {
		return fmt.Errorf("%w: cut in the counters", errMalformed)
	}
	b = b[w:]
	values := make([]uint64, n)
	for i := range values {
		v, w := binary.Uvarint(b)
		if w <= 0 {
			return fmt.Errorf("%w: cut in the counters", errMalformed)
		}
		values[i], b = v, b[w:]
	}
	for i, p := range [...]*uint64{&c.Captured, &c.Queued, &c.Stored, &c.Rejected, &c.Lost} {
		if i < len(values) {
			*p = values[i]
		}
	}
	for i := range c.Dropped {
		at := 5 + 3*i
		if at+2 >= len(values) {
			break
		}
		c.Dropped[i] = Dropped{Count: values[at], From: int64(values[at+1]), To: int64(values[at+2])}
	}
	return nil
}

func (h *Header) check() error {
	switch {
	case h.Kind != BatchData && h.Kind != BatchLost:
		return fmt.Errorf("%w: batch kind %d", errMalformed, h.Kind)
	case h.Edge.IsZero() || h.Epoch == 0:
		return fmt.Errorf("%w: batch without edge or epoch", errMalformed)
	case h.Count == 0 || h.FirstSeq == 0 || h.LastSeq() < h.FirstSeq:
		return fmt.Errorf("%w: batch of %d events from sequence %d", errMalformed, h.Count, h.FirstSeq)
	case h.EpochFirst == 0 || h.EpochFirst > h.FirstSeq:
		return fmt.Errorf("%w: sequence %d before its epoch's first, %d", errMalformed, h.FirstSeq, h.EpochFirst)
	case h.Kind == BatchLost && (h.PayloadLen != 0 || h.RawLen != 0):
		return fmt.Errorf("%w: a loss marker with a payload", errMalformed)
	case h.Kind == BatchLost && (h.LossReason == LossNone || h.LossReason >= NumLossReasons):
		return fmt.Errorf("%w: loss reason %d", errMalformed, h.LossReason)
	case h.Kind == BatchData && h.Count > MaxBatchEvents:
		return fmt.Errorf("%w: %d events in a batch, at most %d", errMalformed, h.Count, MaxBatchEvents)
	case h.RawLen > MaxBatchRaw:
		return fmt.Errorf("%w: batch of %d bytes decompressed, at most %d", errMalformed, h.RawLen, MaxBatchRaw)
	case h.PayloadLen > MaxBatchPayload:
		return fmt.Errorf("%w: payload of %d bytes, at most %d", errMalformed, h.PayloadLen, MaxBatchPayload)
	case h.Compression != CompressNone && h.Compression != CompressZstd:
		return fmt.Errorf("%w: compression %d", errMalformed, h.Compression)
	}
	return nil
}
