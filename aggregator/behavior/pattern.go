package behavior

import (
	"fmt"
	"strconv"
	"strings"
)

// Pattern is a parsed pattern of a sequence. It never changes.
//
//	(?2)        an event that meets condition 2
//	.           any event that meets a condition
//	.*          any number of events, as few as possible
//	(?t<=60)    time: an event at most 60 s after the one that was matched last,
//	            with any events before it; it is not used up. Also < >= > == !=,
//	            in whole seconds, rounded down
//
// A pattern may begin and end anywhere among a visitor's events, of which those
// that meet no condition are left out first.
type Pattern struct {
	atoms []atom
	// trailing is what is asked for behind the last atom.
	trailing []gate
}

// atom is what matches one event, with what may lie between it and the atom
// before.
type atom struct {
	condition int  // 0 = any
	apart     bool // there may be events between
	gates     []gate
	open      bool // there may be events between the last gate and the atom
}

// gate is a condition on the seconds since the atom before.
type gate struct {
	op    gateOp
	limit int64 // s
}

type gateOp uint8

const (
	atMost gateOp = iota
	lessThan
	atLeast
	moreThan
	equal
	unequal
)

// The longer ones first: one begins with another.
var gateOps = []struct {
	text string
	op   gateOp
}{{"<=", atMost}, {">=", atLeast}, {"==", equal}, {"!=", unequal}, {"<", lessThan}, {">", moreThan}}

// passes tells of an age in µs.
func (g gate) passes(age int64) bool {
	s := age / 1_000_000
	switch g.op {
	case atMost:
		return s <= g.limit
	case lessThan:
		return s < g.limit
	case atLeast:
		return s >= g.limit
	case moreThan:
		return s > g.limit
	case equal:
		return s == g.limit
	default:
		return s != g.limit
	}
}

// The bounds of patterns, so that nobody asks for the work of thousands.
const (
	maxPattern = 1000 // bytes
	maxGate    = 10 * 366 * 24 * 3600
)

// SyntaxError says where a pattern can't be read, and why.
type SyntaxError struct {
	Offset int // byte in the pattern, from 0
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("at byte %d of the pattern: %s", e.Offset, e.Reason)
}

// ParsePattern reads a pattern about conditions 1 to n. Errors are [*SyntaxError].
func ParsePattern(text string, n int) (*Pattern, error) {
	if len(text) > maxPattern {
		return nil, &SyntaxError{maxPattern, fmt.Sprintf("it is longer than %d bytes", maxPattern)}
	}
	p := parser{text: text, n: n}
	for p.at < len(text) {
		if err := p.action(); err != nil {
			return nil, err
		}
	}
	if !p.numbered {
		return nil, &SyntaxError{len(text), "it has no (?N): write one for a condition that has to be met"}
	}
	p.out.trailing = p.next.gates
	return &p.out, nil
}

type parser struct {
	text     string
	at       int
	n        int
	numbered bool // there is a (?N)
	next     atom // what is between the last atom and the one to come
	out      Pattern
}

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{p.at, fmt.Sprintf(format, args...)}
}

// action reads one element.
func (p *parser) action() error {
	rest := p.text[p.at:]
	switch {
	case strings.HasPrefix(rest, ".*"):
		p.at += 2
		p.next.apart, p.next.open = true, true
	case rest[0] == '.':
		p.at++
		p.add(0)
	case strings.HasPrefix(rest, "(?t"):
		return p.gate()
	case strings.HasPrefix(rest, "(?"):
		digits, _, ok := strings.Cut(rest[len("(?"):], ")")
		if !ok {
			return p.fail("a ) is missing")
		}
		c, err := strconv.Atoi(digits)
		if err != nil || c < 1 || c > p.n || digits[0] == '+' {
			return p.fail("(?%s) is no condition: there are 1 to %d", digits, p.n)
		}
		p.at += len("(?") + len(digits) + len(")")
		p.numbered = true
		p.add(c)
	default:
		return p.fail("want (?N), ., .* or (?t op seconds)")
	}
	return nil
}

// add ends what is between two atoms. Before the first one anything may be.
func (p *parser) add(condition int) {
	p.next.condition = condition
	p.out.atoms = append(p.out.atoms, p.next)
	p.next = atom{}
}

// gate reads a condition on time.
func (p *parser) gate() error {
	if len(p.out.atoms) == 0 {
		return p.fail("time is counted from an event: write a (?N) or . before it")
	}
	text, _, ok := strings.Cut(p.text[p.at+len("(?t"):], ")")
	if !ok {
		return p.fail("a ) is missing")
	}
	for _, o := range gateOps {
		digits, is := strings.CutPrefix(text, o.text)
		if !is {
			continue
		}
		limit, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || limit > maxGate {
			return p.fail("%q is no number of seconds from 0 to %d", digits, maxGate)
		}
		p.at += len("(?t") + len(text) + len(")")
		p.next.gates = append(p.next.gates, gate{o.op, int64(limit)})
		p.next.apart, p.next.open = true, false
		return nil
	}
	return p.fail("want one of <= < >= > == != behind (?t")
}

// Conditions are those of the pattern's (?N), in their order.
func (p *Pattern) Conditions() []int {
	var list []int
	for i := range p.atoms {
		if c := p.atoms[i].condition; c > 0 {
			list = append(list, c)
		}
	}
	return list
}
