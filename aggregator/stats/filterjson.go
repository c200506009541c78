package stats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// operatorName is a comparison as JSON names it.
type operatorName struct {
	name     string
	operator operator
	negated  bool
}

// operators are the names of comparisons in JSON: those of Plausible's stats API
// v2, and the four that compare numbers.
var operators = []operatorName{
	{"is", is, false},
	{"is_not", is, true},
	{"contains", contains, false},
	{"contains_not", contains, true},
	{"matches", regex, false},
	{"matches_not", regex, true},
	{"matches_wildcard", wildcard, false},
	{"matches_wildcard_not", wildcard, true},
	{">", greater, false},
	{">=", atLeast, false},
	{"<", less, false},
	{"<=", atMost, false},
}

// joints are the names of what joins filters. has_not_done is not of done.
var joints = []string{"and", "or", "not", "has_done", "has_not_done"}

func operatorNames() string {
	var names []string
	for _, o := range operators {
		names = append(names, o.name)
	}
	return strings.Join(append(names, joints...), ", ")
}

// filtersOfJSON reads a list of filters that all must hold, each
//
//	[operator, dimension, [value…], {"case_sensitive": false}?]
//	["and" or "or", [filter…]]
//	["not" or "has_done" or "has_not_done", filter]
//
// The dimension event:goal stands for the conditions of the site's goals. field
// names the list in errors.
func (s *Site) filtersOfJSON(field string, text []byte) (*Filter, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, invalid(field, "must be a list of filters, like [[\"is\",\"visit:country\",[\"DE\"]]]")
	}
	r := filterReader{site: s}
	f, err := r.list(field, list, and, 1)
	if err == nil && len(f.of) == 0 {
		return nil, nil
	}
	return f, err
}

// filterReader counts what it has read: the bound is of all of it.
type filterReader struct {
	site        *Site
	comparisons int
}

func (r *filterReader) list(field string, list []json.RawMessage, join joint, depth int) (*Filter, error) {
	f := &Filter{join: join}
	for i, text := range list {
		below, err := r.filter(fmt.Sprintf("%s[%d]", field, i), text, depth)
		if err != nil {
			return nil, err
		}
		f.of = append(f.of, below)
	}
	return f, nil
}

func (r *filterReader) filter(field string, text json.RawMessage, depth int) (*Filter, error) {
	if depth > maxFilterDepth {
		return nil, invalid(field, "filters are nested deeper than %d", maxFilterDepth)
	}
	var parts []json.RawMessage
	var name string
	if json.Unmarshal(text, &parts) != nil || len(parts) < 2 || json.Unmarshal(parts[0], &name) != nil {
		return nil, invalid(field, "must be a list that begins with an operator: %s", operatorNames())
	}
	switch name {
	case "and", "or":
		var list []json.RawMessage
		if len(parts) != 2 || json.Unmarshal(parts[1], &list) != nil || len(list) == 0 {
			return nil, invalid(field, "%s is followed by a list of filters", name)
		}
		join := and
		if name == "or" {
			join = or
		}
		return r.list(field+"[1]", list, join, depth+1)
	case "not", "has_done", "has_not_done":
		if len(parts) != 2 {
			return nil, invalid(field, "%s is followed by one filter", name)
		}
		below, err := r.filter(field+"[1]", parts[1], depth+1)
		if err != nil {
			return nil, err
		}
		if name != "not" {
			below = &Filter{join: done, of: []*Filter{below}}
		}
		if name == "has_done" {
			return below, nil
		}
		return &Filter{join: not, of: []*Filter{below}}, nil
	}
	at := slices.IndexFunc(operators, func(o operatorName) bool { return o.name == name })
	if at < 0 {
		return nil, invalid(field+"[0]", "must be one of %s", operatorNames())
	}
	return r.comparison(field, parts, operators[at].operator, operators[at].negated)
}

func (r *filterReader) comparison(field string, parts []json.RawMessage, o operator, negated bool) (*Filter, error) {
	if r.comparisons++; r.comparisons > maxFilters {
		return nil, invalid(field, "at most %d comparisons are allowed", maxFilters)
	}
	var name string
	if len(parts) > 4 || len(parts) < 3 || json.Unmarshal(parts[1], &name) != nil {
		return nil, invalid(field, "must be [operator, dimension, [value, …]]")
	}
	values, err := texts(field+"[2]", parts[2])
	if err != nil {
		return nil, err
	}
	if name == goalDimension {
		return r.site.goalFilter(field, o, negated, values)
	}
	c := &comparison{operator: o, negated: negated}
	if c.dimension, err = filterDimension(field+"[1]", name); err != nil {
		return nil, err
	}
	if len(parts) == 4 {
		if c.folded, err = caseOption(field+"[3]", parts[3]); err != nil {
			return nil, err
		}
	}
	for i, text := range values {
		v, err := c.value(fmt.Sprintf("%s[2][%d]", field, i), text)
		if err != nil {
			return nil, err
		}
		c.values = append(c.values, v)
	}
	return &Filter{comparison: c}, nil
}

// texts reads the values of a comparison: texts, numbers, or null.
func texts(field string, text json.RawMessage) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var list []any
	if d.Decode(&list) != nil || len(list) == 0 || len(list) > maxValues {
		return nil, invalid(field, "must be a list of 1 to %d values", maxValues)
	}
	values := make([]string, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case string:
			values[i] = v
		case json.Number:
			values[i] = v.String()
		case bool:
			values[i] = strconv.FormatBool(v)
		case nil:
			values[i] = Unknown
		default:
			return nil, invalid(fmt.Sprintf("%s[%d]", field, i), "must be a text or a number")
		}
	}
	return values, nil
}

func caseOption(field string, text json.RawMessage) (folded bool, err error) {
	var option struct {
		CaseSensitive *bool `json:"case_sensitive"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&option); err != nil {
		return false, invalid(field, "may only be {\"case_sensitive\": true or false}")
	}
	return option.CaseSensitive != nil && !*option.CaseSensitive, nil
}

// value reads a value as the operator takes it.
func (c *comparison) value(field, text string) (*string, error) {
	switch c.operator {
	case regex:
		// Go knows groups and classes that DuckDB's RE2 does not.
		if _, err := regexp.Compile(text); err != nil || len(text) > maxRegex || strings.Contains(text, "(?<") || strings.Contains(strings.ToLower(text), `\p`) {
			return nil, invalid(field, "must be a regular expression in the syntax of RE2, without classes of Unicode and groups like (?<name>), of at most %d bytes", maxRegex)
		}
	case greater, atLeast, less, atMost:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, invalid(field, "must be a number")
		}
		text = strconv.FormatFloat(n, 'g', -1, 64)
		if !c.dimension.number {
			return nil, invalid(field, "%s has no numbers that could be compared", c.dimension.name)
		}
	}
	if c.operator != is && (text == Unknown || text == c.dimension.none()) {
		return nil, invalid(field, "what is not known can only be asked for by is and is_not")
	}
	return filterValue(field, c.dimension, text)
}
