//go:build race

package queue

// raceEnabled: the race detector multiplies memory and time.
const raceEnabled = true
