package stats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Condition is what one event has to be: a step of a funnel, a page that is come
// from, a conversion.
type Condition struct {
	text   string // as it was asked for
	filter *Filter
}

// String is the condition as it was asked for.
func (c *Condition) String() string { return c.text }

// maxConditionParts bounds the comparisons of a question's conditions: each costs
// time on every row. A page is two.
const maxConditionParts = 100

// shortKinds are what the short form can begin with, and the dimension that each
// is about.
var shortKinds = []struct{ kind, dimension string }{
	{"page", "pages"},
	{"event", "events"},
	{"hostname", "hostnames"},
	{"tag", "tags"},
	{"country", "countries"},
	{"browser", "browsers"},
	{"os", "os"},
	{"device", "devices"},
}

func kindNames() string {
	var names []string
	for _, k := range shortKinds {
		names = append(names, k.kind)
	}
	return strings.Join(names, ", ") + ", prop, goal"
}

// parseConditions reads a list of least to most conditions:
//
//	page:/pricing,event:signup,prop:plan=pro
//	[{"kind":"page","op":"is","value":"/pricing"},["matches","event:page",["^/docs"]]]
//
// In the short form * stands for anything but a slash and ** for anything; a
// backslash takes the meaning of a comma or backslash after it away.
func (s *Site) parseConditions(field, text string, least, most int) ([]Condition, error) {
	if !utf8.ValidString(text) {
		return nil, invalid(field, "is not UTF-8")
	}
	amount := invalid(field, "must be %d to %d conditions with commas between them, like page:/pricing,event:signup", least, most)
	var parts []string // of the short form
	var list []Condition
	var err error
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		list, err = s.conditionsOfJSON(field, text, most)
	} else if text != "" {
		parts = splitAt(text, ',')
	}
	if len(parts) > most {
		return nil, amount
	}
	for i, part := range parts {
		c, err := s.shortCondition(fmt.Sprintf("%s[%d]", field, i), part)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if err != nil {
		return nil, err
	}
	if len(list) < least {
		return nil, amount
	}
	comparisons := 0
	for i := range list {
		list[i].filter.each(func(*comparison) { comparisons++ })
	}
	if comparisons > maxConditionParts {
		return nil, invalid(field, "at most %d comparisons are allowed in all of them", maxConditionParts)
	}
	return list, nil
}

// parseCondition reads a single one, of either form.
func (s *Site) parseCondition(field, text string) (Condition, error) {
	list, err := s.parseConditions(field, text, 1, 1)
	if err != nil {
		return Condition{}, err
	}
	return list[0], nil
}

func (s *Site) shortCondition(field, text string) (Condition, error) {
	kind, value, ok := strings.Cut(text, ":")
	if !ok {
		return Condition{}, invalid(field, "must be kind:value; kinds are %s", kindNames())
	}
	key := ""
	if kind == "prop" {
		if key, value, ok = strings.Cut(value, "="); !ok {
			return Condition{}, invalid(field, "must be prop:key=value")
		}
	}
	return s.condition(field, text, kind, key, wildcardIn(value), value)
}

// wildcardIn is the operator that a value without one asks for.
func wildcardIn(value string) string {
	if strings.Contains(value, "*") {
		return "matches_wildcard"
	}
	return "is"
}

// conditionsOfJSON reads a list of objects, or of filters as questions have them.
func (s *Site) conditionsOfJSON(field, text string, most int) ([]Condition, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return nil, invalid(field, "must be a list of conditions, like [{\"kind\":\"page\",\"op\":\"is\",\"value\":\"/pricing\"}]")
	}
	if len(parts) > most {
		return nil, invalid(field, "must be at most %d conditions", most)
	}
	var list []Condition
	for i, part := range parts {
		c, err := s.conditionOfJSON(fmt.Sprintf("%s[%d]", field, i), part)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (s *Site) conditionOfJSON(field string, part json.RawMessage) (Condition, error) {
	if bytes.HasPrefix(bytes.TrimSpace(part), []byte("[")) {
		r := filterReader{site: s}
		f, err := r.filter(field, part, 1)
		if err == nil && len(f.doing(nil)) > 0 {
			err = invalid(field, "a step is one event: has_done asks for others, and stands among filters")
		}
		return Condition{text: string(part), filter: f}, err
	}
	var object struct {
		Kind  string  `json:"kind"`
		Key   string  `json:"key"`
		Op    string  `json:"op"`
		Value *string `json:"value"`
	}
	d := json.NewDecoder(bytes.NewReader(part))
	d.DisallowUnknownFields()
	if err := d.Decode(&object); err != nil || object.Value == nil {
		return Condition{}, invalid(field, "must be {\"kind\", \"op\", \"value\"}, of a property also \"key\"")
	}
	text := object.Kind + ":" + *object.Value
	switch {
	case object.Kind == "prop" || object.Kind == "property":
		object.Kind, text = "prop", "prop:"+object.Key+"="+*object.Value
	case object.Key != "":
		return Condition{}, invalid(field+".key", "only a property has a key")
	}
	if object.Op == "" {
		object.Op = wildcardIn(*object.Value)
	}
	return s.condition(field, text, object.Kind, object.Key, object.Op, *object.Value)
}

// condition makes one of its parts.
func (s *Site) condition(field, text, kind, key, op, value string) (Condition, error) {
	if kind == "goal" {
		f, err := s.goalFilter(field, is, false, []string{value})
		if err == nil && op == "is_not" {
			f = &Filter{join: not, of: []*Filter{f}}
		}
		return Condition{text, f}, err
	}
	name := ""
	for _, k := range shortKinds {
		if k.kind == kind {
			name = k.dimension
		}
	}
	if kind == "prop" {
		name = propPrefix + key
	}
	if name == "" {
		return Condition{}, invalid(field, "unknown kind; there are %s", kindNames())
	}
	// It is read as the filter that it is.
	parts := make([]json.RawMessage, 3)
	for i, part := range []any{op, name, []string{value}} {
		var err error
		if parts[i], err = json.Marshal(part); err != nil {
			return Condition{}, invalid(field, "can't be read: %s", err)
		}
	}
	if joined := slices.Contains(joints, op); joined {
		return Condition{}, invalid(field, "the operator must be a comparison")
	}
	whole, err := json.Marshal(parts)
	if err != nil {
		return Condition{}, invalid(field, "can't be read: %s", err)
	}
	r := filterReader{site: s}
	f, err := r.filter(field, whole, 1)
	if err == nil {
		f.each((*comparison).simplify)
	}
	if err == nil && kind == "page" { // custom events have a page, too
		f = both(f, &Filter{join: not, of: []*Filter{isAction()}})
	}
	return Condition{text, f}, err
}

// simplify takes most wildcards for the beginning of a text that they are: a
// regular expression costs several times as much, on every row.
func (c *comparison) simplify() {
	if c.operator != wildcard || c.folded || len(c.values) != 1 {
		return
	}
	if text, ok := strings.CutSuffix(*c.values[0], "**"); ok && !strings.Contains(text, "*") {
		c.operator, c.values = prefix, []*string{&text}
	}
}

// pageCondition is the condition to see a page.
func (s *Site) pageCondition(field, page string) (Condition, error) {
	if !utf8.ValidString(page) {
		return Condition{}, invalid(field, "is not UTF-8")
	}
	c, err := s.condition(field, "page:"+page, "page", "", wildcardIn(page), page)
	c.text = page
	return c, err
}

// splitAt divides at a separator, which may stand behind a backslash. That is
// taken away then.
func splitAt(text string, at byte) []string {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == at || text[i+1] == '\\'):
			i++
			part.WriteByte(text[i])
		case c == at:
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	return append(parts, part.String())
}
