package main

import (
	"math/rand/v2"
	"slices"
)

// effect is a relative change with its 95 % interval: 0.02 is two per cent
// more.
type effect struct {
	change, low, high float64
}

// resamples of the bootstrap: the ends of the interval settle to a tenth of
// its width.
const resamples = 10_000

// compare returns by how much b differs from a, measured in pairs: the median
// of the ratios, and the interval in which it falls when the rounds are drawn
// again with replacement.
func compare(a, b []float64, r *rand.Rand) effect {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = b[i]/a[i] - 1
	}
	medians := make([]float64, resamples)
	drawn := make([]float64, len(ratios))
	for i := range medians {
		for j := range drawn {
			drawn[j] = ratios[r.IntN(len(ratios))]
		}
		medians[i] = median(drawn)
	}
	slices.Sort(medians)
	return effect{median(ratios), medians[resamples*25/1000], medians[resamples*975/1000]}
}

// median sorts a copy.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 1 {
		return v[n/2]
	} else {
		return (v[n/2-1] + v[n/2]) / 2
	}
}

// The findings on a limit.
const (
	holds      = "holds"
	exceeded   = "exceeded"
	unresolved = "unresolved"
)

// judge compares a measured effect with its limit. It holds or is exceeded only
// if the whole interval says so, widened by what the control is off zero: two
// equal processes that differ say how far the machine is to be believed.
func judge(measured, control effect, limit float64) string {
	bias := max(control.change, -control.change)
	switch {
	case measured.high+bias <= limit:
		return holds
	case measured.low-bias > limit:
		return exceeded
	}
	return unresolved
}

// drowned reports whether the control alone varies by as much as the effect:
// then the effect's size is not known, only its bound.
func drowned(measured, control effect) bool {
	return control.high-control.low >= max(measured.change, -measured.change)
}
