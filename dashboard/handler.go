package dashboard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	indexFile = "index.html"
	// assetDir holds what Vite named after its content: such a file never changes.
	assetDir = "assets/"

	cacheForever    = "public, max-age=31536000, immutable"
	cacheRevalidate = "no-cache"
)

// Policy is the content security policy of every answer. Styles that scripts
// set through the CSSOM are allowed by it, style attributes in markup are not.
// Trusted Types take away the sinks that turn text into markup, so that a path
// or referrer that was recorded can only ever become a text node.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

const notBuiltPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Eider: no dashboard in this binary</title>
<h1>This binary was built without its dashboard</h1>
<p>Run <code>make dashboard</code> (it needs Node 20.19 or later), then build the aggregator again.
The API answers all the same.</p>
</html>
`

// file is one embedded file with everything that its answer needs.
type file struct {
	body, zipped []byte // zipped is nil where compression gains nothing
	contentType  string
	etag         string
	cacheControl string
}

type handler struct{ files map[string]file }

// newHandler reads the whole build once: some hundred kilobytes that the
// binary holds in memory anyway.
func newHandler(dist fs.FS) http.Handler {
	h := &handler{files: make(map[string]file)}
	err := fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") || strings.HasSuffix(name, ".gz") {
			return err
		}
		f, err := load(dist, name)
		if err != nil {
			return err
		}
		h.files[name] = f
		return nil
	})
	if err != nil {
		panic(fmt.Sprintf("read the embedded dashboard: %v", err)) // embedded files can't fail to read
	}
	return h
}

func load(dist fs.FS, name string) (file, error) {
	body, err := fs.ReadFile(dist, name)
	if err != nil {
		return file{}, fmt.Errorf("read %s: %w", name, err)
	}
	sum := sha256.Sum256(body)
	f := file{
		body:         body,
		contentType:  contentType(name),
		etag:         `"` + hex.EncodeToString(sum[:12]) + `"`,
		cacheControl: cacheRevalidate,
	}
	if strings.HasPrefix(name, assetDir) {
		f.cacheControl = cacheForever
	}
	if zipped, err := fs.ReadFile(dist, name+".gz"); err == nil {
		f.zipped = zipped
	}
	return f, nil
}

// contentType does not ask the machine's MIME tables: an answer must be the
// same everywhere, and nosniff makes a wrong type fatal.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", Policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")

	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "the dashboard can only be read", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = indexFile
	}
	if f, ok := h.files[name]; ok {
		f.serve(w, r)
		return
	}
	if _, built := h.files[indexFile]; !built && name == indexFile {
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, notBuiltPage)
		return
	}
	http.Error(w, "there is no such page; the dashboard is at /", http.StatusNotFound)
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	body, etag := f.body, f.etag
	header := w.Header()
	if f.zipped != nil {
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			// Other bytes, other validator: a shared cache must not mix them up.
			body, etag = f.zipped, strings.TrimSuffix(f.etag, `"`)+`-gz"`
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("Content-Type", f.contentType)
	header.Set("Cache-Control", f.cacheControl)
	header.Set("ETag", etag)
	if noneMatch(r.Header.Get("If-None-Match"), etag) {
		header.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // a reader who went away is no error of ours
	}
}

// acceptsGzip reads Accept-Encoding as RFC 9110 section 12.5.3 has it, as far
// as one coding needs: "gzip;q=0" is a no.
func acceptsGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		coding, parameter, _ := strings.Cut(strings.TrimSpace(part), ";")
		if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && coding != "*" {
			continue
		}
		key, quality, found := strings.Cut(strings.TrimSpace(parameter), "=")
		if !found || !strings.EqualFold(strings.TrimSpace(key), "q") {
			return true
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(quality), 64)
		return err == nil && q > 0
	}
	return false
}

func noneMatch(header, etag string) bool {
	tags := strings.Split(header, ",")
	return slices.ContainsFunc(tags, func(tag string) bool {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		return tag == etag || tag == "*"
	})
}
