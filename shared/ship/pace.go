package ship

import (
	"math"
	"time"
)

// window is how much one request may carry. It shrinks when a request was too
// large or too slow, and grows again with success.
type window struct {
	bytes, frames       int
	maxBytes, maxFrames int
}

func newWindow() window {
	return window{bytes: windowBytes, frames: windowFrames, maxBytes: windowBytes, maxFrames: windowFrames}
}

// shrink goes below what was just sent.
func (w *window) shrink(bytes, frames int) {
	w.bytes = max(1, min(w.bytes, bytes)/2)
	w.frames = max(1, min(w.frames, frames)/2)
}

// limit is shrink for good: something on the way takes no more than that.
func (w *window) limit(bytes, frames int) {
	w.shrink(bytes, frames)
	w.maxBytes, w.maxFrames = w.bytes, w.frames
}

// single leaves room for one frame only.
func (w *window) single() { w.frames = 1 }

func (w *window) grow() {
	w.bytes = min(w.maxBytes, 2*w.bytes)
	w.frames = min(w.maxFrames, 2*w.frames)
}

// Pacing of a backlog.
const (
	catchUpFactor = 4
	catchUpFloor  = 20_000 // events a second
	// behindSeconds of live traffic left after a window make it a backlog.
	behindSeconds = 2
	behindEvents  = 2_000
	// liveSample is how long the live rate is averaged over at least.
	liveSample = time.Second
	liveWeight = 0.3 // of the newest sample
)

// pacer bounds how fast a backlog goes out: catchUpFactor times the live rate,
// at least the floor. Live traffic itself is never held back.
type pacer struct {
	floor float64 // events a second

	live    float64 // events a second, smoothed
	lastSeq uint64
	lastAt  time.Time

	next time.Time // when the next window of a backlog may go out
}

func newPacer(floor int) pacer {
	if floor <= 0 {
		floor = catchUpFloor
	}
	return pacer{floor: float64(floor)}
}

// observe takes a reading of the queue's next sequence.
func (p *pacer) observe(next uint64, now time.Time) {
	if p.lastAt.IsZero() || next < p.lastSeq {
		p.lastSeq, p.lastAt = next, now
		return
	}
	over := now.Sub(p.lastAt)
	if over < liveSample {
		return
	}
	sample := float64(next-p.lastSeq) / over.Seconds()
	// A long time between readings says more than the average before it.
	weight := 1 - math.Pow(1-liveWeight, over.Seconds())
	p.live += weight * (sample - p.live)
	p.lastSeq, p.lastAt = next, now
}

// rate is what a backlog may go out at, in events a second.
func (p *pacer) rate() float64 { return max(p.floor, catchUpFactor*p.live) }

// admit returns how long a window of so many events has to wait, where left
// events remain in the queue after it.
func (p *pacer) admit(events, left uint64, now time.Time) time.Duration {
	if float64(left) <= max(behindEvents, behindSeconds*p.live) {
		p.next = time.Time{}
		return 0
	}
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(events) / p.rate() * float64(time.Second)))
	return wait
}
