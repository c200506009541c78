package stats

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/aggregator/behavior"
	"github.com/eider-analytics/eider/aggregator/lake"
)

// A trail is what one visitor did, in order: the rows of a question about
// behaviour, brought to Go as columns of 64-bit integers. The first is the
// visitor, by whom and by what follows DuckDB has ordered them.

// trailRows is about how many rows are brought at a time. DuckDB orders them in
// its memory, and holds them all: 24 bytes each. Of more, visitors are divided by
// their ids, which are hashes. A variable for tests.
var trailRows int64 = 2_500_000

// trails calls each with the columns behind the visitor's of one visitor after
// another, valid during the call. compile writes the statement about the visitors
// of a condition.
func (e *Engine) trails(ctx context.Context, files []lake.File, siteID string, compile func(b *builder, whose string) statement, each func(trail [][]uint64) error) error {
	s := compile(&builder{}, "")
	list, _ := relevant(files, siteID, &s)
	rows := int64(0)
	for i := range list {
		rows += list[i].Rows
	}
	parts := uint64(max(1, (rows+trailRows-1)/trailRows))
	width := math.MaxUint64/parts + 1 // 0 = all of them
	for part := range parts {
		b := &builder{}
		whose := "visitor_id IS NOT NULL"
		if parts > 1 {
			// As text: database/sql knows no integers with the highest bit.
			bound := func(id uint64) string { return b.arg(strconv.FormatUint(id, 10)) + "::UBIGINT" }
			last := part*width + (width - 1)
			if part == parts-1 {
				last = math.MaxUint64
			}
			whose = "visitor_id BETWEEN " + bound(part*width) + " AND " + bound(last)
		}
		if err := e.trail(ctx, files, siteID, compile(b, whose), each); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) trail(ctx context.Context, files []lake.File, siteID string, s statement, each func([][]uint64) error) error {
	list, s, err := e.resolved(ctx, files, siteID, s)
	if err != nil {
		return err
	}
	g := gatherer{each: each}
	if err := e.db.Stream(ctx, paths(list), s.text, s.args, g.take); err != nil {
		return fmt.Errorf("stats: %w", err)
	}
	return g.flush()
}

// gatherer cuts rows into those of one visitor.
type gatherer struct {
	each    func([][]uint64) error
	visitor uint64
	trail   [][]uint64
}

func (g *gatherer) take(columns [][]uint64) error {
	visitors := columns[0]
	if g.trail == nil {
		g.trail = make([][]uint64, len(columns)-1)
	}
	for i := 0; i < len(visitors); {
		if visitors[i] != g.visitor {
			if err := g.flush(); err != nil {
				return err
			}
			g.visitor = visitors[i]
		}
		end := i + 1
		for end < len(visitors) && visitors[end] == g.visitor {
			end++
		}
		for c := range g.trail {
			g.trail[c] = append(g.trail[c], columns[c+1][i:end]...)
		}
		i = end
	}
	return nil
}

// flush hands on what there is of a visitor.
func (g *gatherer) flush() error {
	if len(g.trail) == 0 || len(g.trail[0]) == 0 {
		return nil
	}
	err := g.each(g.trail)
	for c := range g.trail {
		g.trail[c] = g.trail[c][:0]
	}
	return err
}

// marks are conditions as bits of a number, and how that goes together with a
// time into one column, which takes a third of the work off the ordering: the
// time since the range's beginning, and below it the bits.
type marks struct {
	conditions []Condition
	rng        Range
	packed     bool
	events     []behavior.Event // used again
}

func newMarks(r Range, conditions []Condition) *marks {
	return &marks{conditions: conditions, rng: r, packed: bits.Len64(uint64(r.To-r.From))+len(conditions) < 63}
}

// mask is the SQL of the bits over the rows that the plan picks, and makes sure
// that they have what it needs. It is a sum, since operators on bits have DuckDB's
// precedence and not C's. Where nothing in it is of the visit, it is worked out as
// a column of its own before visits are told apart: a number is carried through
// that quicker than texts.
func (m *marks) mask(p *plan) string {
	d := &Dimension{name: "mask"}
	value, columns := (*Dimension).sql, m.ofVisits()
	if columns {
		value = p.ofColumn
	}
	terms := make([]string, len(m.conditions))
	for i := range m.conditions {
		f := m.conditions[i].filter
		d.filled = d.filled || f.filled()
		if columns {
			f.each(func(c *comparison) { p.add(c.dimension) })
		}
		terms[i] = "CASE WHEN " + p.filter(f, value) + " THEN " + p.b.arg(int64(1)<<i) + "::BIGINT ELSE 0::BIGINT END"
	}
	d.expr = "(" + strings.Join(terms, " + ") + ")"
	if columns {
		return d.expr
	}
	p.add(d)
	return p.column(d)
}

func (m *marks) ofVisits() bool {
	return slices.ContainsFunc(m.conditions, func(c Condition) bool { return c.filter.ofVisits() })
}

// columns are the SQL of the columns that decode reads.
func (m *marks) columns(b *builder, mask string) string {
	since := "(t - " + b.arg(m.rng.From) + "::BIGINT)"
	if m.packed {
		return since + " * " + b.arg(int64(1)<<len(m.conditions)) + "::BIGINT + " + mask + " AS k"
	}
	return since + " AS k, " + mask + " AS mask"
}

// order is by what rows of one visitor are ordered: time, then bits.
func (m *marks) order() string {
	if m.packed {
		return "k"
	}
	return "k, mask"
}

// decode reads the events of a trail. They are valid until the next call.
func (m *marks) decode(trail [][]uint64) []behavior.Event {
	m.events = m.events[:0]
	n := len(m.conditions)
	for i, k := range trail[0] {
		if m.packed {
			m.events = append(m.events, behavior.Event{Time: m.rng.From + int64(k>>n), Mask: uint32(k & (1<<n - 1))})
		} else {
			m.events = append(m.events, behavior.Event{Time: m.rng.From + int64(k), Mask: uint32(trail[1][i])})
		}
	}
	return m.events
}

// inOrder is a column that orders a visitor's rows by time and sequence.
var inOrder = &Dimension{name: "ordinal", expr: ordinal + "::BIGINT"}

// width is how many columns they are.
func (m *marks) width() int {
	if m.packed {
		return 1
	}
	return 2
}
