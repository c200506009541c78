package lake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/durable"
	"github.com/eider-analytics/eider/shared/failpoint"
)

// Selection names segments. Empty parts leave out nothing.
type Selection struct {
	SiteID   string
	From, To string // local days, yyyy-mm-dd, both included
}

func (s *Selection) has(seg *state.Segment) bool {
	return (s.SiteID == "" || s.SiteID == seg.SiteID) && (s.From == "" || seg.Date >= s.From) && (s.To == "" || seg.Date <= s.To)
}

// Rewritten says what [Lake.Revise] did, or would do.
type Rewritten struct {
	Segments int   // that were read
	Written  int   // that were replaced, or would be
	Rows     int64 // that were read
	Changed  int64 // of them
}

// Revise gives the committed rows of a selection new verdicts: change sees each
// row's columns that verdicts are made of, sets the verdict's columns, and
// reports whether it changed any. Every other column, the rows and their order
// stay; segments without a change stay as they are. With dry nothing is written.
//
// Each segment is replaced in one step: readers see it as it was or as it is,
// and keep their snapshot. When ctx ends or an error comes, what was replaced
// before stays replaced; doing it again finishes it. One call at a time.
func (l *Lake) Revise(ctx context.Context, sel Selection, dry bool, change func(*shared.Event) bool) (Rewritten, error) {
	l.revising.Lock()
	defer l.revising.Unlock()
	var done Rewritten
	m, err := l.cfg.State.Manifest()
	if err != nil {
		return done, fmt.Errorf("revise lake: %w", err)
	}
	for i := range m.Segments {
		if !sel.has(&m.Segments[i]) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return done, fmt.Errorf("revise lake: %w", err)
		}
		if err := l.revise(ctx, &m.Segments[i], dry, change, &done); err != nil {
			return done, fmt.Errorf("revise segment %s: %w", m.Segments[i].Path, err)
		}
	}
	return done, nil
}

// revise reads a segment, and replaces it where a row changes.
func (l *Lake) revise(ctx context.Context, seg *state.Segment, dry bool, change func(*shared.Event) bool, done *Rewritten) error {
	if seg.Schema > SealedSchema {
		return fmt.Errorf("it has schema %d, this version knows up to %d: use the version that wrote it", seg.Schema, SealedSchema)
	}
	path := l.path(seg.Path)
	changed, where := int64(0), touched{}
	err := eachBlock(path, func(rows []row) error {
		for i := range rows {
			if rows[i].revise(change) {
				changed++
				where.add(rows[i].Time)
			}
		}
		return ctx.Err()
	})
	if errors.Is(err, os.ErrNotExist) && !l.lists(path) {
		return nil // its rows are somewhere else by now
	}
	if err != nil {
		return err
	}
	done.Segments++
	done.Rows += seg.Rows
	done.Changed += changed
	if changed == 0 {
		return nil
	}
	done.Written++
	if dry {
		return nil
	}
	next, err := l.copySegment(seg, path, change)
	if err != nil {
		return err
	}
	return l.swap(ctx, seg, next, where)
}

// copySegment writes a segment's rows, changed, to a new durable one that is not
// listed yet.
func (l *Lake) copySegment(seg *state.Segment, path string, change func(*shared.Event) bool) (*state.Segment, error) {
	now := time.Now()
	next := *seg
	// A sealed segment's successor has the columns of an event and no more: what
	// sealing found out of its rows may not be so any longer.
	next.ID, next.CreatedAt, next.Schema, next.Sealed = newID(now), now.UnixMicro(), Schema, false
	next.Path = segmentPath(seg.SiteID, seg.Date, next.ID)
	rows := int64(0)
	to := filepath.Join(l.cfg.Dir, filepath.FromSlash(next.Path))
	size, err := writeFile(to, true, func(out *os.File) error {
		e := newEncoder(true)
		e.reset(out)
		err := eachBlock(path, func(block []row) error {
			for i := range block {
				block[i].revise(change)
			}
			if rows == 0 {
				failpoint.Hit("lake.revise.writing")
			}
			rows += int64(len(block))
			return e.addRows(block)
		})
		return errors.Join(err, e.close())
	})
	if err == nil && rows != seg.Rows {
		err = fmt.Errorf("%d rows were read, the manifest says %d: see `eider verify`", rows, seg.Rows)
		_ = os.Remove(to)
	}
	if err != nil {
		return nil, err
	}
	next.Bytes = size
	return &next, durable.SyncDir(filepath.Dir(to))
}

// eachBlock reads a segment in blocks. The rows are valid during the call only.
func eachBlock(path string, fn func([]row) error) error { return eachOf(path, fn) }

// addRows appends rows as they were read, and writes them.
func (e *encoder) addRows(rows []row) error {
	for i := range rows {
		if err := e.addRow(&rows[i]); err != nil {
			return err
		}
	}
	return e.flush() // the rows' texts are the reader's
}

// addRow appends a row as it was read. It must stay until the next flush.
func (e *encoder) addRow(r *row) error {
	e.block[e.n] = *r
	e.has.note(&e.block[e.n], e.n)
	if e.n++; e.n < blockRows {
		return nil
	}
	return e.flush()
}

// revise shows change the columns that verdicts are made of, and takes the
// verdict from it.
func (r *row) revise(change func(*shared.Event) bool) bool {
	e := shared.Event{
		SiteID: r.SiteID, Time: r.Time, Origin: shared.Origin(r.Origin), Kind: shared.Kind(r.Kind), Name: r.Name, Pathname: r.Pathname,
		Browser: r.Browser, BrowserVersion: r.BrowserVersion, OS: r.OS, OSVersion: r.OSVersion, DeviceType: r.DeviceType,
		Verdict: shared.Verdict(r.Verdict), VerdictReason: r.VerdictReason, BotName: r.BotName, BotCategory: r.BotCategory,
		BotOperator: r.BotOperator, AIPurpose: r.AIPurpose, AgentToken: r.AgentToken,
	}
	if r.Status != nil {
		e.Status = shared.Some(int64(*r.Status))
	}
	if r.Verified != nil {
		e.Verified = shared.Some(*r.Verified)
	}
	if !change(&e) {
		return false
	}
	r.Verdict, r.VerdictReason = string(e.Verdict), e.VerdictReason
	r.BotName, r.BotCategory, r.BotOperator, r.AIPurpose = e.BotName, e.BotCategory, e.BotOperator, e.AIPurpose
	return true
}

// swap lists next instead of old, and returns when that is durable and seen.
// Days that the changed rows matter to are late from then on.
func (l *Lake) swap(ctx context.Context, old, next *state.Segment, changed touched) error {
	ran := false
	err := l.do(ctx, func() error { ran = true; return l.exchange(old, next, changed) })
	if err != nil && !ran {
		return errors.Join(err, l.discard(next))
	}
	return err
}

// exchange is the writer's part of a swap.
func (l *Lake) exchange(old, next *state.Segment, changed touched) error {
	from := l.fileOf(old)
	durable := make([]File, 0, len(l.durable))
	found := false
	for _, f := range l.durable {
		if f.Path == from.Path {
			f, found = l.fileOf(next), true
		}
		durable = append(durable, f)
	}
	if !found { // its rows are somewhere else by now
		return l.discard(next)
	}
	days, pending := l.touch(old, changed)
	failpoint.Hit("lake.exchange.before")
	if err := l.cfg.State.Commit(state.Commit{Add: []state.Segment{*next}, Remove: []string{old.ID}, Days: days}); err != nil {
		return err // the file is removed by the next start, if the state does not list it
	}
	failpoint.Hit("lake.exchange.after")
	l.durable = durable
	l.setDays(days)
	for s, n := range pending {
		s.late += n
	}
	l.views.publish(durable, l.hotFiles(), l.daysNow(), []string{from.Path})
	return nil
}

// discard removes a segment that was never listed.
func (l *Lake) discard(seg *state.Segment) error {
	return os.Remove(filepath.Join(l.cfg.Dir, filepath.FromSlash(seg.Path)))
}

// lists reports whether the newest snapshot has a file.
func (l *Lake) lists(path string) bool {
	s := l.Snapshot()
	defer s.Release()
	for i := range s.Files {
		if s.Files[i].Path == path {
			return true
		}
	}
	return false
}
