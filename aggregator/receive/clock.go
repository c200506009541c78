package receive

import "github.com/eider-analytics/eider/shared"

// Rules for event times, µs.
const (
	// skewTolerated is how far a sender's clock may be off before its times
	// are corrected.
	skewTolerated = 2 * 60 * 1_000_000
	// futureTolerated is how far after receipt an event may lie.
	futureTolerated = 10 * 60 * 1_000_000
	// pastTolerated is how far before its process's start an event may lie.
	pastTolerated = 10 * 60 * 1_000_000
	// saneTime bounds what is calculated with, so that it can't overflow:
	// some 9,000 years.
	saneTime = 1 << 58
)

// clock is what is known of a sender's clock. All of it is recorded in the
// spool, so that a record read again yields the same times.
type clock struct {
	receivedAt int64 // µs, our clock: when the request began to arrive
	skewMS     int64 // sender's clock minus ours at send time
	notBefore  int64 // µs, our clock: when the sending process began; 0 = unknown
}

// adjustment is what was done to a time.
type adjustment uint8

const (
	adjustNone adjustment = iota
	adjustCorrected
	adjustClamped
	numAdjustments
)

var adjustmentNames = [numAdjustments]string{"none", "corrected", "clamped"}

// correct converts a time of the sender's clock to ours.
func (c *clock) correct(t int64) int64 {
	if skew := c.skewMS * 1000; skew > skewTolerated || skew < -skewTolerated {
		return t - skew
	}
	return t
}

// span converts a span of the sender's clock to ours. One that can't be, because
// a clock was wrong when it was read or when it was sent, is the moment of
// receipt: the state refuses an incident outside of time, and a commit with it.
func (c *clock) span(from, to int64) (int64, int64) {
	if from <= 0 || to < from || to > saneTime {
		return c.receivedAt, c.receivedAt
	}
	from, to = c.correct(from), c.correct(to)
	if from <= 0 || to > c.receivedAt+futureTolerated {
		return c.receivedAt, c.receivedAt
	}
	return from, to
}

// settle replaces an event's time by the one to keep. Imports and servers
// bring their own times, which say nothing about the sending process: those
// are neither corrected nor clamped. ok is false if the time is beyond sense.
func (c *clock) settle(e *shared.Event) (how adjustment, ok bool) {
	if e.Time > saneTime || e.Time < -saneTime {
		return adjustNone, false
	}
	if e.Origin == shared.OriginImport || e.Origin == shared.OriginAPI {
		return adjustNone, true
	}
	coarse := coarseTime(e)
	if t := c.correct(e.Time); t != e.Time {
		e.Time, how = t, adjustCorrected
	}
	past := int64(pastTolerated)
	if coarse {
		past += 4 * quarter
	}
	switch {
	case e.Time > c.receivedAt+futureTolerated:
		e.Time, how = c.receivedAt, adjustClamped
	case c.notBefore != 0 && e.Time < c.notBefore-past:
		e.Time, how = c.notBefore, adjustClamped
	}
	return how, true
}

// quarter is what the offsets of all zones are multiples of, in µs.
const quarter = 15 * 60 * 1_000_000

// coarseTime reports whether an event's time was cut to the hour, by the clock
// of its site, as the site's privacy options ask for: no clock that counts
// microseconds shows a quarter of an hour by chance.
func coarseTime(e *shared.Event) bool {
	return e.Time%quarter == 0 && e.Origin != shared.OriginImport && e.Origin != shared.OriginAPI
}

// coarsen keeps such an event from saying more: neither when it was received
// nor the correction of a clock may tell the minute.
func coarsen(e *shared.Event) {
	e.Time = (e.Time + quarter/2) / quarter * quarter
	e.ReceivedAt -= e.ReceivedAt % (4 * quarter)
	e.SkewMS = shared.Opt[int64]{}
}
