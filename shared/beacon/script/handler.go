package script

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// cacheControl: browsers ask again after ten minutes, and show a page at once
// with what they have while they do, so that a new version arrives within an
// hour and no page waits for it.
const cacheControl = "public, max-age=600, stale-while-revalidate=86400"

// Handler serves the script. endpoint is where its messages go, relative to the
// script's own address: "event" for /e/e.js beside /e/event. It answers every
// path; the query chooses the parts.
func Handler(endpoint string) http.Handler { return &handler{endpoint: endpoint} }

type handler struct {
	endpoint string
	built    sync.Map // variant -> *file; at most 128, since there are no more variants
}

// file is a variant as it is served.
type file struct {
	build             sync.Once
	plain, zipped     []byte
	plainTag, zipsTag string
}

func (h *handler) file(v variant) *file {
	entry, ok := h.built.Load(v)
	if !ok {
		entry, _ = h.built.LoadOrStore(v, new(file))
	}
	f := entry.(*file)
	f.build.Do(func() {
		f.plain = v.build(h.endpoint)
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		_, _ = w.Write(f.plain) // into memory: neither fails
		_ = w.Close()
		f.zipped = b.Bytes()
		sum := sha256.Sum256(f.plain)
		tag := base64.RawURLEncoding.EncodeToString(sum[:12])
		f.plainTag, f.zipsTag = `"`+tag+`"`, `"`+tag+`-gzip"`
	})
	return f
}

// ServeHTTP answers GET and HEAD.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	// Pages of any origin load it, also as a module, and such that isolate
	// themselves from other origins.
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "the script is read with GET", http.StatusMethodNotAllowed)
		return
	}
	f := h.file(parse(r.URL.RawQuery))
	body, tag := f.plain, f.plainTag
	if acceptsGzip(r.Header) {
		body, tag = f.zipped, f.zipsTag
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Vary", "Accept-Encoding")
	header.Set("Cache-Control", cacheControl)
	header.Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), f) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", "text/javascript; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // a client that is gone needs no answer
	}
}

// matches reports whether a client has the file, in either encoding: what it
// has unzipped it can go on using.
func matches(ifNoneMatch []string, f *file) bool {
	for _, list := range ifNoneMatch {
		for tag := range strings.SplitSeq(list, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == "*" || tag == f.plainTag || tag == f.zipsTag {
				return true
			}
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding as far as gzip is concerned.
func acceptsGzip(h http.Header) bool {
	wild := false
	for _, list := range h.Values("Accept-Encoding") {
		for item := range strings.SplitSeq(list, ",") {
			name, weight, _ := strings.Cut(item, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "gzip" && name != "*" {
				continue
			}
			_, q, weighted := strings.Cut(weight, "=")
			n, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			good := !weighted || err == nil && n > 0
			if name == "gzip" {
				return good
			}
			wild = good
		}
	}
	return wild
}
