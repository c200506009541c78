package enrich

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eider-analytics/eider/shared"
)

// CleanProps takes out of an event's properties what may not be in its path:
// where a value, or a text in an array, is a path or the URL of a page, e-mail
// addresses, random tokens and what the site's patterns find. Trackers report so where a click led, which
// file was fetched, which page is missing.
//
// It is called once the event has its properties, with what the proxy asks for
// beside the registry. The list is copied before it is changed.
func (e *Enricher) CleanProps(dst *shared.Event, extra *shared.Privacy) {
	var p *policy
	copied := false
	for i := range dst.Props {
		prop := &dst.Props[i]
		// A value as long as that was cut, maybe within a secret.
		cut := len(prop.Value) > shared.MaxPropValue-utf8.UTFMax
		if prop.Type == shared.PropString && pathIn(prop.Value) < 0 || prop.Type != shared.PropString && prop.Type != shared.PropArray {
			continue
		}
		if p == nil {
			p = e.policies.of(dst.Site, extra)
		}
		clean := ""
		if prop.Type == shared.PropArray {
			clean = p.cleanArray(prop.Value)
		} else {
			clean = p.cleanValue(prop.Value, cut)
		}
		if clean = shared.Cut(clean, shared.MaxPropValue); clean == prop.Value {
			continue
		}
		if !copied {
			dst.Props, copied = slices.Clone(dst.Props), true
		}
		dst.Props[i].Value = clean
	}
}

// cleanValue is what stays of a text; half a secret at the end of one that was
// cut is not recognised.
func (p *policy) cleanValue(value string, cut bool) string {
	at := pathIn(value)
	if at < 0 {
		return value
	}
	path := value[at:]
	if cut {
		path = path[:strings.LastIndexByte(path, '/')+1]
	}
	return value[:at] + p.cleanPath(path)
}

// cleanArray cleans the texts in the JSON of an array, which may have been cut.
func (p *policy) cleanArray(array string) string {
	var b strings.Builder
	done := 0
	for at := strings.IndexByte(array, '"'); at >= 0; {
		end, whole := endOfText(array, at)
		var text string
		if whole && json.Unmarshal([]byte(array[at:end]), &text) != nil || !whole {
			text = strings.ReplaceAll(array[at+1:min(end, len(array))], `\/`, "/")
		}
		if clean := p.cleanValue(text, !whole); clean != text {
			quoted, _ := json.Marshal(clean) // of a text: never fails
			if !whole {
				quoted = quoted[:len(quoted)-1]
			}
			b.WriteString(array[done:at])
			b.Write(quoted)
			done = end
		}
		next := strings.IndexByte(array[end:], '"')
		if next < 0 {
			break
		}
		at = end + next
	}
	if done == 0 {
		return array
	}
	b.WriteString(array[done:])
	return b.String()
}

// endOfText is behind the JSON text that begins at at; whole = it ends.
func endOfText(s string, at int) (end int, whole bool) {
	for at++; at < len(s); at++ {
		switch s[at] {
		case '\\':
			at++
		case '"':
			return at + 1, true
		}
	}
	return len(s), false
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
