package main

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestCompare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	covered, width := 0, 0.0
	const trials = 200
	for range trials {
		// Rounds drift by half, in pairs; b is 5 % more, with 2 % of noise.
		var a, b []float64
		for range 15 {
			base := 40 * (1 + r.Float64()/2)
			a = append(a, base*(1+0.02*r.NormFloat64()))
			b = append(b, base*1.05*(1+0.02*r.NormFloat64()))
		}
		e := compare(a, b, r)
		if e.low <= 0.05 && 0.05 <= e.high {
			covered++
		}
		width += e.high - e.low
	}
	if covered < trials*85/100 {
		t.Errorf("the interval holds the truth in %d of %d", covered, trials)
	}
	if mean := width / trials; mean > 0.06 {
		t.Errorf("the interval is %.3f wide: the drift is not paired away", mean)
	}
}

func TestJudge(t *testing.T) {
	quiet := effect{0, -0.002, 0.002}
	for _, c := range []struct {
		measured, control effect
		want              string
		drowned           bool
	}{
		{effect{0.02, 0.015, 0.025}, quiet, holds, false},
		{effect{0.05, 0.04, 0.06}, quiet, exceeded, false},
		{effect{0.03, 0.02, 0.04}, quiet, unresolved, false},
		{effect{0.02, 0.015, 0.025}, effect{-0.02, -0.035, -0.01}, unresolved, true},
		{effect{0.001, -0.001, 0.003}, quiet, holds, true},
	} {
		if got := judge(c.measured, c.control, 0.03); got != c.want {
			t.Errorf("%v against %v: %s, want %s", c.measured, c.control, got, c.want)
		}
		if got := drowned(c.measured, c.control); got != c.drowned {
			t.Errorf("%v against %v: drowned %v", c.measured, c.control, got)
		}
	}
}

func TestViewsAreThePagesOfTheList(t *testing.T) {
	for _, m := range mixes {
		list := m.requests("localhost", rand.New(rand.NewPCG(1, 2)))
		for _, n := range []int{0, 1, 9, 10, 11, 999, 1000, 1001, 3000, 3456} {
			want := 0
			for i := range n {
				if bytes.Contains(list[i%len(list)], []byte("Sec-Fetch-Dest: document")) {
					want++
				}
			}
			if got := m.views(n, len(list)); got != want {
				t.Errorf("%s: %d views in %d requests, want %d", m.name, got, n, want)
			}
		}
	}
}
