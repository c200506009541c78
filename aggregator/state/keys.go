package state

import (
	"encoding/binary"
	"hash/fnv"

	"github.com/eider-analytics/eider/shared"
)

// The store's keys. docs/formats/manifest.md describes them and their values.
var (
	keyHead        = []byte("head")
	prefixSegment  = []byte("segment/")
	prefixRemoved  = []byte("removed/")
	prefixMark     = []byte("mark/")
	prefixEdge     = []byte("edge/")
	prefixIncident = []byte("incident/")
	prefixSite     = []byte("site/")
	prefixKey      = []byte("key/")
	prefixErasure  = []byte("erasure/") // entries of the ledger
	prefixErasing  = []byte("erasing/") // what their commits have counted
	prefixErased   = []byte("erased/")  // rows, by site and day
	prefixDay      = []byte("day/")
	keySalts       = []byte("salts")
)

func join(prefix []byte, parts ...string) []byte {
	key := append([]byte(nil), prefix...)
	for i, p := range parts {
		if i > 0 {
			key = append(key, '/')
		}
		key = append(key, p...)
	}
	return key
}

func markKey(m *Mark) []byte { return join(prefixMark, m.Edge.String(), m.Epoch.String()) }

// incidentPrefix covers the incidents of one edge and reason; what follows is
// the span's begin, 8 bytes that sort by time.
func incidentPrefix(edge shared.EdgeID, reason string) []byte {
	return append(join(prefixIncident, edge.String(), reason), '/')
}

func incidentKey(i *Incident) []byte {
	return binary.BigEndian.AppendUint64(incidentPrefix(i.Edge, i.Reason), uint64(i.From))
}

// digestOf is the same for the same set of segments in any order; adding or
// removing one changes it by idDigest.
func digestOf(segments []Segment) uint64 {
	var d uint64
	for i := range segments {
		d ^= idDigest(segments[i].ID)
	}
	return d
}

func idDigest(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64()
}
