package stats

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/lake"
)

// SealRules is the version of what a sealed day's files say: days of older ones
// are not asked, and sealed again. It grows with each change of a definition.
const SealRules = 2

// Sealer derives what a day is sealed with.
type Sealer struct {
	e      *Engine
	atOnce int64 // how many events are sorted at a time
}

// NewSealer makes a sealer that asks as the engine does.
func NewSealer(e *Engine) *Sealer { return &Sealer{e, sortedAtOnce} }

// Rules is the version of the definitions.
func (s *Sealer) Rules() int { return SealRules }

// Derive writes to the sealing's directory the day's events, sorted by visitor and
// time, its rollup, and the views that a later row can still complete.
func (s *Sealer) Derive(ctx context.Context, day *lake.Sealing) (lake.Sealed, error) {
	made := lake.Sealed{Derived: map[string]string{}, Rules: SealRules}
	file := func(name string) string { return filepath.Join(day.Dir, name) }
	if err := s.sort(ctx, day, &made); err != nil {
		return lake.Sealed{}, fmt.Errorf("sort events: %w", err)
	}
	q, err := dayQuery(day)
	if err != nil {
		return lake.Sealed{}, err
	}
	ok, err := s.e.worthRolling(ctx, day.Snapshot.Files, q)
	if err != nil {
		return lake.Sealed{}, fmt.Errorf("count visitors: %w", err)
	}
	if ok {
		rollup := file("rollup.parquet")
		if err := s.e.copy(ctx, day.Snapshot.Files, q.SiteID, compileRollup(q), rollup); err != nil {
			return lake.Sealed{}, fmt.Errorf("roll up: %w", err)
		}
		made.Derived[lake.DerivedRollup] = rollup
	}
	from, to := q.visitSpan(q.Range)
	around := within(day.Snapshot.Files, q.SiteID, from, to)
	if facts := factsOf(around); hasLoads(&facts) { // else every such row counts as one that matters
		open := file("open.parquet")
		if err := s.e.db.Copy(ctx, paths(around), nil, openViews, []any{from, to}, open); err != nil {
			return lake.Sealed{}, fmt.Errorf("list open views: %w", err)
		}
		made.Derived[lake.DerivedOpen] = open
	}
	return made, nil
}

// sortedAtOnce bounds the memory of a sort: a row is one or two kilobytes in
// DuckDB, in the sort and once more in the group that is written.
const sortedAtOnce = 30_000

// sort writes the day's events to segments, each with some of the visitors,
// sorted by visitor and time.
func (s *Sealer) sort(ctx context.Context, day *lake.Sealing, made *lake.Sealed) error {
	rows := int64(0)
	for i := range day.Own {
		rows += day.Own[i].Rows
	}
	parts := 1 + (rows-1)/s.atOnce
	own := []duck.Relation{{Name: "own", Files: paths(day.Own), Union: true}}
	// Ids are spread evenly, and rows without one are by their keys: the upper
	// halves are divided.
	const part = "((coalesce(visitor_id, hash(epoch, seq)) >> 32) * $2::UBIGINT) >> 32"
	var some []uint64
	err := s.e.db.QueryOf(ctx, nil, own, "SELECT DISTINCT "+part+" AS part FROM own ORDER BY part", []any{parts}, func(scan func(...any) error) error {
		var n uint64
		err := scan(&n)
		some = append(some, n)
		return err
	})
	if err != nil {
		return err
	}
	for _, n := range some {
		segment := filepath.Join(day.Dir, fmt.Sprintf("segment-%d.parquet", n))
		err := s.e.db.Copy(ctx, nil, own, "SELECT COLUMNS(lambda c: NOT starts_with(c, '"+duck.SealedPrefix+"')) FROM own"+
			" WHERE "+part+" = $3::UBIGINT ORDER BY visitor_id, time, seq", []any{parts, n}, segment)
		if err != nil {
			return err
		}
		made.Segments = append(made.Segments, segment)
	}
	return nil
}

// dayQuery is a question about the day.
func dayQuery(day *lake.Sealing) (*Query, error) {
	zone, err := time.LoadLocation(day.Key.Zone)
	if err != nil {
		return nil, err
	}
	date, err := parseDate("date", day.Key.Date)
	if err != nil {
		return nil, err
	}
	site := Site{ID: day.Key.SiteID, Zone: zone}
	return &Query{SiteID: site.ID, Range: newRange(zone, date, date), site: site}, nil
}

// copy writes the answer to a statement to a file.
func (e *Engine) copy(ctx context.Context, files []lake.File, siteID string, s statement, path string) error {
	list, s, err := e.resolved(ctx, files, siteID, s)
	if err != nil {
		return err
	}
	return e.db.Copy(ctx, paths(list), s.more(), s.text, s.args, path)
}

// compileRollup is the SQL of the rollup of the query's days, by all dimensions.
func compileRollup(q *Query) statement {
	b := &builder{}
	r := newRollup(q, q.Range, b, append([]*Dimension{together}, rollupDimensions...)...)
	s := r.statement(true)
	s.text = "WITH " + r.define() + " SELECT " + rollupKeys + ", " + rollupSums + " FROM rolled UNION ALL " + r.links() + " ORDER BY dim, value, day"
	s.args = b.args
	return s
}

// crossersAllowed is how many of a day's visitors may be seen on other days, as
// one of so many, for its rollup to be worth its room: under identities of a
// month nearly all are.
const crossersAllowed = 4

// worthRolling reports whether most of the day's visitors are seen on it alone.
func (e *Engine) worthRolling(ctx context.Context, files []lake.File, q *Query) (bool, error) {
	b := &builder{}
	r := newRollup(q, q.Range, b, together)
	s := r.statement(true)
	s.text = "WITH " + r.define() + " SELECT count(visitor), coalesce(sum(visitors), 0)::BIGINT FROM rolled"
	s.args = b.args
	var crossers, others int64
	err := e.run(ctx, files, q.SiteID, s, func(scan func(...any) error) error { return scan(&crossers, &others) })
	return crossers <= 100 || crossers*(crossersAllowed-1) <= others, err
}

// openViews are the ids of views that a row of a later time may complete: pages
// of the proxy that no load of the same visitor has completed yet, and pages that
// were fetched ahead.
const openViews = "SELECT DISTINCT view_id FROM events p WHERE view_id IS NOT NULL AND " + ofProxy +
	" AND epoch_us(time) >= $2::BIGINT AND epoch_us(time) < $3::BIGINT AND (" + isAhead + " OR kind = 'pageview' AND NOT EXISTS (SELECT 1 FROM events l" +
	" WHERE l.kind = 'pageview' AND l.origin IN ('beacon', 'umami', 'plausible') AND l.view_id = p.view_id AND l.visitor_id = p.visitor_id)) ORDER BY view_id"
