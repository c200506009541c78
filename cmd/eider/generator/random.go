package generator

import (
	"math"
	"math/rand/v2"
)

// dist is a distribution over 0 … n−1 that is drawn from in constant time
// (Vose's alias method).
type dist struct {
	p     []float64 // sums to 1
	prob  []float64
	alias []int32
}

// weighted makes a distribution of weights.
func weighted(weights ...float64) *dist {
	n := len(weights)
	d := &dist{p: make([]float64, n), prob: make([]float64, n), alias: make([]int32, n)}
	sum := 0.0
	for _, w := range weights {
		sum += w
	}
	scaled := make([]float64, n)
	var small, large []int32
	for i, w := range weights {
		d.p[i] = w / sum
		scaled[i] = d.p[i] * float64(n)
		if scaled[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small, large = small[:len(small)-1], large[:len(large)-1]
		d.prob[s], d.alias[s] = scaled[s], l
		scaled[l] -= 1 - scaled[s]
		if scaled[l] < 1 {
			small = append(small, l)
		} else {
			large = append(large, l)
		}
	}
	for _, i := range append(small, large...) { // what is left is 1 but for rounding
		d.prob[i], d.alias[i] = 1, i
	}
	return d
}

// zipf is Zipf's law with exponent s over n values, flattened at the top by q.
func zipf(n int, s, q float64) *dist {
	w := make([]float64, n)
	for i := range w {
		w[i] = math.Pow(float64(i)+q, -s)
	}
	return weighted(w...)
}

func (d *dist) draw(r *rand.Rand) int {
	i := r.IntN(len(d.prob))
	if r.Float64() < d.prob[i] {
		return i
	}
	return int(d.alias[i])
}

// logNormal draws with a median and the standard deviation of the logarithm.
func logNormal(r *rand.Rand, median, sigma float64) float64 {
	return median * math.Exp(sigma*r.NormFloat64())
}

// mix makes one well-mixed number of several (splitmix64), never 0: ids are
// hashes, so their bits carry no order.
func mix(parts ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h ^= p
		h += 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return max(h, 1)
}

// source is a stream of random numbers of its own for each use.
func stream(parts ...uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(parts...), mix(append([]uint64{1}, parts...)...)))
}

// entropy is the Shannon entropy in bits of values with these weights.
func entropy(weights map[string]float64) float64 {
	sum, h := 0.0, 0.0
	for _, w := range weights {
		sum += w
	}
	for _, w := range weights {
		if w > 0 {
			h -= w / sum * math.Log2(w/sum)
		}
	}
	return h
}
