package behavior

import (
	"fmt"
	"math/bits"
	"strings"
)

// Modes narrow what counts as going through a funnel. They combine.
type Modes uint8

// The modes, named as ClickHouse names them.
const (
	// StrictDeduplication: a step that was reached and happens again ends it.
	StrictDeduplication Modes = 1 << iota
	// StrictOrder: after the first step, an event that is no step, or a step
	// that comes before the one ahead of it, ends it.
	StrictOrder
	// AllowReentry: with StrictOrder, a step that comes too early is skipped.
	AllowReentry
	// StrictIncrease: each step is later than the one before, not at the same
	// moment.
	StrictIncrease
	// StrictOnce: one event is one step of a way through, however many
	// conditions it meets.
	StrictOnce
)

var modeNames = []string{"strict_deduplication", "strict_order", "allow_reentry", "strict_increase", "strict_once"}

// ParseModes reads names with commas between them; "" is none.
func ParseModes(text string) (Modes, error) {
	var m Modes
	if text == "" {
		return 0, nil
	}
next:
	for name := range strings.SplitSeq(text, ",") {
		for i, known := range modeNames {
			if strings.TrimSpace(name) == known {
				m |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("unknown mode %q: want one or more of %s", name, strings.Join(modeNames, ", "))
	}
	if m&AllowReentry != 0 && m&StrictOrder == 0 {
		return 0, fmt.Errorf("%s means something with %s only", modeNames[2], modeNames[1])
	}
	return m, nil
}

// Funnel is the way through steps, each of them the condition of its number.
type Funnel struct {
	Steps  int   // 1 to MaxConditions
	Window int64 // µs, from the first step to the last, included
	Modes  Modes
}

// Level is the highest step that a visitor reached in time, 0 = not even the
// first. The events are in the order of [Sort].
//
// An event is one entry for each step whose condition it meets. Entries come by
// time and then by step. The first step keeps its latest time; a step is reached
// where the one before it is, and takes over from it when the way began. The
// latest beginning is the best, so that one a step is all there is to remember.
func (f *Funnel) Level(events []Event) int {
	level, _ := f.Reach(events)
	return level
}

// Reach is [Funnel.Level] with how long it took from the first step to each of
// those reached, the first time that it was. µs.
func (f *Funnel) Reach(events []Event) (level int, took [MaxConditions]int64) {
	w := &way{f: f}
	for i := 0; i < len(events); {
		end := i + 1
		for end < len(events) && events[end].Time == events[i].Time {
			end++
		}
		if w.moment(events[i:end]) {
			break
		}
		i = end
	}
	return w.level, w.took
}

// way is how far a visitor has come.
type way struct {
	f     *Funnel
	level int
	began [MaxConditions]int64 // of each step that is reached: when the best way to it began
	last  [MaxConditions]int64 // and when it was reached on that way
	took  [MaxConditions]int64 // of each: how long it took when it was reached first
}

// moment takes the events of one moment, and reports whether nothing that comes
// later can change the level. Of entries of one step those that reach it come
// first, and what is no step comes before all.
func (w *way) moment(events []Event) bool {
	var entries [MaxConditions]int // of each step
	steps := ^uint32(0) >> (MaxConditions - w.f.Steps)
	for _, e := range events {
		if e.Mask&steps == 0 && w.level > 0 && w.f.Modes&StrictOrder != 0 {
			return true
		}
		for rest := e.Mask & steps; rest != 0; rest &= rest - 1 {
			entries[bits.TrailingZeros32(rest)]++
		}
	}
	before := *w
	var far [MaxConditions]int
	if w.f.Modes&StrictOnce != 0 {
		far = w.far(events)
	}
	for k := range w.f.Steps {
		if entries[k] == 0 {
			continue
		}
		if w.stops(k) {
			return true
		}
		if w.f.Modes&StrictOnce != 0 {
			w.stepOnce(k, events[0].Time, &far, &before)
		} else {
			w.step(k, events[0].Time, k, w)
		}
		if entries[k] > 1 && w.stops(k) {
			return true
		}
	}
	return w.level == w.f.Steps
}

// stops reports whether an entry of step k, counted from 0, ends the way.
func (w *way) stops(k int) bool {
	switch m := w.f.Modes; {
	case k == 0:
		return false
	case m&StrictDeduplication != 0 && k < w.level:
		return true
	default: // the step before it is not reached
		return m&StrictOrder != 0 && m&AllowReentry == 0 && w.level > 0 && k > w.level
	}
}

// step goes to step k, counted from 0, at a moment, if it can: on the way that had
// come through the first i steps.
func (w *way) step(k int, at int64, i int, from *way) {
	began := at
	if i > 0 {
		began = from.began[i-1]
		if from.level < i || at-began > w.f.Window || w.f.Modes&StrictIncrease != 0 && from.last[i-1] >= at {
			return
		}
	}
	w.began[k], w.last[k] = began, at
	if k >= w.level {
		w.level, w.took[k] = k+1, at-began
	}
}

// stepOnce is step where one event is one step: on a way that had come through
// some steps before the moment, and goes on by other events of the moment. The
// fewer it had come through, the later it began, so the first is the best.
func (w *way) stepOnce(k int, at int64, far *[MaxConditions]int, before *way) {
	for i := range min(k, before.level) + 1 {
		if i+far[i] > k {
			w.step(k, at, i, before)
			return
		}
	}
}

// far tells from each step on, counted from 0, how many steps in a row can each
// have an event of their own among those of a moment: one, if steps have to
// increase.
func (w *way) far(events []Event) (far [MaxConditions]int) {
	if len(events) == 1 || w.f.Modes&StrictIncrease != 0 {
		for _, e := range events {
			for rest := e.Mask; rest != 0; rest &= rest - 1 {
				far[bits.TrailingZeros32(rest)] = 1
			}
		}
		return far
	}
	m := matching{events: candidates(events, w.f.Steps)}
	for i := range min(w.level+1, w.f.Steps) {
		m.clear()
		for i+far[i] < w.f.Steps && m.assign(i+far[i]+1) {
			far[i]++
		}
	}
	return far
}

// candidates are as many events for each step as there are steps: with more, no
// step would find more of its own.
func candidates(events []Event, steps int) []Event {
	if len(events) <= steps {
		return events
	}
	var of [MaxConditions]int
	var list []Event
	for _, e := range events {
		wanted := false
		for k := range steps {
			if e.Meets(k+1) && of[k] < steps {
				of[k]++
				wanted = true
			}
		}
		if wanted {
			list = append(list, e)
		}
	}
	return list
}

// matching gives each step an event of its own, by augmenting paths (Kuhn).
type matching struct {
	events []Event
	step   []int // that has the event, counted from 1; 0 = none
	seen   []bool
}

func (m *matching) clear() {
	m.step, m.seen = make([]int, len(m.events)), make([]bool, len(m.events))
}

// assign gives one more step an event, and others another one if need be. It
// reports whether that is possible.
func (m *matching) assign(step int) bool {
	clear(m.seen)
	return m.find(step)
}

func (m *matching) find(step int) bool {
	for i, e := range m.events {
		if m.seen[i] || !e.Meets(step) {
			continue
		}
		m.seen[i] = true
		if m.step[i] == 0 || m.find(m.step[i]) {
			m.step[i] = step
			return true
		}
	}
	return false
}
