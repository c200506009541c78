package behavior

import (
	"fmt"
	"testing"
)

// One visitor with more and more events: the time of an event has to stay the
// same, whatever the pattern.
func BenchmarkOneVisitor(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		list := make([]Event, n)
		for i := range list {
			list[i] = Event{Time: int64(i) * second, Mask: 1 + uint32(i%3)}
		}
		list[n-1].Mask = 4 // once, at the end
		for _, text := range []string{"(?1).*(?2).*(?3)(?3)", "(?1)(?t>=5)(?t<=100000)(?2)(?t!=7)(?3)(?3)", "(?1)(?t==3)(?2).*(?1)(?t<9)(?3)"} {
			b.Run(fmt.Sprintf("%s/%d", text, n), func(b *testing.B) {
				p, err := ParsePattern(text, 3)
				if err != nil {
					b.Fatal(err)
				}
				s := NewSequence(p)
				for b.Loop() {
					s.Count(list)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
			})
		}
		for _, m := range []Modes{0, StrictOnce, StrictOrder | AllowReentry} {
			b.Run(fmt.Sprintf("funnel %05b/%d", m, n), func(b *testing.B) {
				f := Funnel{Steps: 4, Window: 3600 * second, Modes: m}
				for b.Loop() {
					f.Level(list)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
			})
		}
	}
}
