package api

import (
	"encoding/hex"
	"hash/maphash"
	"net/http"
	"strings"
	"sync"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// tagger makes ETags. Its seed is new with each process, and so are the tags:
// names of hot files may come again after a restart.
type tagger struct{ seed maphash.Seed }

func newTagger() tagger { return tagger{maphash.MakeSeed()} }

// of is the tag of an answer: the question, written in full, and the files that
// it is made of. Files never change, so the same tag is the same answer.
func (t tagger) of(question string, files []lake.File) string {
	var h maphash.Hash
	h.SetSeed(t.seed)
	_, _ = h.WriteString(question)
	for i := range files {
		_, _ = h.WriteString(files[i].Path)
		_ = h.WriteByte(0)
	}
	return `"` + hex.EncodeToString(h.Sum(nil)) + `"`
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

// Bounds of the cache of answers. It is there for many tabs that ask the same
// at once, not to make slow questions fast.
const (
	cacheEntries = 256
	cacheBytes   = 64 << 10 // of one answer
)

// cache keeps answers by their tags and forgets the oldest first.
type cache struct {
	mu     sync.Mutex
	bodies map[string][]byte
	order  []string
}

func newCache() *cache { return &cache{bodies: map[string][]byte{}} }

func (c *cache) get(tag string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, ok := c.bodies[tag]
	return body, ok
}

func (c *cache) put(tag string, body []byte) {
	if len(body) > cacheBytes {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.bodies[tag]; ok {
		return
	}
	if len(c.order) == cacheEntries {
		delete(c.bodies, c.order[0])
		c.order = c.order[1:]
	}
	c.bodies[tag] = body
	c.order = append(c.order, tag)
}
