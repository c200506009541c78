package behavior

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestSequence(t *testing.T) {
	for _, c := range []struct {
		pattern, events string
		count           int
		times           string // of the first match, in seconds, or of as much of it as there is
	}{
		{"(?1)(?2)", "1@0 2@1", 1, "0 1"},
		{"(?1)(?2)", "1@0 .@1 2@2", 1, "0 2"}, // what meets nothing is no event
		{"(?1)(?2)", "1@0 3@1 2@2", 0, "0"},
		{"(?1).*(?2)", "1@0 3@1 2@2", 1, "0 2"},
		{"(?1).(?2)", "1@0 3@1 2@2", 1, "0 2"},
		{"(?1)(?2)", "1@0 1@1 2@2 1@3 2@4", 2, "1 2"},
		{"(?1).*(?2)", "1@0 1@1 2@2 1@3 2@4", 2, "0 2"}, // as early as possible
		{"(?1)(?t<=60)(?2)", "1@0 3@10 2@60.9", 1, "0 60.9"},
		{"(?1)(?t<=60)(?2)", "1@0 3@10 2@61", 0, "0"},
		{"(?1)(?t<60)(?2)", "1@0 1@5 2@60.5", 1, "5 60.5"},
		{"(?1)(?t>=10)(?2)", "1@0 2@5 2@10", 1, "0 10"},
		{"(?1)(?t>10)(?2)", "1@0 2@10.9 2@11", 1, "0 11"},
		{"(?1)(?t==10)(?2)", "1@0 2@9 2@10.2 2@11", 1, "0 10.2"},
		{"(?1)(?t!=10)(?2)", "1@0 2@10 2@11", 1, "0 11"},
		{"(?1)(?t>=10)(?t<=20)(?2)", "1@0 2@5 2@15 1@30 2@51", 1, "0 15"},
		{"(?1)(?t>=10)(?2)(?t<=5)(?3)", "1@0 2@10 2@20 3@24", 1, "0 20 24"}, // counted from the event before
		{"(?1)(?t<=5).*(?2)", "1@0 3@5 2@100", 1, "0 100"},                  // some event in time, then whenever
		{"(?1)(?t<=5).*(?2)", "1@0 3@6 2@100", 0, "0"},
		{"(?1)(?t>=10)", "1@0 2@10", 1, "0"},
		{"(?1)(?t>=10)", "1@0 2@9", 0, "0"},
		{"(?1)(?2)(?3)", "1@0 2@1 1@2 2@3 1@5", 0, "0 1"},
		{"(?1)", "2@0", 0, ""},
		{"(?1)", "", 0, ""},
		{"(?2)(?1)", "12@0 12@0", 1, "0 0"},
	} {
		p, err := ParsePattern(c.pattern, 3)
		if err != nil {
			t.Fatal(err)
		}
		s := NewSequence(p)
		list := events(t, c.events)
		if got := s.Count(list); got != c.count {
			t.Errorf("%s in %s: %d matches, want %d", c.pattern, c.events, got, c.count)
		}
		if got := s.Match(list); got != (c.count > 0) {
			t.Errorf("%s in %s: match %t", c.pattern, c.events, got)
		}
		var times []string
		for _, at := range s.Times(list) {
			times = append(times, fmt.Sprint(float64(at)/second))
		}
		if got := strings.Join(times, " "); got != c.times {
			t.Errorf("%s in %s: times %q, want %q", c.pattern, c.events, got, c.times)
		}
	}
}

func TestPatternsThatAreNone(t *testing.T) {
	for _, c := range []struct {
		pattern, want string
	}{
		{"", "at byte 0 of the pattern: it has no (?N)"},
		{".*", "at byte 2"},
		{"(?1)x", "at byte 4 of the pattern: want (?N)"},
		{"(?4)", "at byte 0 of the pattern: (?4) is no condition: there are 1 to 3"},
		{"(?0)", "is no condition"},
		{"(?)", "is no condition"},
		{"(?+1)", "is no condition"},
		{"(?-1)", "is no condition"},
		{"(?1", "a ) is missing"},
		{"(?1)(?t<5", "at byte 4 of the pattern: a ) is missing"},
		{"(?t>5)(?1)", "write a (?N) or . before it"},
		{"(?1)(?t=5)(?2)", "want one of <= < >= > == !="},
		{"(?1)(?t>-5)(?2)", `"-5" is no number of seconds`},
		{"(?1)(?t>99999999999999999999)(?2)", "is no number of seconds"},
		{strings.Repeat("(?1)", 251), "longer than 1000 bytes"},
	} {
		_, err := ParsePattern(c.pattern, 3)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %v, want %q", c.pattern, err, c.want)
		}
	}
}

// action is one element of a pattern, for the search with backtracking.
type action struct {
	kind      byte // '?', '.', '*', 't'
	condition int
	gate      gate
}

func (a action) String() string {
	switch a.kind {
	case '?':
		return fmt.Sprintf("(?%d)", a.condition)
	case '*':
		return ".*"
	case 't':
		for _, o := range gateOps {
			if o.op == a.gate.op {
				return fmt.Sprintf("(?t%s%d)", o.text, a.gate.limit)
			}
		}
	}
	return "."
}

// search tries one way after another, as ClickHouse does, and returns where each
// atom matched, and where the next search begins.
func search(actions []action, list []Event, at, anchor int) (matched []int, next int, ok bool) {
	if len(actions) == 0 {
		return nil, at, true
	}
	a, rest := actions[0], actions[1:]
	switch a.kind {
	case '?', '.':
		if at < len(list) && (a.kind == '.' || list[at].Meets(a.condition)) {
			if matched, next, ok = search(rest, list, at+1, at); ok {
				return append([]int{at}, matched...), next, true
			}
		}
		return nil, 0, false
	}
	for p := at; p <= len(list); p++ {
		if a.kind == 't' && (p == len(list) || !a.gate.passes(list[p].Time-list[anchor].Time)) {
			continue
		}
		if matched, next, ok = search(rest, list, p, anchor); ok {
			return matched, next, true
		}
	}
	return nil, 0, false
}

func randomPattern(r *rand.Rand) []action {
	var list []action
	for len(list) == 0 || r.IntN(4) > 0 {
		switch k := r.IntN(8); {
		case k < 4:
			list = append(list, action{kind: '?', condition: 1 + r.IntN(3)})
		case k == 4:
			list = append(list, action{kind: '.'})
		case k == 5:
			list = append(list, action{kind: '*'})
		case len(list) > 0:
			list = append(list, action{kind: 't', gate: gate{gateOp(r.IntN(6)), int64(r.IntN(8))}})
		}
	}
	return list
}

func TestSequenceAsSearchedWithBacktracking(t *testing.T) {
	r := seeded(t)
	matches := map[int]int{}
	for range 60_000 {
		actions := randomPattern(r)
		var text strings.Builder
		for _, a := range actions {
			text.WriteString(a.String())
		}
		p, err := ParsePattern(text.String(), 3)
		if err != nil {
			continue // time without an event before it, or nothing numbered
		}
		list := random(r, 3)
		met := slices.DeleteFunc(slices.Clone(list), func(e Event) bool { return e.Mask == 0 })
		anywhere := append([]action{{kind: '*'}}, actions...)
		count := 0
		for at := 0; ; count++ {
			_, next, ok := search(anywhere, met, at, 0)
			if !ok {
				break
			}
			at = next
		}
		s := NewSequence(p)
		if got := s.Count(list); got != count || s.Match(list) != (count > 0) {
			t.Fatalf("%s in %v: %d matches, want %d", &text, met, got, count)
		}
		matches[min(count, 2)]++
		if got, want := s.Times(list), timesNaively(anywhere, met); !slices.Equal(got, want) {
			t.Fatalf("%s in %v: times %v, want %v", &text, met, got, want)
		}
	}
	for n := range 3 {
		if matches[n] < 1000 {
			t.Errorf("%d visitors have %d matches", matches[n], n)
		}
	}
}

// timesNaively takes atoms off the end until the rest is found.
func timesNaively(actions []action, list []Event) []int64 {
	for n := len(actions); n > 0; n-- {
		if kind := actions[n-1].kind; n < len(actions) && kind != '?' && kind != '.' {
			continue
		}
		matched, _, ok := search(actions[:n], list, 0, 0)
		if !ok {
			continue
		}
		var times []int64
		for _, a := range actions[:n] {
			if a.kind == '?' {
				times = append(times, list[matched[0]].Time)
			}
			if a.kind == '?' || a.kind == '.' {
				matched = matched[1:]
			}
		}
		return times
	}
	return nil
}

func FuzzParsePattern(f *testing.F) {
	f.Add("(?1).*(?t<=60)(?2)(?t!=5).(?3)")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePattern(text, 3)
		if err != nil {
			return
		}
		s := NewSequence(p)
		list := []Event{{0, 1}, {1, 7}, {70 * second, 2}, {75 * second, 4}}
		if (s.Count(list) > 0) != s.Match(list) {
			t.Errorf("%q: counted and found differ", text)
		}
		s.Times(list)
	})
}
