package ops

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/spool"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// Stores are what Verify compares. The directory is owned by the caller.
type Stores struct {
	LakeDir string
	State   *state.State
	Spool   *spool.Spool
}

// Report is what Verify found. Problems is empty if everything is as it was
// promised.
type Report struct {
	Segments int          `json:"segments"`
	Rows     int64        `json:"rows"`
	Bytes    int64        `json:"bytes"`
	Spooled  uint64       `json:"spooled_events"` // durable, not yet in segments
	Erased   int64        `json:"erased"`         // accepted and committed, in no segment any more
	Days     int          `json:"days"`           // that are sealed
	LateDays int          `json:"late_days"`      // of them, with rows that came later
	Derived  int          `json:"derived"`        // files that were derived from them
	Edges    []EdgeReport `json:"edges"`
	Problems []string     `json:"problems"`

	missing int // files that are not there
}

// EdgeReport is one edge's books: what it captured, and what became of it.
type EdgeReport struct {
	Edge     string `json:"edge"`
	Name     string `json:"name"`
	Captured uint64 `json:"captured"`
	Stored   uint64 `json:"stored"`
	Queued   uint64 `json:"queued"` // not accounted for yet: on its way
	Dropped  uint64 `json:"dropped"`
	Rejected uint64 `json:"rejected"`
	Lost     uint64 `json:"lost"`
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// verifyTries is how often a running server's books are read until no commit
// came between the manifest and the marks.
const verifyTries = 10

// Verify compares the manifest with the files, reads the spool, and closes the
// books of every edge. An error means that it could not; what it finds wrong
// is in the report.
func Verify(ctx context.Context, s Stores) (Report, error) {
	for try := 0; ; try++ {
		r, version, err := verify(ctx, s)
		if err != nil || r.missing == 0 || try == verifyTries {
			return r, err
		}
		// A running server replaces files: what is missing may just have been.
		if m, err := s.State.Manifest(); err != nil || m.Version == version {
			return r, err
		}
	}
}

// verify does it once, and returns the version of the manifest that it read.
func verify(ctx context.Context, s Stores) (Report, uint64, error) {
	var manifest state.Manifest
	var marks []state.Mark
	var edges []state.Edge
	var erased []state.Erased
	for try := 0; ; try++ {
		before, err := s.State.Manifest()
		if err != nil {
			return Report{}, 0, err
		}
		if marks, err = s.State.Marks(); err != nil {
			return Report{}, 0, err
		}
		if edges, err = s.State.Edges(); err != nil {
			return Report{}, 0, err
		}
		if erased, err = s.State.Erased(); err != nil {
			return Report{}, 0, err
		}
		if manifest, err = s.State.Manifest(); err != nil {
			return Report{}, 0, err
		}
		if before.Version == manifest.Version || try == verifyTries {
			break
		}
	}
	r := Report{Edges: []EdgeReport{}, Problems: []string{}}
	for i := range manifest.Segments {
		if err := ctx.Err(); err != nil {
			return Report{}, 0, err
		}
		r.segment(s.LakeDir, &manifest.Segments[i])
	}
	r.days(s.LakeDir, &manifest)
	books := newBooks(marks, edges)
	for _, e := range erased {
		r.Erased += e.Rows
	}
	if r.Rows+r.Erased != int64(books.accepted) {
		r.problem("the segments hold %d events and %d were erased, but %d were accepted and committed", r.Rows, r.Erased, books.accepted)
	}
	if err := r.spool(s.Spool, manifest.SpoolThrough, books); err != nil {
		return Report{}, 0, err
	}
	r.close(books)
	return r, manifest.Version, nil
}

// segment compares one file with what the manifest says about it.
func (r *Report) segment(dir string, seg *state.Segment) {
	r.Segments++
	path := filepath.Join(dir, filepath.FromSlash(seg.Path))
	f, err := os.Open(path)
	if err != nil {
		r.missing++
		r.problem("segment %s: %v", seg.ID, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		r.problem("segment %s: %v", seg.ID, err)
		return
	}
	r.Bytes += info.Size()
	if info.Size() != seg.Bytes {
		r.problem("segment %s has %d bytes, the manifest says %d", seg.ID, info.Size(), seg.Bytes)
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		r.problem("segment %s can't be read: %v", seg.ID, err)
		return
	}
	r.Rows += file.NumRows()
	if file.NumRows() != seg.Rows {
		r.problem("segment %s has %d events, the manifest says %d", seg.ID, file.NumRows(), seg.Rows)
	}
}

// books are the sums of every edge.
type books struct {
	accepted uint64 // committed, of all edges
	edges    map[shared.EdgeID]*edgeBooks
}

type edgeBooks struct {
	EdgeReport
	counters shared.Counters
	epoch    shared.Epoch // of the counters
}

func newBooks(marks []state.Mark, edges []state.Edge) *books {
	b := &books{edges: map[shared.EdgeID]*edgeBooks{}}
	for _, e := range edges {
		known := b.edge(e.ID)
		known.Name, known.counters, known.epoch = e.Name, e.Counters, e.Epoch
	}
	for _, m := range marks {
		e := b.edge(m.Edge)
		e.Stored += m.Accepted
		e.Rejected += m.Rejected
		e.Lost += m.Lost
		b.accepted += m.Accepted
	}
	return b
}

func (b *books) edge(id shared.EdgeID) *edgeBooks {
	e, ok := b.edges[id]
	if !ok {
		e = &edgeBooks{EdgeReport: EdgeReport{Edge: id.String()}}
		b.edges[id] = e
	}
	return e
}

// spool reads every record after the last that is covered by segments, and
// adds what it stands for to the books.
func (r *Report) spool(s *spool.Spool, through uint64, b *books) error {
	var scratch []byte
	damaged, err := s.Replay(through+1, func(pos uint64, rec spool.Record) error {
		f, _, err := batch.Next(rec.Frame)
		if err != nil {
			r.problem("spool record %d: %v", pos, err)
			return nil
		}
		h := &f.Header
		e := b.edge(h.Edge)
		// A marker of the edge's own has no counters, an older batch lower ones.
		if c := h.Counters; c.Captured > 0 && (c.Captured >= e.counters.Captured || h.Epoch != e.epoch) {
			e.counters, e.epoch = c, h.Epoch
		}
		first := max(h.FirstSeq, rec.AcceptFrom)
		if first > h.LastSeq() {
			return nil
		}
		count := h.LastSeq() - first + 1
		if h.Kind == shared.BatchLost {
			e.Lost += count
			return nil
		}
		raw, err := f.Raw(scratch)
		if err != nil {
			r.problem("spool record %d: %v", pos, err)
			return nil
		}
		scratch = raw
		events, refused := shared.CountEvents(raw, first-h.FirstSeq), uint64(len(rec.Rejected))
		e.Rejected += refused
		e.Stored += events - min(refused, events)
		r.Spooled += events - min(refused, events)
		return nil
	})
	if damaged > 0 {
		r.problem("the spool has %d damaged places", damaged)
	}
	return err
}

// close compares what each edge captured with what became of it.
func (r *Report) close(b *books) {
	for _, e := range b.edges {
		e.Captured, e.Dropped = e.counters.Captured, e.counters.DroppedTotal()
		if n := e.counters.Unbalanced(); n != 0 {
			r.problem("edge %s: its own counters are off by %d", e.Edge, n)
		}
		done := e.Stored + e.Dropped + e.Rejected + e.Lost
		if done > e.Captured {
			r.problem("edge %s captured %d events, but %d are accounted for", e.Edge, e.Captured, done)
		} else {
			e.Queued = e.Captured - done
		}
		r.Edges = append(r.Edges, e.EdgeReport)
	}
	sort.Slice(r.Edges, func(i, j int) bool { return r.Edges[i].Edge < r.Edges[j].Edge })
}
