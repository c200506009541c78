package shared

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// EdgeID names one queue directory for ever: 128 random bits, made when the
// queue is created.
type EdgeID [16]byte

// NewEdgeID draws a fresh edge id.
func NewEdgeID() EdgeID {
	var id EdgeID
	_, _ = rand.Read(id[:]) // never fails since Go 1.24
	return id
}

// IsZero reports whether the id was never set.
func (id EdgeID) IsZero() bool { return id == EdgeID{} }

// String is the id as 32 lower-case hexadecimal digits.
func (id EdgeID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText and UnmarshalText make the id readable in JSON and in keys.
func (id EdgeID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText accepts exactly 32 hexadecimal digits.
func (id *EdgeID) UnmarshalText(text []byte) error {
	if len(text) != 2*len(id) {
		return fmt.Errorf("edge id: want %d hexadecimal digits, got %d characters", 2*len(id), len(text))
	}
	if _, err := hex.Decode(id[:], text); err != nil {
		return fmt.Errorf("edge id: %w", err)
	}
	return nil
}

// Epoch numbers one life of an edge's sequence: 64 random bits, drawn at every
// opening of the queue. Within (edge, epoch) a sequence is used once.
type Epoch uint64

// NewEpoch draws a fresh epoch, never zero.
func NewEpoch() Epoch {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:])
		if e := Epoch(binary.LittleEndian.Uint64(b[:])); e != 0 {
			return e
		}
	}
}

// String is the epoch as 16 lower-case hexadecimal digits.
func (e Epoch) String() string { return fmt.Sprintf("%016x", uint64(e)) }

// MarshalText writes 16 hexadecimal digits: JSON numbers lose 64-bit values.
func (e Epoch) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText accepts exactly 16 hexadecimal digits.
func (e *Epoch) UnmarshalText(text []byte) error {
	var b [8]byte
	if len(text) != 2*len(b) {
		return fmt.Errorf("epoch: want %d hexadecimal digits, got %d characters", 2*len(b), len(text))
	}
	if _, err := hex.Decode(b[:], text); err != nil {
		return fmt.Errorf("epoch: %w", err)
	}
	*e = Epoch(binary.BigEndian.Uint64(b[:]))
	return nil
}
