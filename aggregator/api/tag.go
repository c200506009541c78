package api

import (
	"encoding/hex"
	"hash/maphash"
	"net/http"
	"strings"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// tagger makes ETags, which are also the names of kept answers. Its seeds are new
// with each process, and so are the tags: names of hot files may come again after
// a restart. Two hashes of 64 bits under secret seeds: that two questions have one
// tag does not happen, and nobody can make it happen.
type tagger [2]maphash.Seed

func newTagger() tagger { return tagger{maphash.MakeSeed(), maphash.MakeSeed()} }

// of is the tag of an answer: the question, written in full with everything of
// the site's that its answer depends on, and the files that it is made of. Files
// never change, so the same tag is the same answer.
func (t tagger) of(question string, files []lake.File) string {
	tag := make([]byte, 0, 16)
	for _, seed := range t {
		var h maphash.Hash
		h.SetSeed(seed)
		_, _ = h.WriteString(question)
		for i := range files {
			_ = h.WriteByte(0)
			_, _ = h.WriteString(files[i].Path)
		}
		tag = h.Sum(tag)
	}
	return `"` + hex.EncodeToString(tag) + `"`
}

// ofBody is the tag of an answer that is made already.
func (t tagger) ofBody(body []byte) string { return t.of(string(body), nil) }

// unchanged reports whether the client has the answer already (RFC 9110,
// section 13.1.2: weak comparison).
func unchanged(r *http.Request, tag string) bool {
	for part := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if part = strings.TrimPrefix(strings.TrimSpace(part), "W/"); part == tag || part == "*" {
			return true
		}
	}
	return false
}
