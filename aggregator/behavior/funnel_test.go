package behavior

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const second = 1_000_000

// events reads "1@0 23@5 .@7": conditions met, at a second.
func events(t testing.TB, text string) []Event {
	t.Helper()
	var list []Event
	for word := range strings.FieldsSeq(text) {
		met, at, _ := strings.Cut(word, "@")
		var e Event
		for _, c := range met {
			if c != '.' {
				e.Mask |= 1 << (c - '1')
			}
		}
		d, err := time.ParseDuration(at + "s")
		if err != nil {
			t.Fatal(err)
		}
		e.Time = d.Microseconds()
		list = append(list, e)
	}
	Sort(list)
	return list
}

func TestFunnel(t *testing.T) {
	for _, c := range []struct {
		events string
		modes  string
		want   int
	}{
		{"", "", 0},
		{"2@0 3@1", "", 0},
		{"1@0 2@5 3@10", "", 3},
		{"1@0 3@5 2@10", "", 2},
		{"1@0 2@5 3@11", "", 2},                 // 10 s, counted from the first step
		{"1@0 1@4 2@5 3@11", "", 3},             // which is the latest one
		{"1@0 2@3 1@9 3@10", "", 3},             // of the way that got there
		{"1@0 2@3 1@9 3@11", "", 2},             // and not of a later one that did not
		{"123@0", "", 3},                        // one event can be several steps
		{"123@0", "strict_once", 1},             // or only one
		{"123@0 123@0 123@1", "strict_once", 3}, // of events of one moment each has its own
		{"12@0 23@5", "strict_once", 2},
		{"12@0 1@0 23@5", "strict_once", 3},
		{"1@0 23@0 12@0", "strict_once", 3},
		{"1@0 2@0 3@0", "strict_increase", 1},
		{"1@0 2@1 3@2", "strict_increase", 3},
		{"1@0 .@1 2@2 3@3", "strict_order", 1},
		{".@0 1@1 2@2 3@3", "strict_order", 3},
		{"1@0 3@1 2@2 3@3", "strict_order", 1},
		{"1@0 3@1 2@2 3@3", "strict_order,allow_reentry", 3},
		{"1@0 2@1 2@2 3@3", "strict_deduplication", 2},
		{"1@0 1@1 2@2 3@3", "strict_deduplication", 3}, // the first step may happen again
		{"1@0 2@1 2@2 3@3", "", 3},
	} {
		m, err := ParseModes(c.modes)
		if err != nil {
			t.Fatal(err)
		}
		f := Funnel{Steps: 3, Window: 10 * second, Modes: m}
		if got := f.Level(events(t, c.events)); got != c.want {
			t.Errorf("%s (%s): level %d, want %d", c.events, c.modes, got, c.want)
		}
	}
}

func TestModesThatAreNone(t *testing.T) {
	for _, bad := range []string{"strict", "strict_order,", "allow_reentry", ","} {
		if _, err := ParseModes(bad); err == nil || !strings.Contains(err.Error(), "strict_order") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// entry is one step that one event can be.
type entry struct {
	at, event int64
	step      int // from 0; -1 = none
}

// chain is one way through the first steps.
type chain struct {
	began, last int64
	used        []int64
}

// levelNaively keeps every way there is, with the events that it is made of.
func levelNaively(f *Funnel, list []Event) int {
	m := f.Modes
	var entries []entry
	for i, e := range list {
		any := false
		for k := range f.Steps {
			if e.Meets(k + 1) {
				any = true
				entries = append(entries, entry{e.Time, int64(i), k})
			}
		}
		if !any {
			entries = append(entries, entry{e.Time, int64(i), -1})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.step - b.step
	})
	ways := make([][]chain, f.Steps)
	level := func() int {
		n := 0
		for n < f.Steps && len(ways[n]) > 0 {
			n++
		}
		return n
	}
	for i, e := range entries {
		started := len(ways[0]) > 0
		// Of one step and moment, those that reach it come first.
		first := i == 0 || entries[i-1].at != e.at || entries[i-1].step != e.step
		last := i == len(entries)-1 || entries[i+1].at != e.at || entries[i+1].step != e.step
		switch {
		case e.step < 0:
			if m&StrictOrder != 0 && started {
				return level()
			}
			continue
		case e.step == 0:
			if m&StrictOnce == 0 {
				ways[0] = nil // the latest alone
			}
			ways[0] = append(ways[0], chain{e.at, e.at, []int64{e.event}})
			continue
		case m&StrictDeduplication != 0 && len(ways[e.step]) > 0 && first:
			return level()
		case len(ways[e.step-1]) == 0:
			if m&StrictOrder != 0 && m&AllowReentry == 0 && started {
				return level()
			}
			continue
		}
		var more []chain
		for _, c := range ways[e.step-1] {
			if e.at-c.began > f.Window || m&StrictIncrease != 0 && c.last >= e.at || m&StrictOnce != 0 && slices.Contains(c.used, e.event) {
				continue
			}
			more = append(more, chain{c.began, e.at, append(slices.Clone(c.used), e.event)})
		}
		if m&StrictOnce == 0 && len(more) > 0 {
			ways[e.step] = nil
		}
		ways[e.step] = append(ways[e.step], more...)
		if m&StrictDeduplication != 0 && !first && last && len(ways[e.step]) > 0 {
			return level()
		}
	}
	return level()
}

// random draws a group with ties and events that meet several conditions.
func random(r *rand.Rand, conditions int) []Event {
	list := make([]Event, r.IntN(12))
	for i := range list {
		list[i].Time = int64(r.IntN(15)) * second / int64(1+r.IntN(2))
		for range r.IntN(4) {
			list[i].Mask |= 1 << r.IntN(conditions)
		}
	}
	Sort(list)
	return list
}

func seeded(t testing.TB) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

func TestFunnelAsEveryWayKept(t *testing.T) {
	r := seeded(t)
	levels := map[int]int{}
	for range 60_000 {
		f := Funnel{Steps: 1 + r.IntN(4), Window: int64(r.IntN(12)) * second, Modes: Modes(r.IntN(32))}
		list := random(r, f.Steps)
		got, want := f.Level(list), levelNaively(&f, list)
		if got != want {
			t.Fatalf("%+v of %v: level %d, want %d", f, list, got, want)
		}
		levels[got]++
	}
	for l := range 5 {
		if levels[l] == 0 {
			t.Errorf("no visitor reached level %d", l)
		}
	}
}

func TestRetention(t *testing.T) {
	for text, want := range map[string]uint32{"": 0, "2@0 3@1": 0, "3@0 1@1": 0b101, "1@0": 1, "123@5 .@6": 0b111} {
		if got := Retention(events(t, text)); got != want {
			t.Errorf("%q: %b, want %b", text, got, want)
		}
	}
}
