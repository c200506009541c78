package stats

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// spans are how long something took, many times. Their memory is bounded by how
// many different ones there are: to the second below 2^16 s, to the minute above.
type spans struct {
	n     int64
	sum   float64          // s
	times map[uint32]int64 // by second, above fineSeconds by minute
}

const fineSeconds = 1 << 16

func (s *spans) add(micros int64) {
	if s.times == nil {
		s.times = map[uint32]int64{}
	}
	seconds := micros / 1e6
	if seconds >= fineSeconds {
		seconds -= seconds % 60
	}
	s.n++
	s.sum += float64(micros) / 1e6
	s.times[uint32(seconds)]++
}

// mean is null of nothing.
func (s *spans) mean() *float64 {
	if s.n == 0 {
		return nil
	}
	v := s.sum / float64(s.n)
	return &v
}

// median is the middle one, of an even number the mean of both, in whole seconds
// rounded down; null of nothing.
func (s *spans) median() *float64 {
	if s.n == 0 {
		return nil
	}
	var low, high float64
	seen := int64(0)
	for _, t := range slices.Sorted(maps.Keys(s.times)) {
		before := seen
		seen += s.times[t]
		if before <= (s.n-1)/2 && seen > (s.n-1)/2 {
			low = float64(t)
		}
		if before <= s.n/2 && seen > s.n/2 {
			high = float64(t)
		}
	}
	v := (low + high) / 2
	return &v
}

// spanUnits are what a span of time can be given in.
var spanUnits = []struct {
	names string
	unit  time.Duration
}{
	{" s sec second seconds ", time.Second},
	{" m min minute minutes ", time.Minute},
	{" h hour hours ", time.Hour},
	{" d day days ", 24 * time.Hour},
	{" w week weeks ", 7 * 24 * time.Hour},
}

const maxSpan = 366 * 24 * time.Hour

// parseSpan reads "1 day", "90m", "7d".
func parseSpan(field, text string, unset time.Duration) (time.Duration, error) {
	if text == "" {
		return unset, nil
	}
	wrong := invalid(field, "must be a number and a unit (seconds, minutes, hours, days, weeks), like 30 minutes or 7d, of 1 second to 366 days")
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseInt(text[:digits], 10, 32)
	unit := strings.ToLower(strings.TrimSpace(text[digits:]))
	if err != nil || n < 1 || unit == "" || strings.Contains(unit, " ") {
		return 0, wrong
	}
	for _, u := range spanUnits {
		if strings.Contains(u.names, " "+unit+" ") {
			if n > int64(maxSpan/u.unit) {
				return 0, wrong
			}
			return time.Duration(n) * u.unit, nil
		}
	}
	return 0, wrong
}
