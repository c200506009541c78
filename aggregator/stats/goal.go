package stats

import (
	"slices"
	"strings"
)

// Goal is a named condition on events. A visitor that meets it converts.
type Goal struct {
	Name string
	// Page is a path, in which * stands for anything without a slash and ** for
	// anything; Event is a custom event's name. One of them is set.
	Page, Event string
	// Props are properties that the event must have, each with one of its values.
	Props map[string]string
}

// goalDimension is the name of what stands for a site's goals in filters and
// among dimensions.
const goalDimension = "event:goal"

// filter is the goal's condition on an event.
func (g *Goal) filter() *Filter {
	compare := func(d *Dimension, o operator, value string) *Filter {
		return &Filter{comparison: &comparison{dimension: d, operator: o, values: []*string{&value}}}
	}
	all := &Filter{join: and}
	if g.Page != "" {
		all.of = append(all.of, compare(pages, wildcard, g.Page), &Filter{join: not, of: []*Filter{isAction()}})
	} else {
		all.of = append(all.of, compare(actions, is, g.Event))
	}
	keys := make([]string, 0, len(g.Props))
	for key := range g.Props {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		all.of = append(all.of, compare(&Dimension{name: propPrefix + key, api: apiPropPrefix + key, key: key, number: true}, is, g.Props[key]))
	}
	return all
}

// isAction selects custom events.
func isAction() *Filter {
	return &Filter{join: not, of: []*Filter{{comparison: &comparison{dimension: actions, values: []*string{nil}}}}}
}

// goalFilter selects the events that meet one of the named goals.
func (s *Site) goalFilter(field string, o operator, negated bool, names []string) (*Filter, error) {
	if o != is {
		return nil, invalid(field+"[0]", "must be is or is_not for %s", goalDimension)
	}
	some := &Filter{join: or, goal: true, goals: names}
	for _, name := range names {
		at := slices.IndexFunc(s.Goals, func(g Goal) bool { return g.Name == name })
		if at < 0 {
			var known []string
			for i := range s.Goals {
				known = append(known, s.Goals[i].Name)
			}
			if len(known) == 0 {
				return nil, invalid(field, "the site has no goals; add some by POST /api/goals")
			}
			return nil, invalid(field, "the site has no such goal; there are %s", strings.Join(known, ", "))
		}
		some.of = append(some.of, s.Goals[at].filter())
	}
	if negated {
		return &Filter{join: not, of: []*Filter{some}}, nil
	}
	return some, nil
}

// without is the filter as it were without goals: they select everything.
func (f *Filter) without() *Filter {
	switch {
	case !f.hasGoal():
		return f
	case f.goal || f.join == done:
		return nil
	}
	out := &Filter{join: f.join}
	for _, below := range f.of {
		if b := below.without(); b != nil {
			out.of = append(out.of, b)
		} else if f.join != and {
			return nil
		}
	}
	if len(out.of) == 0 {
		return nil
	}
	return out
}

// hasGoal reports whether goals are asked for.
func (f *Filter) hasGoal() bool {
	if f == nil {
		return false
	}
	return f.goal || slices.ContainsFunc(f.of, (*Filter).hasGoal)
}
