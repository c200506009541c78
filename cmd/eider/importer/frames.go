package importer

import (
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// A frame ends with the lines whose number this divides, or earlier if it grows
// beyond frameBytes. So where frames end follows from the log alone, and a line
// that is sent again, by whichever attempt, is sent in the same frame.
const (
	frameLines = 2048
	frameBytes = 1 << 20
)

// frames makes frames of lines in their order. What belongs to one is sealed by
// the goroutine that sends it.
type frames struct {
	mark     shared.ImportMark
	captured uint64 // events so far, with those of earlier runs
	raw      []byte
	first    uint64 // line of raw's beginning; 0 = raw is empty
	last     uint64
	events   int
	emit     func(*frame) error
}

// frame is one frame that is not sealed yet.
type frame struct {
	header shared.Header
	raw    []byte
	events int
}

// add takes one line; e is nil for a line without an event. Lines come without
// gaps.
func (f *frames) add(number uint64, e *shared.Event) error {
	if f.first == 0 {
		f.first = number
	}
	f.last = number
	if e == nil {
		f.raw = shared.AppendBlank(f.raw)
	} else {
		f.raw = shared.AppendEvent(f.raw, e, 0)
		f.events++
		f.captured++
	}
	if number%frameLines == 0 || len(f.raw) >= frameBytes {
		return f.flush()
	}
	return nil
}

// flush ends the frame.
func (f *frames) flush() error {
	if f.first == 0 {
		return nil
	}
	next := &frame{raw: f.raw, events: f.events, header: shared.Header{
		Edge: f.mark.Edge, Epoch: f.mark.Epoch, EpochFirst: 1, FirstSeq: f.first, Count: f.last - f.first + 1,
		// What became of them is the aggregator's to know: a frame that is sent
		// by two attempts must be the same bytes.
		Counters: shared.Counters{Captured: f.captured, Queued: f.captured},
	}}
	f.raw, f.first, f.events = make([]byte, 0, cap(f.raw)), 0, 0
	return f.emit(next)
}

// seal makes the bytes to send.
func (f *frame) seal(dst []byte) []byte { return batch.Seal(dst, &f.header, f.raw) }
