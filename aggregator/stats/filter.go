package stats

import (
	"strings"
	"unicode/utf8"
)

// operator is one of the closed list of comparisons.
type operator uint8

const (
	is operator = iota
	isNot
)

// Filter selects what is counted.
type Filter struct {
	dimension *Dimension
	operator  operator
	value     *string // nil asks for the unknown
}

// Bounds of the parameter filters: each comparison costs time on every row.
const (
	maxFilters     = 20
	maxFilterValue = 2000
)

// parseFilters reads `browsers==Chrome;countries!=US`: comparisons that all
// must hold, divided by semicolons. In a value \; is a semicolon and \\ a
// backslash. (unknown) asks for what is not known.
func parseFilters(text string) ([]Filter, error) {
	if text == "" {
		return nil, nil
	}
	if !utf8.ValidString(text) {
		return nil, invalid("filters", "is not UTF-8")
	}
	var filters []Filter
	for _, part := range splitFilters(text) {
		if len(filters) == maxFilters {
			return nil, invalid("filters", "at most %d are allowed", maxFilters)
		}
		f, err := parseFilter(part)
		if err != nil {
			return nil, err
		}
		filters = append(filters, f)
	}
	return filters, nil
}

func parseFilter(text string) (Filter, error) {
	at := strings.IndexAny(text, "=!")
	if at < 0 || at+2 > len(text) || text[at+1] != '=' {
		return Filter{}, invalid("filters", "each must be dimension==value or dimension!=value, divided by semicolons")
	}
	name, value := text[:at], text[at+2:]
	d, err := ParseDimension("filters", name)
	if err != nil {
		return Filter{}, err
	}
	if d.rows != "" {
		return Filter{}, invalid("filters", "%s is a table of its own and no property of a pageview or event: it can't be filtered on", d.name)
	}
	if value == "" || len(value) > maxFilterValue {
		return Filter{}, invalid("filters", "the value of %s must have 1 to %d bytes; %s asks for what is not known", d.name, maxFilterValue, Unknown)
	}
	f := Filter{dimension: d, operator: is, value: &value}
	if text[at] == '!' {
		f.operator = isNot
	}
	if value == Unknown || value == d.unknown {
		f.value = nil
	}
	return f, nil
}

// splitFilters divides at semicolons and takes backslashes away.
func splitFilters(text string) []string {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == ';' || text[i+1] == '\\'):
			i++
			part.WriteByte(text[i])
		case c == ';':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	return append(parts, part.String())
}

// sql is the condition over column, which holds the dimension's value. Null is
// a value like any other here: it is never lost between == and !=.
func (f Filter) sql(b *builder, column string) string {
	compare := " IS NOT DISTINCT FROM "
	if f.operator == isNot {
		compare = " IS DISTINCT FROM "
	}
	if f.value == nil {
		return column + compare + "NULL"
	}
	return column + compare + b.arg(*f.value) + "::VARCHAR"
}
