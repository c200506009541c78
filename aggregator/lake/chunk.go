package lake

import (
	"fmt"
	"slices"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

const (
	// chunkBytes is how long a chunk's payload grows before the next one begins.
	// It is what decoding holds a second time.
	chunkBytes = 256 << 10
	// payloadBytes is the capacity of a payload that will be filled: the last
	// event may go beyond chunkBytes.
	payloadBytes = chunkBytes + 16<<10
	// maxSpare bounds the payloads that are kept for use.
	maxSpare = 64
)

// chunk holds rows between Ingest and the durable segment in the encoding of
// the wire: a tenth of the size of decoded events. It is appended to by Ingest
// under the lake's lock until it is sealed, and never changes after that.
type chunk struct {
	payload          []byte
	base             int64 // the base time of payload
	seqs             []uint32
	runs             []run
	minTime, maxTime int64
	facts            state.Facts
}

// run is what consecutive rows of one batch have in common. seqs are relative
// to its first.
type run struct {
	edge     shared.EdgeID
	epoch    shared.Epoch
	first    uint64
	received int64
	skew     shared.Opt[int64]
	rows     int
}

// full reports whether the next row belongs into another chunk.
func (c *chunk) full() bool { return len(c.payload) >= chunkBytes }

// clip gives back what the chunk reserved but does not use.
func (c *chunk) clip() {
	if cap(c.payload) > len(c.payload)+len(c.payload)/4 {
		c.payload = append(make([]byte, 0, len(c.payload)), c.payload...)
	}
	c.seqs, c.runs = slices.Clip(c.seqs), slices.Clip(c.runs)
}

func (c *chunk) rows() int { return len(c.seqs) }

// size is the memory that the chunk holds.
func (c *chunk) size() int { return cap(c.payload) + 4*cap(c.seqs) + 80*cap(c.runs) }

// add appends one row.
func (c *chunk) add(e *shared.Event) {
	if len(c.seqs) == 0 {
		c.base, c.minTime, c.maxTime = e.Time, e.Time, e.Time
	}
	c.minTime, c.maxTime = min(c.minTime, e.Time), max(c.maxTime, e.Time)
	note(&c.facts, e)
	last := len(c.runs) - 1
	if last < 0 || !c.runs[last].takes(e) {
		c.runs = append(c.runs, run{
			edge: e.Edge, epoch: e.Epoch, first: e.Seq, received: e.ReceivedAt, skew: e.SkewMS,
		})
		last++
	}
	r := &c.runs[last]
	c.seqs = append(c.seqs, uint32(e.Seq-r.first))
	r.rows++
	site := e.Site // as the sender names it: not kept
	e.Site = ""
	c.payload = shared.AppendEvent(c.payload, e, c.base)
	e.Site = site
}

func (r *run) takes(e *shared.Event) bool {
	return r.epoch == e.Epoch && r.edge == e.Edge && r.received == e.ReceivedAt && r.skew == e.SkewMS &&
		e.Seq >= r.first && e.Seq-r.first < 1<<32
}

// each decodes the rows in order. The event is fn's during the call; its texts
// stay as they are.
func (c *chunk) each(site string, fn func(*shared.Event) error) error {
	h := shared.Header{Schema: shared.Schema, Count: uint64(c.rows()), BaseTime: c.base}
	var failed error
	at, left := -1, 0
	err := shared.DecodeEvents(&h, c.payload, func(i uint64, e *shared.Event, err error) {
		if left == 0 {
			at++
			left = c.runs[at].rows
		}
		left--
		if failed != nil {
			return
		}
		if err != nil {
			failed = err
			return
		}
		r := &c.runs[at]
		e.SiteID, e.Edge, e.Epoch, e.Seq = site, r.edge, r.epoch, r.first+uint64(c.seqs[i])
		e.ReceivedAt, e.SkewMS = r.received, r.skew
		failed = fn(e)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("decode buffered rows: %w", err)
	}
	return nil
}
