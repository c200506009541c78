package enrich

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eider-analytics/eider/shared"
)

// CleanProps takes out of an event's properties what may not be in its path:
// where a value is a path or the URL of a page, e-mail addresses, random tokens
// and what the site's patterns find. Trackers report so where a click led, which
// file was fetched, which page is missing.
//
// It is called once the event has its properties, with what the proxy asks for
// beside the registry. The list is copied before it is changed.
func (e *Enricher) CleanProps(dst *shared.Event, extra *shared.Privacy) {
	var p *policy
	copied := false
	for i := range dst.Props {
		prop := &dst.Props[i]
		if prop.Type != shared.PropString {
			continue
		}
		at := pathIn(prop.Value)
		if at < 0 {
			continue
		}
		if p == nil {
			p = e.policies.of(dst.Site, extra)
		}
		path := prop.Value[at:]
		if len(prop.Value) > shared.MaxPropValue-utf8.UTFMax {
			// It was cut, maybe within a secret, and half of one is not recognised.
			path = path[:strings.LastIndexByte(path, '/')+1]
		}
		clean := shared.Cut(prop.Value[:at]+p.cleanPath(path), shared.MaxPropValue)
		if clean == prop.Value {
			continue
		}
		if !copied {
			dst.Props, copied = slices.Clone(dst.Props), true
		}
		dst.Props[i].Value = clean
	}
}

// cleanPath is what stays of a path. One that has nothing to hide stays as it is
// written, percent-encoding included; patterns are for decoded ones.
func (p *policy) cleanPath(path string) string {
	decoded := unescape(path)
	if clean := p.clean(redactPath(decoded)); clean != decoded {
		return clean
	}
	return path
}

// pathIn is where the path begins in a value that is one, or a URL with one; -1
// = it is neither. What is in an address behind its host alone names no page.
func pathIn(value string) int {
	n := 0
	if !strings.HasPrefix(value, "/") || strings.HasPrefix(value, "//") {
		for _, scheme := range []string{"https://", "http://", "//"} {
			if len(value) > len(scheme) && strings.EqualFold(value[:len(scheme)], scheme) {
				n = len(scheme)
				break
			}
		}
		if n == 0 {
			return -1
		}
	}
	i := strings.IndexByte(value[n:], '/')
	if i < 0 || i+n+1 == len(value) {
		return -1
	}
	return n + i
}
