package lake

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared/durable"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// cut writes the newest generation, or the one whose cut failed before, into
// durable segments and commits them. What a failed attempt has written is kept
// for the next.
func (l *Lake) cut(ctx context.Context) error {
	g := l.beginCut()
	if err := l.writeSegments(ctx, g); err != nil {
		return fmt.Errorf("write segment: %w", err)
	}
	days, err := l.markLate(g)
	if err != nil {
		return err
	}
	failpoint.Hit("lake.commit.before")
	if err := l.cfg.State.Commit(g.commit(days)); err != nil {
		return err
	}
	failpoint.Hit("lake.commit.after")
	l.endCut(g, days)
	failpoint.Hit("lake.trim.before")
	if len(g.erased) > 0 {
		l.cfg.OnErased()
	}
	l.cfg.OnCommitted(g.through)
	return nil
}

// beginCut makes Ingest begin a new generation, which may have room again.
func (l *Lake) beginCut() *generation {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cutting == nil {
		l.cutting, l.gen = l.gen, newGeneration()
		for _, gr := range l.cutting.order {
			l.cutting.seal(gr)
		}
		l.changed()
	}
	return l.cutting
}

// writeSegments writes a segment for each group that has none yet. Between two
// of them new events are made queryable where that is due.
func (l *Lake) writeSegments(ctx context.Context, g *generation) error {
	dirs := map[string]bool{}
	for _, gr := range g.order {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		dir := filepath.Dir(filepath.Join(l.cfg.Dir, filepath.FromSlash(segmentPath(gr.site, gr.day.String(), "x"))))
		dirs[dir] = true
		if gr.segment != nil {
			continue
		}
		if err := makeDir(l.cfg.Dir, dir); err != nil {
			return err
		}
		seg, err := l.writeSegment(gr)
		if err != nil {
			return err
		}
		gr.segment = seg
		if l.hotDue(time.Now()) {
			l.settleHot(l.writeHot())
		}
	}
	for dir := range dirs {
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// writeSegment writes a group's rows as one durable segment, not yet listed.
func (l *Lake) writeSegment(gr *group) (*state.Segment, error) {
	now := time.Now()
	id := newID(now)
	f := gr.file(gr.sealed)
	seg := &state.Segment{
		ID: id, SiteID: gr.site, Date: f.Date, Path: segmentPath(gr.site, f.Date, id), Rows: f.Rows,
		MinTime: f.MinTime, MaxTime: f.MaxTime, Zone: gr.zone, Schema: Schema, CreatedAt: now.UnixMicro(),
		Facts: f.Facts,
	}
	size, err := writeFile(filepath.Join(l.cfg.Dir, filepath.FromSlash(seg.Path)), true, func(out *os.File) error {
		return encode(l.segments, out, gr.site, gr.sealed, func() { failpoint.Hit("lake.parquet.writing") })
	})
	seg.Bytes = size
	return seg, err
}

// commit is the change of the state that makes the generation's segments live,
// and days late.
func (g *generation) commit(days []state.Day) state.Commit {
	c := state.Commit{SpoolThrough: g.through, Incidents: g.incidents, Days: days, Erased: g.erasures()}
	for _, gr := range g.order {
		c.Add = append(c.Add, *gr.segment)
	}
	for _, m := range g.marks {
		c.Marks = append(c.Marks, m)
	}
	for _, e := range g.edges {
		c.Edges = append(c.Edges, e)
	}
	return c
}

// endCut replaces the generation's micro-segments by its segments, at once for
// every reader that comes now.
func (l *Lake) endCut(g *generation, days []state.Day) {
	durable := make([]File, len(l.durable), len(l.durable)+len(g.order))
	copy(durable, l.durable)
	var dropped []string
	var bytes int64
	for _, gr := range g.order {
		durable = append(durable, l.fileOf(gr.segment))
		bytes += gr.segment.Bytes
		for _, m := range gr.micros {
			dropped = append(dropped, m.Path)
		}
	}
	l.durable = durable
	l.setDays(days)

	l.mu.Lock()
	l.cutting = nil
	for k, n := range g.late {
		if s := l.pending(k); s != nil {
			s.late += n.byTime
		}
	}
	l.mu.Unlock()
	l.views.publish(durable, l.hotFiles(), l.daysNow(), dropped)

	l.mu.Lock()
	l.recycle(g)
	l.committed = g.through
	l.totals.committed += g.rows
	l.totals.commits++
	l.totals.bytes += bytes
	l.totals.lastCommit = time.Now()
	l.changed()
	l.mu.Unlock()
}

// recycle keeps payloads of the generation, which nobody reads any more. The
// caller holds l.mu.
func (l *Lake) recycle(g *generation) {
	for _, gr := range g.order {
		for _, c := range gr.sealed {
			if len(l.spare) < maxSpare && cap(c.payload) >= payloadBytes {
				l.spare = append(l.spare, c.payload[:0])
			}
			c.payload = nil
		}
	}
}
