// Package behavior tells in which order visitors did things: how far they came
// in a funnel, in which periods they were seen again, whether and how often a
// sequence happened, and what came next.
//
// It owns the meaning of these functions, which is ClickHouse's (windowFunnel,
// retention, sequenceMatch, sequenceCount, sequenceMatchEvents and
// sequenceNextNode), and the grammar of patterns. Each is one pass over the
// events of one visitor: a few machine words an event, no SQL, no clock.
//
// It promises results that do not depend on how events of the same moment come
// in, and time that grows with the number of a visitor's events (times its
// logarithm for time gates), also for a visitor with a million of them.
//
// It refuses text: conditions are numbered bits that whoever asks has worked
// out, and a pattern is parsed before any event is looked at.
package behavior

import (
	"cmp"
	"slices"
)

// MaxConditions is how many conditions a question can have: the bits of a mask.
const MaxConditions = 32

// Event is what one event of a visitor means to a question.
type Event struct {
	Time int64  // µs since 1970
	Mask uint32 // bit i is set where the event meets condition i+1
}

// Meets reports whether the event meets a condition, counted from 1.
func (e Event) Meets(condition int) bool { return e.Mask>>(condition-1)&1 == 1 }

// Sort puts the events of one visitor in the order that every function here
// asks for: by time, and events of the same moment by what they meet.
func Sort(events []Event) {
	slices.SortFunc(events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Mask, b.Mask))
	})
}

// Retention tells which of n conditions a visitor retained: bit 0 is set where any
// event meets condition 1, bit i where it is and any event meets condition i+1.
// The order of events does not matter.
func Retention(events []Event) uint32 {
	var all uint32
	for _, e := range events {
		all |= e.Mask
	}
	if all&1 == 0 {
		return 0
	}
	return all
}
