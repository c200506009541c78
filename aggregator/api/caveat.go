package api

import (
	"strings"

	"github.com/eider-analytics/eider/aggregator/stats"
)

// headerCaveat says what of an answer is null or less than it looks. It is on
// every such answer, since those that are lists have no other place for it; in
// objects the same stands as meta.caveats.
const headerCaveat = "X-Eider-Caveat"

// caveatField writes caveats as a list of structured fields (RFC 9651):
//
//	no_screen;affects="screen-sizes";message="This site records no …"
func caveatField(list []stats.Caveat) string {
	var b strings.Builder
	for i, c := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.Reason)
		b.WriteString(";affects=" + fieldString(strings.Join(c.Affects, " ")))
		b.WriteString(";message=" + fieldString(c.Message))
	}
	return b.String()
}

// fieldString is a string of structured fields, which is ASCII.
func fieldString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c < ' ' || c > '~':
			b.WriteByte('?')
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			fallthrough
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
