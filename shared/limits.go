package shared

import (
	"strings"
	"unicode/utf8"
)

// Limits of what crosses a boundary. Each names the abuse that it stops.
const (
	// MaxBatchEvents bounds the work that one checksum can stand for: a frame of
	// 1 KB can be that many events, each of which takes more than that decoded.
	// An edge seals long before it has so many.
	MaxBatchEvents = 32 << 10
	// MaxBatchRaw bounds what a small compressed body can blow up to.
	MaxBatchRaw = 16 << 20
	// MaxBatchPayload bounds the compressed bytes of one batch.
	MaxBatchPayload = 8 << 20
	// MaxBody bounds one POST of batches, so that a client cannot fill memory.
	MaxBody = 16 << 20
	// MaxEventRaw bounds one encoded event.
	MaxEventRaw = 64 << 10

	// MaxProps, MaxPropKey and MaxPropValue bound custom data (Umami's numbers).
	MaxProps     = 50
	MaxPropKey   = 500
	MaxPropValue = 500
)

// Bounds of a site's own privacy rules: they are applied to every event.
const (
	MaxRedact        = 20   // patterns
	MaxRedactPattern = 200  // bytes of one
	MaxRedactSize    = 2000 // steps of one, compiled
	MaxQueryKeys     = 50
	MaxQueryKey      = 40 // bytes of one
)

// The longest value of each text field, in bytes of UTF-8. Edges cut to it;
// the aggregator rejects what is longer.
const (
	MaxSite     = 253
	MaxHostname = 253
	MaxPath     = 2000
	MaxQuery    = 1000
	MaxTitle    = 500
	MaxName     = 120
	MaxTag      = 50
	MaxUTM      = 255
	MaxDistinct = 50
	MaxShort    = 100 // every other text field
)

// Cut returns s without control characters and invalid UTF-8, at most limit
// bytes long, cut between characters. A clean, short string is returned as it
// is, without an allocation.
func Cut(s string, limit int) string {
	if clean(s) {
		if len(s) <= limit {
			return s
		}
		return cutAt(s, limit)
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return -1
		}
		return r
	}, s)
	return cutAt(s, limit)
}

func cutAt(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// clean reports whether s is valid UTF-8 without control characters.
func clean(s string) bool {
	ascii := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c == 0x7f {
			return false
		}
		if c >= 0x80 {
			ascii = false
		}
	}
	if ascii {
		return true
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if (r == utf8.RuneError && n == 1) || (r >= 0x80 && r < 0xa0) {
			return false
		}
		i += n
	}
	return true
}
