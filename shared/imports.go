package shared

import (
	"encoding/hex"
	"fmt"
)

// An import is an edge of its own: one for each log, found again by a digest
// of the log's start. Its sequences follow from the numbers of the log's lines,
// and what a line has no event for is a blank. So the mark of the receiver says
// how far a log was imported, whatever the rules make of a line.

// ImportRequest asks how far logs were imported, and about the sites that they
// are of. It changes nothing.
type ImportRequest struct {
	// Prints are digests of the beginnings of one log, the shorter ones first.
	Prints []ImportPrint `json:"prints"`
	Sites  []string      `json:"sites"` // names of sites: domains, UUIDs, ids
}

// ImportPrint is a digest of the beginning of a log. It is never stored as it
// is: a short beginning could be guessed, and it holds addresses.
type ImportPrint [32]byte

// MarshalText writes 64 lower-case hexadecimal digits.
func (p ImportPrint) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(p[:])), nil }

// UnmarshalText accepts exactly 64 hexadecimal digits.
func (p *ImportPrint) UnmarshalText(text []byte) error {
	if len(text) != 2*len(p) {
		return fmt.Errorf("print of a log: want %d hexadecimal digits, got %d characters", 2*len(p), len(text))
	}
	_, err := hex.Decode(p[:], text)
	return err
}

// ImportReply answers an ImportRequest, one entry for each of its own.
type ImportReply struct {
	Imports []ImportMark `json:"imports"`
	Sites   []ImportSite `json:"sites"`
}

// ImportMark is an import's identity and how far it has come.
type ImportMark struct {
	Edge     EdgeID `json:"edge"`
	Epoch    Epoch  `json:"epoch"`
	Expected uint64 `json:"expected"` // the next sequence; 0 = nothing of it was ever sent
	Accepted uint64 `json:"accepted"` // events
	Rejected uint64 `json:"rejected"`
	Lost     uint64 `json:"lost"`
}

// ImportSite is what an import needs to know of a site.
type ImportSite struct {
	Name     string      `json:"name"` // as it was asked for
	Site     *SiteConfig `json:"site,omitempty"`
	LiveDays []string    `json:"live_days,omitempty"` // local days (yyyy-mm-dd) with events that no import brought
	Error    string      `json:"error,omitempty"`
}
