package shared

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
)

// EventID is the name of an event for the outside: a UUIDv8 (RFC 9562) that
// follows from its key and is therefore never stored. It is the first 128 bits
// of SHA-256 over the key as 64 hexadecimal digits (edge 32, epoch 16, seq 16),
// with version and variant set, so that SQL can make it from the columns too.
func EventID(edge EdgeID, epoch Epoch, seq uint64) string {
	var key [64]byte
	hex.Encode(key[:32], edge[:])
	copy(key[32:], fmt.Appendf(key[32:32], "%016x%016x", uint64(epoch), seq))
	sum := sha256.Sum256(key[:])
	sum[6] = sum[6]&0x0f | 0x80 // version 8
	sum[8] = sum[8]&0x3f | 0x80 // variant of the RFC
	var id [36]byte
	for i, at := range [...][3]int{{0, 4, 0}, {4, 6, 9}, {6, 8, 14}, {8, 10, 19}, {10, 16, 24}} {
		hex.Encode(id[at[2]:], sum[at[0]:at[1]])
		if i > 0 {
			id[at[2]-1] = '-'
		}
	}
	return string(id[:])
}

// VisitorUUID is a visitor's id where another protocol wants a UUID: its 16
// hexadecimal digits, with the version and variant of a UUIDv8 between them, so
// that SQL makes it from the column and [ParseVisitorUUID] gets it back.
func VisitorUUID(visitor uint64) string {
	h := fmt.Sprintf("%016x", visitor)
	return h[:8] + "-" + h[8:12] + "-8" + h[12:15] + "-800" + h[15:] + "-000000000000"
}

// ParseVisitorUUID is the inverse of [VisitorUUID].
func ParseVisitorUUID(s string) (visitor uint64, ok bool) {
	if len(s) != 36 || s[14] != '8' || s[19:22] != "800" || s[24:] != "000000000000" {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:8]+s[9:13]+s[15:18]+s[22:23], 16, 64)
	return n, err == nil && VisitorUUID(n) == s
}
