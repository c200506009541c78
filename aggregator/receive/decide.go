package receive

import (
	"sync"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// place is where a frame lies relative to a mark.
type place uint8

const (
	placeFresh     place = iota // begins at the mark, or straddles it
	placeDuplicate              // ends before it
	placeGap                    // begins after it
)

// locate says where a frame lies and from which sequence on it counts.
func locate(mark *state.Mark, h *shared.Header) (place, uint64) {
	switch {
	case h.LastSeq() < mark.Expected:
		return placeDuplicate, 0
	case h.FirstSeq > mark.Expected:
		return placeGap, 0
	}
	return placeFresh, mark.Expected
}

// decided is one frame with everything that follows from it: what the spool
// keeps and what the sink gets.
type decided struct {
	record  spool.Record
	batch   lake.Batch
	verdict verdict
	adjusts [numAdjustments]uint64
	lagMS   int64
	room    int64           // reserved in Receiver.room
	events  *[]shared.Event // from eventPool; batch.Events is its content
}

// eventPool holds slices of decoded events: at some 1 KiB an event they are
// most of what a batch costs.
var eventPool = sync.Pool{New: func() any { return new([]shared.Event) }}

// maxPooledEvents keeps a rare huge batch from staying in the pool.
const maxPooledEvents = 8 << 10

// recycle gives the events' memory back.
func (d *decided) recycle() {
	if d.events == nil {
		return
	}
	if cap(*d.events) <= maxPooledEvents {
		clear(*d.events) // let go of the strings
		*d.events = (*d.events)[:0]
		eventPool.Put(d.events)
	}
	d.events, d.batch.Events = nil, nil
}

// decision decides one frame. known is nil for a new one; for one that is
// read back from the spool it holds what was refused when it came, and that
// stands, whatever the registry says today.
type decision struct {
	registry Registry
	allows   *Permission // nil = everything
	clock    clock
	from     uint64
	replay   bool
	known    []shared.Rejected

	out *decided

	// The frame's events are nearly always of one site.
	siteName, siteID string
	siteWhy          shared.Rejection
}

// events decodes the frame's events from d.from on. The error means that the
// batch as a whole can't be read; nothing was decided then.
func (d *decision) events(f *batch.Frame) error {
	d.out.events = eventPool.Get().(*[]shared.Event)
	list := *d.out.events
	err := f.Events(func(i uint64, e *shared.Event, err error) {
		seq := f.Header.FirstSeq + i
		if seq < d.from {
			return
		}
		if d.replay && len(d.known) > 0 && d.known[0].Seq == seq {
			d.refuse(seq, d.known[0].Reason)
			d.known = d.known[1:]
			return
		}
		if err != nil {
			d.refuse(seq, shared.RejectMalformed)
			return
		}
		if why := d.settle(e); why != "" {
			d.refuse(seq, why)
			return
		}
		list = append(list, *e)
	})
	*d.out.events = list
	d.out.batch.Events = list
	return err
}

func (d *decision) refuse(seq uint64, why shared.Rejection) {
	d.out.batch.Rejected = append(d.out.batch.Rejected, shared.Rejected{Seq: seq, Reason: why})
}

// settle completes one event or says why it is refused.
func (d *decision) settle(e *shared.Event) shared.Rejection {
	coarse := coarseTime(e)
	how, ok := d.clock.settle(e)
	if !ok {
		return shared.RejectTime
	}
	if why := e.Check(); why != "" {
		return why
	}
	if e.Site != d.siteName {
		d.siteName = e.Site
		d.siteID, d.siteWhy = d.resolve(e.Site)
	}
	if d.siteWhy != "" {
		return d.siteWhy
	}
	d.out.adjusts[how]++
	e.SiteID = d.siteID
	e.ReceivedAt = d.clock.receivedAt
	e.SkewMS = shared.Some(d.clock.skewMS)
	if coarse {
		coarsen(e)
	}
	return ""
}

func (d *decision) resolve(name string) (id string, why shared.Rejection) {
	site, ok := d.registry.Resolve(name)
	switch {
	case !ok:
		return "", shared.RejectUnknownSite
	case d.allows != nil && !d.allows.Allows(site.ID):
		return "", shared.RejectSiteDenied
	case site.Archived:
		return "", shared.RejectArchived
	}
	return site.ID, ""
}

// conclude fills in what the frame does to its epoch's mark and its edge, and
// which spans it makes incomplete. newest says that nothing of the edge is
// further along.
func (d *decision) conclude(f *batch.Frame, mark state.Mark, newest bool, info state.Edge) {
	h, b := &f.Header, &d.out.batch
	n := h.LastSeq() - d.from + 1
	mark.Expected = h.LastSeq() + 1
	if h.Kind == shared.BatchLost {
		mark.Lost += n
		from, to := d.clock.span(h.BaseTime, h.BaseTime)
		b.Incidents = append(b.Incidents, state.Incident{
			Edge: h.Edge, Reason: h.LossReason.String(), From: from, To: to, Count: n,
		})
	} else {
		mark.Rejected += uint64(len(b.Rejected))
		mark.Accepted += uint64(len(b.Events)) // blanks are neither
	}
	b.Header = *h
	b.Mark = mark
	b.Edge = d.account(info, h, newest)
	d.out.verdict = verdictFor(f, d.from)
	d.out.verdict.rejected = b.Rejected
	if h.BaseTime > 0 && h.BaseTime < saneTime {
		d.out.lagMS = max(0, (d.clock.receivedAt-d.clock.correct(h.BaseTime))/1000)
	}
}

func verdictFor(f *batch.Frame, from uint64) verdict {
	h := &f.Header
	return verdict{
		epoch: h.Epoch, first: from, last: h.LastSeq(), sum: f.Sum,
		data:        h.Kind == shared.BatchData,
		undecodable: h.Kind == shared.BatchLost && h.LossReason == shared.LossUndecodable,
	}
}

// account brings the edge's record up to the frame's cumulative counters and
// reports what was dropped since the last ones, so that each drop becomes an
// incident once. Only a frame that is further along the edge's sequence than
// all before, in whatever epoch, has newer counters. A marker of the queue's
// own has none.
func (d *decision) account(info state.Edge, h *shared.Header, newest bool) state.Edge {
	info.ID = h.Edge
	info.LastSeen = d.clock.receivedAt
	info.SkewMS = d.clock.skewMS
	c := &h.Counters
	if c.Captured == 0 || !newest {
		return info
	}
	for i := range c.Dropped {
		was, is := info.Counters.Dropped[i], c.Dropped[i]
		if is.Count <= was.Count {
			continue
		}
		from, to := d.clock.span(is.From, is.To)
		d.out.batch.Incidents = append(d.out.batch.Incidents, state.Incident{
			Edge: h.Edge, Reason: shared.DropReason(i).String(), From: from, To: to, Count: is.Count - was.Count,
		})
	}
	info.Epoch = h.Epoch
	info.Counters = *c
	return info
}
