package classify

import "strings"

// Type is what an answer is, as far as the rules care.
type Type uint8

// The types.
const (
	TypeUnknown Type = iota
	TypeHTML         // text/html, application/xhtml+xml
	TypeFeed         // RSS, Atom, JSON Feed
	TypeXML          // XML or JSON that may be a feed; its path decides
	TypeOther        // anything else
)

// typeOf reads a Content-Type header; its parameters don't matter.
func typeOf(contentType string) Type {
	if i := strings.IndexByte(contentType, ';'); i >= 0 {
		contentType = contentType[:i]
	}
	contentType = strings.TrimSpace(contentType)
	switch len(contentType) { // most answers are told by their length alone
	case 0:
		return TypeUnknown
	case len("text/html"):
		if equalFold(contentType, "text/html") {
			return TypeHTML
		}
	case len("application/xhtml+xml"):
		if equalFold(contentType, "application/xhtml+xml") {
			return TypeHTML
		}
	case len("text/xml"):
		if equalFold(contentType, "text/xml") {
			return TypeXML
		}
	}
	for _, t := range feedTypes {
		if equalFold(contentType, t) {
			return TypeFeed
		}
	}
	if equalFold(contentType, "application/xml") || equalFold(contentType, "application/json") {
		return TypeXML
	}
	return TypeOther
}

var feedTypes = [...]string{
	"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml", "text/rss+xml",
}

// typeOfPath guesses from the path alone: no extension, or a page's, is a
// document.
func typeOfPath(path string) Type {
	var buf [maxExtension]byte
	ext := extension(path, &buf)
	if len(ext) == 0 {
		return TypeHTML
	}
	switch string(ext) {
	case "html", "htm", "xhtml", "shtml", "php", "php3", "php4", "php5", "phtml", "asp", "aspx", "jsp", "jspx",
		"do", "cgi", "pl", "cfm", "md":
		return TypeHTML
	}
	return TypeOther
}

// hasAssetExtension tells paths whose extension is that of a file rather than
// of a page. An unknown extension is no page's, but proves nothing against a
// browser that asked for a document: /user/john.doe.
func hasAssetExtension(path string) bool {
	var buf [maxExtension]byte
	ext := extension(path, &buf)
	switch string(ext) {
	case "css", "js", "mjs", "map", "json", "xml", "txt", "wasm", "webmanifest",
		"png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "avif", "bmp", "tif", "tiff", "apng", "jxl", "heic",
		"woff", "woff2", "ttf", "otf", "eot", "m3u8", "mpd", "ts", "m4s", "vtt", "swf", "flv":
		return true
	}
	return downloadExtension(ext)
}

// downloadable tells paths whose file counts as a download. The list is
// closed: what a page embeds (images, styles) is never on it.
func downloadable(path string) bool {
	var buf [maxExtension]byte
	return downloadExtension(extension(path, &buf))
}

func downloadExtension(ext []byte) bool {
	switch string(ext) {
	case "pdf", "epub", "mobi", "ps",
		"doc", "docx", "xls", "xlsx", "ppt", "pptx", "pps", "ppsx", "odt", "ods", "odp", "rtf", "csv", "key", "pages", "numbers",
		"zip", "tar", "gz", "tgz", "bz2", "tbz", "xz", "txz", "zst", "7z", "rar", "jar", "war",
		"exe", "msi", "dmg", "pkg", "deb", "rpm", "apk", "ipa", "appimage", "iso", "img", "bin", "torrent",
		"mp3", "m4a", "ogg", "oga", "opus", "wav", "flac", "wma", "midi",
		"mp4", "m4v", "mov", "avi", "mkv", "webm", "mpeg", "mpg", "wmv":
		return true
	}
	return false
}

// maxExtension bounds what is looked at as an extension.
const maxExtension = 11

// extension returns the lower-case extension of the path's last segment, in
// buf: empty if there is none, or if what follows the last dot is not made of
// letters and digits with at least one letter (/v1.2 has no extension).
func extension(path string, buf *[maxExtension]byte) []byte {
	for i := len(path) - 1; i >= 0 && len(path)-1-i <= maxExtension; i-- {
		switch path[i] {
		case '/':
			return nil
		case '.':
			return lowerWord(path[i+1:], buf)
		}
	}
	return nil
}

func lowerWord(s string, buf *[maxExtension]byte) []byte {
	letters := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
			letters = true
		case c >= 'a' && c <= 'z':
			letters = true
		case c < '0' || c > '9':
			return nil
		}
		buf[i] = c
	}
	if !letters {
		return nil
	}
	return buf[:len(s)]
}

// feedPath tells the paths that feeds have by custom, for answers whose type
// does not tell. WordPress has a feed below every page.
func feedPath(path string) bool {
	path = strings.TrimSuffix(path, "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	for _, f := range feedNames {
		if equalFold(name, f) {
			return true
		}
	}
	return false
}

var feedNames = [...]string{
	"feed", "rss", "atom", "feed.xml", "rss.xml", "atom.xml", "index.rdf", "index.rss", "feed.json", "feed.rss", "feed.atom",
	"rss2.xml", "rss.php", "feeds", "index.atom", "feed.rdf",
}

// PagePart tells by type, or by path where an answer names none, the styles,
// scripts, fonts and images that pages are made of.
func PagePart(path, contentType string) bool {
	if i := strings.IndexByte(contentType, ';'); i >= 0 {
		contentType = contentType[:i]
	}
	contentType = strings.TrimSpace(contentType)
	if contentType != "" {
		kind, name, _ := strings.Cut(contentType, "/")
		switch {
		case equalFold(kind, "image"), equalFold(kind, "font"):
			return true
		}
		return equalFold(name, "css") || containsFold(name, "javascript") || containsFold(name, "font")
	}
	var buf [maxExtension]byte
	switch string(extension(path, &buf)) {
	case "css", "js", "mjs", "png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "avif", "bmp", "apng", "jxl",
		"woff", "woff2", "ttf", "otf", "eot":
		return true
	}
	return false
}
