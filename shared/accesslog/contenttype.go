package accesslog

import (
	"net/url"
	"path"
	"strings"
)

// types maps the extension of a path to the type that servers commonly answer.
// It is a list of our own: package mime reads the machine's files, and the same
// log must give the same answer everywhere.
var types = map[string]string{
	"": htmlType, ".html": htmlType, ".htm": htmlType, ".php": htmlType, ".asp": htmlType, ".aspx": htmlType, ".jsp": htmlType, ".cgi": htmlType,
	".xhtml": "application/xhtml+xml",
	".css":   "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json", ".wasm": "application/wasm",
	".xml": "text/xml; charset=utf-8", ".xsl": "text/xml; charset=utf-8",
	".rss": "application/rss+xml; charset=utf-8", ".atom": "application/atom+xml; charset=utf-8", ".rdf": "application/rdf+xml",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".svg": "image/svg+xml",
	".ico": "image/vnd.microsoft.icon", ".webp": "image/webp", ".avif": "image/avif", ".bmp": "image/bmp",
	".ttf": "font/ttf", ".otf": "font/otf", ".woff": "font/woff", ".woff2": "font/woff2", ".eot": "application/vnd.ms-fontobject",
	".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".wav": "audio/wav", ".mp4": "video/mp4", ".webm": "video/webm", ".swf": "application/x-shockwave-flash",
	".pdf": "application/pdf", ".doc": "application/msword", ".ps": "application/postscript",
	".zip": "application/zip", ".gz": "application/gzip", ".tgz": "application/gzip", ".bz2": "application/x-bzip2", ".xz": "application/x-xz", ".zst": "application/zstd",
	".tar": "application/x-tar", ".jar": "application/java-archive", ".deb": "application/vnd.debian.binary-package", ".rpm": "application/x-rpm",
	".txt": textType, ".log": textType, ".conf": textType, ".md": textType, ".markdown": textType, ".csv": "text/csv; charset=utf-8",
	".c": textType, ".h": textType, ".cpp": textType, ".py": textType, ".rb": textType, ".sh": textType, ".lua": textType, ".java": textType,
	".diff": textType, ".patch": textType, ".tex": textType, ".spec": textType,
}

const (
	htmlType = "text/html; charset=utf-8"
	textType = "text/plain; charset=utf-8"
)

// TypeOf guesses what a request target was answered with, for logs that do not
// say: by the path's extension, where none means a page, and by Blosxom's query
// key `flav`, which names a feed.
func TypeOf(target string) string {
	p, query, _ := strings.Cut(target, "?")
	switch values, _ := url.ParseQuery(query); values.Get("flav") {
	case "rss", "rss20":
		return types[".rss"]
	case "atom":
		return types[".atom"]
	}
	if decoded, err := url.PathUnescape(p); err == nil {
		p = decoded
	}
	if t, ok := types[extension(p)]; ok {
		return t
	}
	return "application/octet-stream"
}

// extension is the path's, in lower case. What follows the last dot is one if
// it is made of letters and digits with a letter among them: /v1.2 has none.
func extension(p string) string {
	ext := strings.ToLower(path.Ext(p))
	letters := false
	for i := 1; i < len(ext); i++ {
		letter := ext[i] >= 'a' && ext[i] <= 'z'
		letters = letters || letter
		if !letter && (ext[i] < '0' || ext[i] > '9') {
			return ""
		}
	}
	if !letters {
		return ""
	}
	return ext
}
