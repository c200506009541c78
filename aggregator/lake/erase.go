package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/durable"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Who is what of a row tells whose it is, and of when.
type Who struct {
	Time          int64  // µs since 1970
	ReceivedAt    int64  // µs since 1970, our clock
	VisitorID     uint64 // 0 = none
	PrevVisitorID uint64 // 0 = none
	DistinctID    string // "" = none
}

// WhoOf is what of an event tells so.
func WhoOf(e *shared.Event) Who {
	return Who{e.Time, e.ReceivedAt, e.VisitorID, e.PrevVisitorID, e.DistinctID}
}

// Erasures know what must not come into the lake.
type Erasures interface {
	// Of returns what recognises a site's rows that are erased, nil where none
	// are, for one goroutine. It must not call the lake.
	Of(siteID string) func(*Who) bool
}

// Span is a site's rows with times in [From, To), µs since 1970.
type Span struct {
	SiteID   string
	From, To int64
}

func (s *Span) touches(seg *state.Segment) bool {
	return seg.SiteID == s.SiteID && seg.MaxTime >= s.From && seg.MinTime < s.To
}

// Erasing is what [Lake.Erase] does.
type Erasing struct {
	Span
	ID      string // the entry of the ledger that the rows are counted for
	AskedAt int64  // µs since 1970: rows of younger segments were hot then
	Gone    func(*Who) bool
	Dry     bool

	days map[state.DayKey]bool // that a dry run would drop
}

// Erase takes the rows that Gone recognises out of the committed segments: each
// of these is replaced by one without them, or removed where nothing is left.
// The other rows, their columns and their order stay. With Dry nothing is
// written. Rows that are not committed yet are the caller's: Ingest leaves out
// what Config.Erasures knows, and Flush commits what came before.
//
// Each segment changes in one step, together with the count of what it lost.
// When ctx ends or an error comes, doing it again finishes it.
func (l *Lake) Erase(ctx context.Context, e Erasing) (state.Erasing, error) {
	l.revising.Lock()
	defer l.revising.Unlock()
	var done state.Erasing
	e.days = map[state.DayKey]bool{}
	// Meanwhile a day can be sealed: its rows are in new segments then.
	for seen, more := map[string]bool{}, true; more; {
		m, err := l.cfg.State.Manifest()
		if err != nil {
			return done, fmt.Errorf("erase from lake: %w", err)
		}
		more = false
		for i := range m.Segments {
			if seen[m.Segments[i].ID] || !e.touches(&m.Segments[i]) {
				continue
			}
			seen[m.Segments[i].ID], more = true, true
			n, err := l.erase(ctx, &m.Segments[i], &e)
			if err != nil {
				return done, fmt.Errorf("erase from segment %s: %w", m.Segments[i].Path, err)
			}
			done.Add(n)
		}
	}
	n, err := l.eraseAside(ctx, &e)
	done.SetAside = n
	if err != nil {
		return done, fmt.Errorf("erase from segments that were set aside: %w", err)
	}
	return done, nil
}

// erase replaces one segment, where it has any of the rows.
func (l *Lake) erase(ctx context.Context, seg *state.Segment, e *Erasing) (n state.Erasing, err error) {
	if seg.Schema > SealedSchema {
		return n, fmt.Errorf("it has schema %d, this version knows up to %d: use the version that wrote it", seg.Schema, SealedSchema)
	}
	path := filepath.Join(l.cfg.Dir, filepath.FromSlash(seg.Path))
	gone, when := int64(0), touched{}
	err = eachWho(ctx, path, func(w *Who) {
		if e.Gone(w) {
			gone++
			when.add(w.Time)
		}
	})
	if errors.Is(err, os.ErrNotExist) && !l.lists(path) {
		return n, nil // its rows are somewhere else by now
	}
	if err != nil || gone == 0 {
		return n, err
	}
	if n.Events = gone; seg.CreatedAt >= e.AskedAt {
		n.Hot, n.Events = gone, 0
	}
	if e.Dry {
		l.wouldDrop(e.days, path, seg.SiteID, when, &n)
		return n, nil
	}
	var next *state.Segment
	if gone < seg.Rows {
		if next, err = l.copyWithout(seg, path, e.Gone); err != nil {
			return n, err
		}
		if next.Rows != seg.Rows-gone {
			err = fmt.Errorf("%d rows are left, %d of %d were to go: see `eider verify`", next.Rows, gone, seg.Rows)
			return n, errors.Join(err, l.discard(next))
		}
	}
	lost := state.Erased{SiteID: seg.SiteID, Date: seg.Date, Rows: gone, Erasure: e.ID, Counts: n}
	err = l.do(ctx, func() error { return l.lessen(seg, next, &lost, when) })
	return lost.Counts, err
}

// wouldDrop counts the derived files that spoil would drop, once each.
func (l *Lake) wouldDrop(counted map[state.DayKey]bool, path, site string, gone touched, n *state.Erasing) {
	s := l.Snapshot()
	defer s.Release()
	for _, d := range s.SiteDays(site) {
		if counted[d.DayKey] || gone.within(d.From-windowBefore, d.To+windowAfter) == 0 && !slices.Contains(d.Segments, path) {
			continue
		}
		counted[d.DayKey] = true
		if d.File(DerivedVisits) != "" {
			n.Visits++
		}
		if d.File(DerivedRollup) != "" {
			n.Rollups++
		}
	}
}

// copyWithout writes what stays of a segment to a new durable one that is not
// listed yet.
func (l *Lake) copyWithout(seg *state.Segment, path string, gone func(*Who) bool) (*state.Segment, error) {
	now := time.Now()
	next := *seg
	next.ID, next.CreatedAt, next.Schema, next.Sealed = newID(now), now.UnixMicro(), Schema, false
	next.Path = segmentPath(seg.SiteID, seg.Date, next.ID)
	to := filepath.Join(l.cfg.Dir, filepath.FromSlash(next.Path))
	if err := l.writeRest(to, path, gone, &next); err != nil {
		return nil, err
	}
	return &next, durable.SyncDir(filepath.Dir(to))
}

// writeRest writes the rows of a file that are not gone, and describes them.
func (l *Lake) writeRest(to, path string, gone func(*Who) bool, next *state.Segment) error {
	next.Rows, next.Facts = 0, &state.Facts{}
	size, err := writeFile(to, true, func(out *os.File) error {
		e := newEncoder(true)
		e.reset(out)
		err := eachBlock(path, func(block []row) error {
			for i := range block {
				r := &block[i]
				if gone(&Who{r.Time, r.ReceivedAt, r.VisitorID, r.PrevVisitorID, r.DistinctID}) {
					continue
				}
				describe(next, r)
				if err := e.addRow(r); err != nil {
					return err
				}
			}
			failpoint.Hit("lake.erase.writing")
			return e.flush() // the rows' texts are the reader's
		})
		return errors.Join(err, e.close())
	})
	next.Bytes = size
	return err
}

// describe notes a row of a segment.
func describe(seg *state.Segment, r *row) {
	if seg.Rows == 0 {
		seg.MinTime, seg.MaxTime = r.Time, r.Time
	}
	seg.MinTime, seg.MaxTime = min(seg.MinTime, r.Time), max(seg.MaxTime, r.Time)
	seg.Rows++
	note(seg.Facts, &shared.Event{
		Kind: shared.Kind(r.Kind), Name: r.Name, DedupeKey: r.DedupeKey, PrevVisitorID: r.PrevVisitorID,
		Origin: shared.Origin(r.Origin), ViewID: r.ViewID, ParentViewID: r.ParentViewID,
	})
}

// lessen is the writer's part of an erasure: next, nil for nothing, is listed
// instead of old. Days that the rows may have been derived into are dropped with
// their files: they are sealed again, from what is left.
func (l *Lake) lessen(old, next *state.Segment, lost *state.Erased, when touched) error {
	from := l.fileOf(old)
	durable := make([]File, 0, len(l.durable))
	found := false
	for _, f := range l.durable {
		if f.Path == from.Path {
			found = true
			if next == nil {
				continue
			}
			f = l.fileOf(next)
		}
		durable = append(durable, f)
	}
	if !found { // its rows are somewhere else by now, and found there
		lost.Counts = state.Erasing{}
		if next == nil {
			return nil
		}
		return l.discard(next)
	}
	days, files := l.spoil(old, when, &lost.Counts)
	c := state.Commit{Remove: []string{old.ID}, DropDays: days, Erased: []state.Erased{*lost}}
	if next != nil {
		c.Add = []state.Segment{*next}
	}
	failpoint.Hit("lake.erase.before")
	if err := l.cfg.State.Commit(c); err != nil {
		return err // the file is removed by the next start, if the state does not list it
	}
	failpoint.Hit("lake.erase.after")
	l.durable = durable
	l.dropDays(days)
	l.views.publish(durable, l.hotFiles(), l.daysNow(), append(files, from.Path))
	return nil
}

// eraseAside takes rows out of segments that nothing lists.
func (l *Lake) eraseAside(ctx context.Context, e *Erasing) (rows int64, err error) {
	dir := filepath.Join(l.cfg.Dir, asideDir, "site_id="+e.SiteID)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		gone, all := int64(0), int64(0)
		err = eachWho(ctx, path, func(w *Who) {
			all++
			if e.Gone(w) {
				gone++
			}
		})
		if err != nil || gone == 0 {
			return err
		}
		rows += gone
		switch {
		case e.Dry:
			return nil
		case gone == all:
			err = os.Remove(path)
		default:
			err = l.writeRest(path, path, e.Gone, &state.Segment{})
		}
		return errors.Join(err, durable.SyncDir(filepath.Dir(path)))
	})
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return rows, err
}

// EachWho calls fn for every committed row of a span. With carried only for
// those of segments in which a visitor goes on under a new id. What fn is given
// is valid during the call only.
func (l *Lake) EachWho(ctx context.Context, s Span, carried bool, fn func(*Who)) error {
	m, err := l.cfg.State.Manifest()
	if err != nil {
		return fmt.Errorf("look through lake: %w", err)
	}
	for i := range m.Segments {
		seg := &m.Segments[i]
		if !s.touches(seg) || carried && seg.Facts != nil && seg.Facts.Carried == 0 {
			continue
		}
		path := filepath.Join(l.cfg.Dir, filepath.FromSlash(seg.Path))
		err := eachWho(ctx, path, func(w *Who) {
			if w.Time >= s.From && w.Time < s.To {
				fn(w)
			}
		})
		if errors.Is(err, os.ErrNotExist) && !l.lists(path) {
			return l.EachWho(ctx, s, carried, fn) // rewritten meanwhile: once more, with those that are listed now
		}
		if err != nil {
			return fmt.Errorf("look through segment %s: %w", seg.Path, err)
		}
	}
	return nil
}

// eachWho reads the few columns of a file that tell whose its rows are.
func eachWho(ctx context.Context, path string, fn func(*Who)) error {
	return openParquet(path, func(file *parquet.File) error {
		for _, group := range file.RowGroups() {
			if err := eachWhoOf(ctx, file, group, fn); err != nil {
				return fmt.Errorf("read rows: %w", err)
			}
		}
		return nil
	})
}

// whoBlock is how many values of a column are read at a time.
const whoBlock = 1024

// whoColumns are where a Who comes from. Columns that a file lacks are null.
var whoColumns = [...]struct {
	name string
	set  func(*Who, parquet.Value)
}{
	{"time", func(w *Who, v parquet.Value) { w.Time = v.Int64() }},
	{"received_at", func(w *Who, v parquet.Value) { w.ReceivedAt = v.Int64() }},
	{"visitor_id", func(w *Who, v parquet.Value) { w.VisitorID = v.Uint64() }},
	{"prev_visitor_id", func(w *Who, v parquet.Value) { w.PrevVisitorID = v.Uint64() }},
	{"distinct_id", func(w *Who, v parquet.Value) { w.DistinctID = string(v.ByteArray()) }},
}

// eachWhoOf goes through one row group, column by column: rows cost 40 times as
// much to assemble.
func eachWhoOf(ctx context.Context, file *parquet.File, group parquet.RowGroup, fn func(*Who)) error {
	var columns [len(whoColumns)]parquet.ValueReader
	for i, c := range whoColumns {
		leaf, ok := file.Schema().Lookup(c.name)
		if !ok {
			continue
		}
		r := parquet.NewColumnChunkValueReader(group.ColumnChunks()[leaf.ColumnIndex])
		defer r.Close()
		columns[i] = r
	}
	who, values := make([]Who, whoBlock), make([]parquet.Value, whoBlock)
	for left := group.NumRows(); left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := int(min(left, whoBlock))
		clear(who)
		for i, r := range columns {
			if r == nil {
				continue
			}
			if err := setAll(who[:n], r, values, whoColumns[i].set); err != nil {
				return err
			}
		}
		for k := range who[:n] {
			fn(&who[k])
		}
		left -= int64(n)
	}
	return nil
}

// setAll sets one column of who; a column that ends before is damaged. Texts are
// the reader's until its next read.
func setAll(who []Who, r parquet.ValueReader, values []parquet.Value, set func(*Who, parquet.Value)) error {
	for len(who) > 0 {
		n, err := r.ReadValues(values[:len(who)])
		for k, v := range values[:n] {
			if !v.IsNull() {
				set(&who[k], v)
			}
		}
		if who = who[n:]; len(who) == 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// erasedKey is where rows that never came in are counted.
type erasedKey struct {
	site string
	day  day
}

// erasedSize is what such a count is taken for in a commit.
const erasedSize = 160

// erased reports whether an event must not come in, and counts it. The caller
// holds the lake's lock.
func (c *classifier) erased(e *shared.Event) bool {
	if c.l.cfg.Erasures == nil {
		return false
	}
	if c.goneOf != e.SiteID {
		c.goneOf, c.gone = e.SiteID, c.l.cfg.Erasures.Of(e.SiteID)
	}
	if c.gone == nil {
		return false
	}
	if c.who = WhoOf(e); !c.gone(&c.who) {
		return false
	}
	loc, _ := c.l.zones.load(c.l.cfg.Zone(e.SiteID))
	g, key := c.l.gen, erasedKey{e.SiteID, dayOf(e.Time, loc)}
	if g.erased[key] == 0 {
		g.aside += erasedSize
	}
	g.erased[key]++
	return true
}

// erasures are the counts of what a generation did not take.
func (g *generation) erasures() []state.Erased {
	var list []state.Erased
	for key, n := range g.erased {
		list = append(list, state.Erased{SiteID: key.site, Date: key.day.String(), Rows: n})
	}
	return list
}
