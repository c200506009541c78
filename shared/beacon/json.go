package beacon

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// value is one value of a JSON text that has been found valid, without blanks
// around it. Trackers and their users send each field in more than one type;
// walking over values lets every field say what it takes, in one pass and
// without a tree in memory. Texts are parts of the one copy that is made of a
// body: what keeps one for longer than its message lives must clone it.
type value string

// parse checks a whole text once, so that the walks below can rely on it.
func parse(body []byte) (value, bool) {
	// A byte order mark is what some clients begin with.
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if !json.Valid(body) {
		return "", false
	}
	return value(bytes.Trim(body, blanks)), true
}

const blanks = " \t\r\n"

// kind is the first byte: one of { [ " t f n, or anything else for a number.
func (v value) kind() byte {
	if len(v) == 0 {
		return 'n'
	}
	return v[0]
}

func (v value) isNull() bool { return v.kind() == 'n' }

// fields calls yield for each member of an object, until it returns false.
func (v value) fields(yield func(key string, v value) bool) {
	if v.kind() != '{' {
		return
	}
	for at := skipBlank(v, 1); at < len(v) && v[at] != '}'; {
		end := endOf(v, at)
		key := v[at:end]
		at = skipBlank(v, skipBlank(v, end)+1) // behind the colon
		end = endOf(v, at)
		if !yield(key.text(), v[at:end]) {
			return
		}
		if at = skipBlank(v, end); at < len(v) && v[at] == ',' {
			at = skipBlank(v, at+1)
		}
	}
}

// elements calls yield for each element of an array, until it returns false.
func (v value) elements(yield func(v value) bool) {
	if v.kind() != '[' {
		return
	}
	for at := skipBlank(v, 1); at < len(v) && v[at] != ']'; {
		end := endOf(v, at)
		if !yield(v[at:end]) {
			return
		}
		if at = skipBlank(v, end); at < len(v) && v[at] == ',' {
			at = skipBlank(v, at+1)
		}
	}
}

// count is how many elements an array has, counted up to limit+1.
func (v value) count(limit int) (n int) {
	v.elements(func(value) bool { n++; return n <= limit })
	return n
}

func skipBlank(b value, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\t' || b[at] == '\r') {
		at++
	}
	return at
}

// endOf returns the offset behind the value that begins at at.
func endOf(b value, at int) int {
	depth := 0
	for at < len(b) {
		switch b[at] {
		case '"':
			for at++; at < len(b) && b[at] != '"'; at++ {
				if b[at] == '\\' {
					at++
				}
			}
			at++
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		case ',', ':', ' ', '\n', '\t', '\r':
			at++
		default: // a number, true, false, null
			for at < len(b) && strings.IndexByte(",:]} \n\t\r", b[at]) < 0 {
				at++
			}
		}
		if depth <= 0 {
			break
		}
	}
	return min(at, len(b))
}

// text is a string's content, or the text of anything else.
func (v value) text() string {
	if v.kind() != '"' || len(v) < 2 {
		return string(v)
	}
	inner := v[1 : len(v)-1]
	if strings.IndexByte(string(inner), '\\') < 0 && utf8.ValidString(string(inner)) {
		return string(inner)
	}
	var s string
	if json.Unmarshal([]byte(v), &s) != nil {
		return ""
	}
	return s
}

// number is a number's value, or that of a string that holds one.
func (v value) number() (float64, bool) {
	switch v.kind() {
	case '{', '[', 't', 'f', 'n':
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(v.text()), 64)
	return f, err == nil && f-f == 0 // neither infinite nor no number
}

// inner is the JSON text that a string holds, for clients that encode twice;
// anything else is itself.
func (v value) inner() (value, bool) {
	if v.kind() != '"' {
		return v, true
	}
	return parse([]byte(v.text()))
}
