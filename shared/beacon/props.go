package beacon

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// maxDepth bounds the nesting of data that is flattened.
const maxDepth = 10

// maxMembers bounds how much of data is looked at, however often it says the
// same key: long keys of objects times many members in them take seconds.
const maxMembers = 1000

// propList gathers properties within the limits.
type propList struct {
	props   []shared.Prop
	members int // that were looked at
	dropped int
}

// flatten adds an object's members: nested objects as a.b.c, arrays as their
// JSON text. Null and the empty object are nothing. What is over the limits is
// dropped and counted; of a key that is given twice the last value stays.
func (l *propList) flatten(v value) { l.object("", v, 0) }

func (l *propList) object(prefix string, v value, depth int) {
	v.fields(func(key string, v value) bool {
		if l.members++; l.members > maxMembers {
			l.dropped++
			return true
		}
		key = prefix + key
		switch {
		case len(key) > 8*shared.MaxPropKey: // nested keys multiply
			l.dropped++
		case v.kind() != '{':
			l.add(key, v)
		case depth >= maxDepth:
			l.dropped++
		default:
			l.object(key+".", v, depth+1)
		}
		return true
	})
}

func (l *propList) add(key string, v value) {
	p := shared.Prop{Key: shared.Cut(key, shared.MaxPropKey), Type: shared.PropString}
	switch v.kind() {
	case 'n':
		return
	case '"':
		p.Value = v.text()
		if isDate(p.Value) {
			p.Type = shared.PropDate
		} else {
			p.Value = stripURL(p.Value)
		}
	case 't', 'f':
		p.Value, p.Type = string(v), shared.PropBool
	case '[':
		p.Value, p.Type = stripURLs(v), shared.PropArray
	default:
		p.Value, p.Type = string(v), shared.PropNumber
	}
	l.put(p)
}

func (l *propList) put(p shared.Prop) {
	if p.Key == "" {
		l.dropped++
		return
	}
	if len(p.Value) > shared.MaxPropValue {
		l.dropped++
	}
	p.Value = shared.Cut(p.Value, shared.MaxPropValue)
	for i := range l.props {
		if l.props[i].Key == p.Key {
			l.props[i] = p
			return
		}
	}
	if len(l.props) >= shared.MaxProps {
		l.dropped++
		return
	}
	l.props = append(l.props, p)
}

// find returns the value of a property.
func (l *propList) find(key string) (string, bool) {
	for i := range l.props {
		if l.props[i].Key == key {
			return l.props[i].Value, true
		}
	}
	return "", false
}

// isDate recognises ISO 8601 as programs write it: a date, or date and time
// with or without an offset.
func isDate(s string) bool {
	if len(s) < 10 || len(s) > 40 || s[4] != '-' || s[7] != '-' {
		return false
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999Z0700"} {
		if _, err := time.Parse(layout, s); err == nil {
			return true
		}
	}
	return false
}

// stripURLs does to the texts in an array, however deep, what stripURL does to
// one. The array stays as it is written, but for these.
func stripURLs(v value) string {
	var b strings.Builder
	done := 0
	for at := 0; at < len(v); {
		if v[at] != '"' {
			at++
			continue
		}
		end := endOf(v, at)
		text := v[at:end].text()
		if clean := stripURL(text); clean != text {
			quoted, _ := json.Marshal(clean) // of a text: never fails
			b.WriteString(string(v[done:at]))
			b.Write(quoted)
			done = end
		}
		at = end
	}
	if done == 0 {
		return string(v)
	}
	b.WriteString(string(v[done:]))
	return b.String()
}

// stripURL takes user, query and fragment out of a value that is a link:
// trackers report where a click led, and a query may hold secrets.
func stripURL(s string) string {
	trimmed := strings.TrimSpace(s)
	n := 0
	for _, scheme := range []string{"https://", "http://", "//"} {
		if len(trimmed) > len(scheme) && strings.EqualFold(trimmed[:len(scheme)], scheme) {
			n = len(scheme)
			break
		}
	}
	if n == 0 || !strings.ContainsAny(trimmed, "?#@") {
		return s
	}
	head, rest := trimmed[:n], trimmed[n:]
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	return head + authority + path
}
