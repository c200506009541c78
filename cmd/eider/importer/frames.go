package importer

import (
	"strconv"

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

// Each line has two sequences: one for its event, and one for a row that says
// how many of the frame's requests to a site on a day had which result. There
// are never more of those than lines. What is empty is a blank.
//
// sequenceOf is the first of a line's sequences.
func sequenceOf(line uint64) uint64 { return 2*line - 1 }

// lineAt is the line that a sequence belongs to; 0 is before all.
func lineAt(sequence uint64) uint64 { return (sequence + 1) / 2 }

// frames makes frames of lines in their order. What belongs to one is sealed by
// the goroutine that sends it.
type frames struct {
	mark     shared.ImportMark
	captured uint64 // events so far, with those of earlier runs
	emit     func(*frame) error

	first  uint64 // line that the open frame begins with; 0 = there is none
	raw    []byte // its lines' events and blanks
	ends   []int  // of each line in raw
	events int
	sums   []sum
}

// frame is one frame that is not sealed yet.
type frame struct {
	header shared.Header
	raw    []byte
	events int
}

// sum is the requests of one site on one local day, by result.
type sum struct {
	site *site
	at   int64 // when the day begins, µs
	of   map[shared.Result]uint64
}

// count takes in a request. It belongs to the line that is added next.
func (f *frames) count(s *site, at int64, result shared.Result) {
	if s == nil {
		return // no site: the aggregator could not say whose it is
	}
	s.dayOf(at)
	for i := len(f.sums) - 1; i >= 0; i-- {
		if f.sums[i].site == s && f.sums[i].at == s.from {
			f.sums[i].of[result]++
			return
		}
	}
	f.sums = append(f.sums, sum{site: s, at: s.from, of: map[shared.Result]uint64{result: 1}})
}

// add takes one line; e is nil for a line without an event. Lines come without
// gaps.
func (f *frames) add(number uint64, e *shared.Event) error {
	if f.first == 0 {
		f.first = number
	}
	if e == nil {
		f.raw = shared.AppendBlank(f.raw)
	} else {
		f.raw = shared.AppendEvent(f.raw, e, 0)
		f.events++
	}
	f.ends = append(f.ends, len(f.raw))
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
	f.captured += uint64(f.events + len(f.sums))
	next := &frame{raw: f.interleave(), events: f.events + len(f.sums), header: shared.Header{
		Edge: f.mark.Edge, Epoch: f.mark.Epoch, EpochFirst: 1, FirstSeq: sequenceOf(f.first), Count: 2 * uint64(len(f.ends)),
		// What became of them is the aggregator's to know: a frame that is sent
		// by two attempts must be the same bytes.
		Counters: shared.Counters{Captured: f.captured, Queued: f.captured},
	}}
	f.raw, f.ends, f.sums, f.first, f.events = f.raw[:0], f.ends[:0], f.sums[:0], 0, 0
	return f.emit(next)
}

// interleave puts a sum, or a blank, behind each line.
func (f *frames) interleave() []byte {
	raw := make([]byte, 0, len(f.raw)+len(f.ends)+512*len(f.sums))
	begin := 0
	for i, end := range f.ends {
		raw = append(raw, f.raw[begin:end]...)
		begin = end
		if i < len(f.sums) {
			e := f.sums[i].event()
			raw = shared.AppendEvent(raw, &e, 0)
		} else {
			raw = shared.AppendBlank(raw)
		}
	}
	return raw
}

// event says the sum as edges do. Its time is when the day begins: it is about
// all of it, and must not tell when somebody was there.
func (s *sum) event() shared.Event {
	e := shared.Event{
		Site: s.site.ID, Time: s.at, Origin: shared.OriginImport, Kind: shared.KindCompletion, Name: shared.CompletionRequests,
	}
	for _, result := range shared.Results {
		if n := s.of[result]; n > 0 {
			e.Props = append(e.Props, shared.Prop{Key: string(result), Value: strconv.FormatUint(n, 10), Type: shared.PropNumber})
		}
	}
	return e
}

// seal makes the bytes to send.
func (f *frame) seal(dst []byte) []byte { return batch.Seal(dst, &f.header, f.raw) }
