package behavior

import "sort"

// Sequence looks for a pattern in the events of one visitor after another. It is
// for one goroutine: it uses its memory again.
//
// For each atom, from the last one back, it works out at which events the rest of
// the pattern can be completed; where the next of them is can then be looked up.
// What may lie between two atoms is a span of events in any case, so that no way
// has to be tried twice. Of several matches it takes the one that a search with
// backtracking would come upon: each atom as early as possible, the first first.
type Sequence struct {
	p      *Pattern
	events []Event   // those that meet a condition
	next   [][]int32 // by atom: the first event from there on that completes; len(events) = none
}

// NewSequence makes one for a pattern.
func NewSequence(p *Pattern) *Sequence { return &Sequence{p: p, next: make([][]int32, len(p.atoms))} }

// Match reports whether the events, in the order of [Sort], have the sequence.
func (s *Sequence) Match(events []Event) bool { return s.find(events, s.whole()) }

// whole is all atoms, and what is asked for behind them.
func (s *Sequence) whole() int { return len(s.p.atoms) + 1 }

// Count tells how often they have it: from left to right, none within another.
func (s *Sequence) Count(events []Event) int {
	count := 0
	s.find(events, s.whole())
	for at := int(s.next[0][0]); at < len(s.events); at = int(s.next[0][at]) {
		count++
		for j := 1; j < len(s.p.atoms); j++ {
			at, _ = s.after(j, at)
		}
		at, _ = s.ends(at)
	}
	return count
}

// Times are those of the first match's (?N), or where there is none of the most
// atoms, from the pattern's first on, that match. µs since 1970.
func (s *Sequence) Times(events []Event) []int64 {
	n := s.whole()
	if !s.find(events, n) {
		// What a longer beginning of the pattern finds, a shorter one does, too.
		n = sort.Search(n-1, func(n int) bool { return !s.find(events, n+1) })
		if n == 0 {
			return nil
		}
		s.find(events, n)
	}
	var times []int64
	at := int(s.next[0][0])
	for j := range min(n, len(s.p.atoms)) {
		if j > 0 {
			at, _ = s.after(j, at)
		}
		if s.p.atoms[j].condition > 0 {
			times = append(times, s.events[at].Time)
		}
	}
	return times
}

// find works out where the first n atoms of the pattern can be completed, and
// reports whether they can anywhere.
func (s *Sequence) find(events []Event, n int) bool {
	s.events = s.events[:0]
	for _, e := range events {
		if e.Mask != 0 {
			s.events = append(s.events, e)
		}
	}
	for j := min(n, len(s.p.atoms)) - 1; j >= 0; j-- {
		if cap(s.next[j]) <= len(s.events) {
			s.next[j] = make([]int32, len(s.events)+len(s.events)/2+1)
		}
		s.next[j] = s.next[j][:len(s.events)+1]
		s.next[j][len(s.events)] = int32(len(s.events))
		for at := len(s.events) - 1; at >= 0; at-- {
			s.next[j][at] = s.next[j][at+1]
			if s.completes(j, at, n) {
				s.next[j][at] = int32(at)
			}
		}
	}
	return int(s.next[0][0]) < len(s.events)
}

// completes reports whether atom j can be the event, and the others of the first
// n come after it.
func (s *Sequence) completes(j, at, n int) (ok bool) {
	if c := s.p.atoms[j].condition; c > 0 && !s.events[at].Meets(c) {
		return false
	}
	switch {
	case j < min(n, len(s.p.atoms))-1:
		_, ok = s.after(j+1, at)
		return ok
	case n == s.whole():
		_, ok = s.ends(at)
		return ok
	}
	return true
}

// after finds the first event that atom j can be, and the rest be completed, if
// the atom before it is the event at anchor.
func (s *Sequence) after(j, anchor int) (int, bool) {
	a := &s.p.atoms[j]
	at := anchor + 1
	if !a.apart {
		return at, at < len(s.events) && int(s.next[j][at]) == at
	}
	gates := a.gates
	var last *gate // what the atom itself has to pass
	if !a.open && len(gates) > 0 {
		gates, last = gates[:len(gates)-1], &gates[len(gates)-1]
	}
	at, ok := s.through(gates, anchor, at)
	for ok {
		if last != nil {
			if at, ok = s.pass(*last, anchor, at); !ok {
				break
			}
		}
		at = int(s.next[j][at])
		if at == len(s.events) {
			break
		}
		if last == nil || last.passes(s.events[at].Time-s.events[anchor].Time) {
			return at, true
		}
	}
	return len(s.events), false
}

// ends finds where the next match may begin, if the last atom is the event at
// anchor: behind it, or at the event that its gates found.
func (s *Sequence) ends(anchor int) (int, bool) {
	return s.through(s.p.trailing, anchor, anchor+1)
}

// through finds the first event at which each gate has been passed, one after
// another, from an event on.
func (s *Sequence) through(gates []gate, anchor, from int) (at int, ok bool) {
	at, ok = from, true
	for i := 0; i < len(gates) && ok; i++ {
		at, ok = s.pass(gates[i], anchor, at)
	}
	return at, ok
}

// pass finds the first event from an event on at which a gate lets through.
func (s *Sequence) pass(g gate, anchor, from int) (int, bool) {
	age := func(at int) int64 { return s.events[at].Time - s.events[anchor].Time }
	if from < len(s.events) && g.passes(age(from)) {
		return from, true
	}
	// Ages only grow: what is too old stays so.
	least := g.limit
	switch g.op {
	case atMost, lessThan:
		return len(s.events), false
	case moreThan, unequal:
		least++
	}
	at := from + sort.Search(len(s.events)-from, func(i int) bool { return age(from+i)/1_000_000 >= least })
	return at, at < len(s.events) && g.passes(age(at))
}
