package lake

import (
	"context"
	"fmt"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// generation is what one commit will cover: everything that was ingested
// between two cuts.
type generation struct {
	groups map[groupKey]*group
	order  []*group // as they came
	fresh  []*group // with rows that are not queryable yet, oldest first

	through   uint64 // last spool position taken
	began     time.Time
	rows      int64
	bytes     int
	freshRows int64
	aside     int // estimate of what the three below take in the commit

	late map[state.DayKey]*lateRows // that matter to sealed days

	marks     map[markKey]state.Mark
	edges     map[shared.EdgeID]state.Edge
	incidents []state.Incident
	erased    map[erasedKey]int64 // rows that were not taken
}

type markKey struct {
	edge  shared.EdgeID
	epoch shared.Epoch
}

// groupKey names the rows that share a segment.
type groupKey struct {
	site string
	day  day
	zone string
}

// group is the rows of one site and local day.
type group struct {
	groupKey
	sealed  []*chunk  // in order; never changed
	open    *chunk    // appended to under the lake's lock; may be nil
	freshAt time.Time // since when it is in generation.fresh; zero = it is not
	visible int       // chunks of sealed that micro-segments show

	// The writer's own.
	micros  []*micro       // oldest first
	segment *state.Segment // written, not yet committed
}

func newGeneration() *generation {
	return &generation{
		groups: map[groupKey]*group{}, late: map[state.DayKey]*lateRows{}, marks: map[markKey]state.Mark{}, edges: map[shared.EdgeID]state.Edge{},
		erased: map[erasedKey]int64{},
	}
}

// empty reports whether there is nothing to commit.
func (g *generation) empty() bool { return g.through == 0 }

// seal ends the group's open chunk. The caller holds the lake's lock.
func (g *generation) seal(gr *group) {
	if gr.open == nil {
		return
	}
	before := gr.open.size()
	gr.open.clip()
	g.bytes += gr.open.size() - before
	gr.sealed = append(gr.sealed, gr.open)
	gr.open = nil
}

// begin gives the group a new chunk: with room for all of it where the last one
// was filled. The caller holds the lake's lock.
func (l *Lake) begin(gr *group) {
	gr.open = &chunk{}
	if n := len(gr.sealed); n > 0 && gr.sealed[n-1].full() {
		if n := len(l.spare); n > 0 {
			gr.open.payload = l.spare[n-1]
			l.spare = l.spare[:n-1]
		} else {
			gr.open.payload = make([]byte, 0, payloadBytes)
		}
	}
}

const (
	// asideBytes of marks, edges and incidents make a cut due at once, and
	// Ingest waits at maxAside of them: they move with the segments in one
	// transaction of the state, which takes 2.4 MB.
	asideBytes = 1 << 20
	maxAside   = 3 << 19
	// What one of them is taken for, beside an edge's texts.
	markSize, edgeSize, incidentSize = 256, 640, 1 << 10
)

// Ingest takes a batch: its events become queryable within a second, and are
// committed together with its mark, edge and incidents. A position that was
// taken before is passed over. Ingest waits while the writer is behind; an error
// means that nothing of the batch was taken.
func (l *Lake) Ingest(ctx context.Context, b Batch) error {
	if err := check(&b); err != nil {
		return fmt.Errorf("ingest spool position %d: %w", b.SpoolPos, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closing {
			return fmt.Errorf("ingest spool position %d: %w", b.SpoolPos, ErrClosed)
		}
		if b.SpoolPos <= l.ingested {
			return nil
		}
		if l.buffered() < l.cfg.MaxBuffered && l.gen.aside < maxAside {
			break
		}
		if err := l.wait(ctx); err != nil {
			return fmt.Errorf("ingest spool position %d: the lake is behind: %w", b.SpoolPos, err)
		}
	}
	l.take(&b)
	return nil
}

// check refuses what must not come this far: a site id becomes part of a path.
func check(b *Batch) error {
	if b.SpoolPos == 0 {
		return fmt.Errorf("a batch needs a position")
	}
	last := ""
	for i := range b.Events {
		if site := b.Events[i].SiteID; site != last && !safeSite.MatchString(site) {
			return fmt.Errorf("site id %q is not safe in a path", site)
		}
		last = b.Events[i].SiteID
	}
	return nil
}

// take buffers a batch. The caller holds l.mu.
func (l *Lake) take(b *Batch) {
	g, now := l.gen, time.Now()
	if g.empty() {
		g.began = now
	}
	l.ingested, g.through = b.SpoolPos, b.SpoolPos
	g.setAside(b)
	c := l.classify()
	for i := range b.Events {
		e := &b.Events[i]
		if c.erased(e) {
			continue
		}
		prev := e.PrevVisitorID
		if !l.recent.continues(e) {
			e.PrevVisitorID = 0
		}
		c.add(e, now)
		e.PrevVisitorID = prev // the caller's
	}
	l.signal()
}

// setAside keeps what of a batch is not rows.
func (g *generation) setAside(b *Batch) {
	if b.Mark != (state.Mark{}) {
		key := markKey{b.Mark.Edge, b.Mark.Epoch}
		if _, ok := g.marks[key]; !ok {
			g.aside += markSize
		}
		g.marks[key] = b.Mark
	}
	if !b.Edge.ID.IsZero() {
		if _, ok := g.edges[b.Edge.ID]; !ok {
			g.aside += edgeSize + 6*(len(b.Edge.Name)+len(b.Edge.Version)) // JSON may write a byte as six
		}
		g.edges[b.Edge.ID] = b.Edge
	}
	for _, i := range b.Incidents {
		g.addIncident(i)
	}
}

// addIncident keeps one span for consecutive reports of one thing: an outage
// comes in batch by batch.
func (g *generation) addIncident(i state.Incident) {
	for j := len(g.incidents) - 1; j >= 0; j-- {
		have := &g.incidents[j]
		if have.Edge == i.Edge && have.Reason == i.Reason && i.From >= have.From && i.From <= have.To+1 {
			have.To = max(have.To, i.To)
			have.Count += i.Count
			return
		}
	}
	g.incidents = append(g.incidents, i)
	g.aside += incidentSize
}

// buffered is the memory that events take. The caller holds l.mu.
func (l *Lake) buffered() int {
	n := l.gen.bytes
	if l.cutting != nil {
		n += l.cutting.bytes
	}
	return n
}

// classifier finds the group of each event of a batch. It remembers the last
// one: most events are of the same site and day as the one before.
type classifier struct {
	l        *Lake
	site     string
	zone     string
	loc      *time.Location
	group    *group
	days     *siteDays // that its rows may make late; nil = there are none
	from, to int64     // times that are certainly of group's day

	goneOf string // the site that gone is of
	gone   func(*Who) bool
	who    Who
}

func (l *Lake) classify() *classifier { return &classifier{l: l} }

func (c *classifier) add(e *shared.Event, now time.Time) {
	if c.site != e.SiteID {
		c.site, c.group = e.SiteID, nil
		c.loc, c.zone = c.l.zones.load(c.l.cfg.Zone(e.SiteID))
		c.days = c.l.watched[e.SiteID]
	}
	if c.group == nil || e.Time < c.from || e.Time >= c.to {
		c.find(dayOf(e.Time, c.loc))
	}
	g, gr := c.l.gen, c.group
	before := 0
	if gr.open == nil {
		c.l.begin(gr)
	} else {
		before = gr.open.size()
	}
	gr.open.add(e)
	if c.days != nil {
		c.days.note(g, e, c.l.ingested)
	}
	g.bytes += gr.open.size() - before
	g.rows++
	g.freshRows++
	if gr.freshAt.IsZero() {
		gr.freshAt = now
		g.fresh = append(g.fresh, gr)
	}
	if gr.open.full() {
		g.seal(gr)
	}
}

func (c *classifier) find(d day) {
	if c.group != nil && c.group.day == d {
		return
	}
	key := groupKey{c.site, d, c.zone}
	g := c.l.gen
	if c.group = g.groups[key]; c.group == nil {
		c.group = &group{groupKey: key}
		g.groups[key] = c.group
		g.order = append(g.order, c.group)
		g.bytes += 1 << 10 // what a group takes by itself
	}
	c.from, c.to = d.bounds(c.loc)
}
