package behavior

import "fmt"

// Direction is where to look from the base.
type Direction uint8

// The directions.
const (
	Forward Direction = iota
	Backward
)

// Base is the event from which to look.
type Base uint8

// The bases.
const (
	Head       Base = iota // the very first event, which has to meet the base condition
	Tail                   // the very last
	FirstMatch             // the first that meets the base condition and the chain's first
	LastMatch              // the last such
)

// Node is one event of a visitor, in the order of its time and then its value.
type Node struct {
	Value uint32 // of what is asked for, as a page: its number
	Mask  uint32 // bit i is set where it meets condition i+1 of the chain
	Base  bool   // it meets the base condition
}

// NextNode tells what came after a chain of events, or before it.
type NextNode struct {
	Direction Direction
	Base      Base
	Chain     int // conditions, 1 to MaxConditions: of events one right after another, from the base on
}

// Validate refuses what has no answer ever.
func (n *NextNode) Validate() error {
	switch {
	case n.Direction == Forward && n.Base == Tail:
		return fmt.Errorf("nothing comes after the last event: ask forward from head, first_match or last_match")
	case n.Direction == Backward && n.Base == Head:
		return fmt.Errorf("nothing comes before the first event: ask backward from tail, first_match or last_match")
	case n.Chain < 1 || n.Chain > MaxConditions:
		return fmt.Errorf("a chain has 1 to %d conditions", MaxConditions)
	}
	return nil
}

// Of returns the value next to the chain; ok is false where there is no chain at
// the base or nothing beside it. Chains elsewhere are not looked for.
func (n *NextNode) Of(nodes []Node) (value uint32, ok bool) {
	at, step := n.At(nodes), 1
	if n.Direction == Backward {
		step = -1
	}
	for condition := range n.Chain {
		if at < 0 || at >= len(nodes) || nodes[at].Mask>>condition&1 == 0 {
			return 0, false
		}
		at += step
	}
	if at < 0 || at >= len(nodes) {
		return 0, false
	}
	return nodes[at].Value, true
}

// At is the index of the base, -1 = there is none.
func (n *NextNode) At(nodes []Node) int {
	first, last := 0, len(nodes)-1
	switch n.Base {
	case Head:
		last = min(last, 0)
	case Tail:
		first = max(first, last)
	}
	found := -1
	for i := first; i <= last; i++ {
		if nodes[i].Base && nodes[i].Mask&1 == 1 {
			if found = i; n.Base == FirstMatch {
				break
			}
		}
	}
	return found
}
