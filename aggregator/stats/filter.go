package stats

import (
	"strings"
	"unicode/utf8"
)

// Filter selects what is counted: a comparison, or other filters joined by and,
// or, not, or by what the visitor has done. Nil selects everything.
//
// It is evaluated for each event of the range. A comparison of a dimension of
// the visit is the same for all of a visit's events, so that events and visits
// can be joined freely.
type Filter struct {
	join  joint
	of    []*Filter // of and, or; one of not and done
	goal  bool      // it stands for goals of the site
	goals []string  // their names
	*comparison
}

// joint says what a filter does with those below it.
type joint uint8

const (
	compares joint = iota // it has none: it is a comparison
	and
	or
	not
	done // the visitor has an event in the range that the filter selects
)

// comparison is of a dimension's value with some others, of which one must meet
// it. Null is a value like any other: it is never lost between an operator and
// its negation.
type comparison struct {
	dimension *Dimension
	operator  operator
	negated   bool
	folded    bool      // upper and lower case are the same
	values    []*string // nil asks for what is not known
}

// operator is one of the closed list of comparisons.
type operator uint8

const (
	is operator = iota
	contains
	wildcard
	regex
	greater
	atLeast
	less
	atMost
	prefix // a wildcard with nothing but ** at its end: see Condition
)

// Bounds of filters: each comparison costs time on every row.
const (
	maxFilters     = 20
	maxFilterDepth = 8
	maxValues      = 200
	maxFilterValue = 2000
	maxRegex       = 500
)

// each calls what for every comparison.
func (f *Filter) each(what func(*comparison)) {
	if f == nil {
		return
	}
	if f.comparison != nil {
		what(f.comparison)
	}
	for _, below := range f.of {
		below.each(what)
	}
}

// ofVisits reports whether visits must be told apart to evaluate it.
func (f *Filter) ofVisits() (some bool) {
	f.each(func(c *comparison) { some = some || c.dimension.ofVisits() })
	return some
}

// filled reports whether it asks for what completing rows add.
func (f *Filter) filled() (some bool) {
	f.each(func(c *comparison) { some = some || c.dimension.filled })
	return some
}

// both is the filter that selects what a and b do.
func both(a, b *Filter) *Filter {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return &Filter{join: and, of: []*Filter{a, b}}
}

// parseFilters reads the parameter filters, in either of its forms: JSON as the
// body of a question has it, or `browsers==Chrome;countries!=US`.
func (s *Site) parseFilters(text string) (*Filter, error) {
	if !utf8.ValidString(text) {
		return nil, invalid("filters", "is not UTF-8")
	}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		return s.filtersOfJSON("filters", []byte(text))
	}
	return parseFilters(text)
}

// parseFilters reads comparisons that all must hold, divided by semicolons. In a
// value \; is a semicolon and \\ a backslash. (unknown) asks for what is not
// known.
func parseFilters(text string) (*Filter, error) {
	if text == "" {
		return nil, nil
	}
	all := &Filter{join: and}
	for _, part := range splitAt(text, ';') {
		if len(all.of) == maxFilters {
			return nil, invalid("filters", "at most %d are allowed", maxFilters)
		}
		f, err := parseFilter(part)
		if err != nil {
			return nil, err
		}
		all.of = append(all.of, f)
	}
	if len(all.of) == 1 {
		return all.of[0], nil
	}
	return all, nil
}

func parseFilter(text string) (*Filter, error) {
	at := strings.IndexAny(text, "=!")
	if at < 0 || at+2 > len(text) || text[at+1] != '=' {
		return nil, invalid("filters", "each must be dimension==value or dimension!=value, divided by semicolons, or they must be JSON")
	}
	d, err := filterDimension("filters", text[:at])
	if err != nil {
		return nil, err
	}
	value, err := filterValue("filters", d, text[at+2:])
	if err != nil {
		return nil, err
	}
	return &Filter{comparison: &comparison{dimension: d, negated: text[at] == '!', values: []*string{value}}}, nil
}

// filterDimension finds a dimension that can be filtered on.
func filterDimension(field, name string) (*Dimension, error) {
	d, err := ParseDimension(field, name)
	if err != nil {
		return nil, err
	}
	if d.rows != "" {
		return nil, invalid(field, "%s is a table of its own and no property of a pageview or event: it can't be filtered on", d.name)
	}
	return d, nil
}

// filterValue reads a value of a comparison; nil is the unknown.
func filterValue(field string, d *Dimension, value string) (*string, error) {
	if value == "" || len(value) > maxFilterValue || !utf8.ValidString(value) {
		return nil, invalid(field, "the value of %s must have 1 to %d bytes of UTF-8; %s asks for what is not known", d.name, maxFilterValue, Unknown)
	}
	if value == Unknown || value == d.none() {
		return nil, nil
	}
	return &value, nil
}
