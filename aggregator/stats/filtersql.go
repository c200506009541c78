package stats

import (
	"regexp"
	"strings"
)

// columnOf gives the SQL of a dimension's value in the relation that a filter
// is evaluated over.
type columnOf func(*Dimension) string

// sql is the condition on a row. done gives the condition that the visitor has
// an event which a filter selects.
func (f *Filter) sql(b *builder, column columnOf, hasDone func(*Filter) string) string {
	if f == nil {
		return "true"
	}
	switch f.join {
	case not:
		return "NOT " + f.of[0].sql(b, column, hasDone)
	case done:
		return hasDone(f.of[0])
	case and, or:
		parts := make([]string, len(f.of))
		for i, below := range f.of {
			parts[i] = below.sql(b, column, hasDone)
		}
		if f.join == or {
			return "(" + strings.Join(parts, " OR ") + ")"
		}
		return "(" + strings.Join(parts, " AND ") + ")"
	}
	return f.comparison.sql(b, column(f.dimension))
}

// sql is the condition over column. It is never null itself.
func (c *comparison) sql(b *builder, column string) string {
	parts := make([]string, len(c.values))
	for i, v := range c.values {
		parts[i] = c.one(b, column, v)
	}
	text := "(" + strings.Join(parts, " OR ") + ")"
	if c.negated {
		text = "(NOT " + text + ")"
	}
	return text
}

// one compares with one value. The result is never null.
func (c *comparison) one(b *builder, column string, value *string) string {
	switch {
	case value == nil:
		return column + " IS NULL"
	case c.operator == is && !c.folded:
		return column + " IS NOT DISTINCT FROM " + b.arg(*value) + "::VARCHAR"
	}
	known := func(condition string) string { return "coalesce(" + condition + ", false)" }
	arg := func(v string) string { return b.arg(v) + "::VARCHAR" }
	switch c.operator {
	case contains:
		if c.folded {
			return known("contains(lower(" + column + "), lower(" + arg(*value) + "))")
		}
		return known("contains(" + column + ", " + arg(*value) + ")")
	case regex:
		return known("regexp_matches(" + column + ", " + arg(c.option()+*value) + ")")
	case prefix:
		return known("starts_with(" + column + ", " + arg(*value) + ")")
	case wildcard:
		return known("regexp_full_match(" + column + ", " + arg(c.option()+wildcardRegex(*value)) + ")")
	case greater, atLeast, less, atMost:
		sign := map[operator]string{greater: " > ", atLeast: " >= ", less: " < ", atMost: " <= "}[c.operator]
		return known("TRY_CAST(" + column + " AS DOUBLE)" + sign + arg(*value) + "::DOUBLE")
	}
	return known("lower(" + column + ") = lower(" + arg(*value) + ")")
}

// option is what a regular expression begins with.
func (c *comparison) option() string {
	if c.folded {
		return "(?is)"
	}
	return "(?s)"
}

// wildcardRegex is the regular expression for a text in which ** stands for
// anything and * for anything without a slash, as Plausible has it.
func wildcardRegex(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "**"):
			out.WriteString(".*")
			i += 2
		case text[i] == '*':
			out.WriteString("[^/]*")
			i++
		default:
			end := i + 1
			for end < len(text) && text[end] != '*' {
				end++
			}
			out.WriteString(regexp.QuoteMeta(text[i:end]))
			i = end
		}
	}
	return out.String()
}
