package stats

import (
	"context"
	"net/url"
	"time"

	"github.com/eider-analytics/eider/aggregator/behavior"
	"github.com/eider-analytics/eider/aggregator/lake"
)

// FunnelQuery asks how far visitors come through steps.
type FunnelQuery struct {
	Query
	steps []Condition
	way   behavior.Funnel
	by    *Dimension // nil = all visitors together
}

// FunnelStep is one step, and who came to it and through those before.
type FunnelStep struct {
	Step           int      `json:"step"` // from 1
	Name           string   `json:"name"` // as it was asked for
	Visitors       Count    `json:"visitors"`
	ConversionRate *float64 `json:"conversion_rate"` // of those of step 1
	DroppedOff     Count    `json:"dropped_off"`     // came to the step before and not to this one
	// Seconds from step 1 on, the first time that a visitor came to the step.
	MedianSeconds *float64 `json:"median_seconds"`
	MeanSeconds   *float64 `json:"mean_seconds"`
}

// FunnelPart is the funnel of those with one value where they took step 1.
type FunnelPart struct {
	Value string       `json:"value"`
	Steps []FunnelStep `json:"steps"`
}

const defaultWindow = 24 * time.Hour

// ParseFunnel reads steps, window, modes and breakdown beside the common
// parameters.
func ParseFunnel(site Site, p url.Values, now time.Time) (FunnelQuery, error) {
	var q FunnelQuery
	var err error
	if q.Query, err = Parse(site, p, now); err != nil {
		return q, err
	}
	if q.steps, err = site.parseConditions("steps", p.Get("steps"), 2, behavior.MaxConditions); err != nil {
		return q, err
	}
	window, err := parseSpan("window", p.Get("window"), defaultWindow)
	if err != nil {
		return q, err
	}
	q.way = behavior.Funnel{Steps: len(q.steps), Window: window.Microseconds()}
	if q.way.Modes, err = behavior.ParseModes(p.Get("modes")); err != nil {
		return q, invalid("modes", "%s", err)
	}
	if name := p.Get("breakdown"); name != "" {
		if q.by, err = filterDimension("breakdown", name); err != nil {
			return q, err
		}
	}
	return q, nil
}

// Funnel answers with the steps.
func (e *Engine) Funnel(ctx context.Context, files []lake.File, q *FunnelQuery) ([]FunnelStep, []Caveat, error) {
	all := newFunnelTally(q)
	m := newMarks(q.Range, q.steps)
	err := e.trails(ctx, files, q.SiteID, func(b *builder, whose string) statement { return q.compile(b, m, whose) }, func(trail [][]uint64) error {
		all.add(q.way.Reach(m.decode(trail)))
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	steps := all.steps()
	caveats, err := e.behaved(ctx, files, &q.Query, q.steps, &steps[0].Visitors, "visitors", "conversion_rate", "dropped_off")
	if steps[0].Visitors == Unknowable {
		for i := range steps {
			steps[i].Visitors, steps[i].DroppedOff = Unknowable, Unknowable
		}
	}
	return steps, caveats, err
}

// compile is the SQL of the rows that are some step, or could end the way.
func (q *FunnelQuery) compile(b *builder, m *marks, whose string) statement {
	p := newPlan(&q.Query, q.Range, b)
	mask := m.mask(p)
	value := ""
	if q.by != nil {
		p.add(q.by)
		value = ", hash(" + p.column(q.by) + ") AS value"
	}
	s := p.picked(false, people+" AND "+whose)
	s.text += " SELECT visitor_id AS v, " + m.columns(b, mask) + value + " FROM picked WHERE " + whose
	if q.way.Modes&behavior.StrictOrder == 0 {
		s.text += " AND " + mask + " <> 0"
	}
	s.text += " ORDER BY v, " + m.order()
	s.args = b.args
	return s
}

// FunnelParts answers with the funnels of the dimension's values, those with most
// visitors at step 1 first.
func (e *Engine) FunnelParts(ctx context.Context, files []lake.File, q *FunnelQuery) ([]FunnelPart, []Caveat, error) {
	parts := newRanking(func() *funnelTally { return newFunnelTally(q) })
	m := newMarks(q.Range, q.steps)
	total := Count(0)
	err := e.trails(ctx, files, q.SiteID, func(b *builder, whose string) statement { return q.compile(b, m, whose) }, func(trail [][]uint64) error {
		events := m.decode(trail)
		for i, event := range events {
			if event.Meets(1) {
				parts.of(trail[m.width()][i]).add(q.way.Reach(events))
				total++
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	caveats, err := e.behaved(ctx, files, &q.Query, q.steps, &total, "visitors", "conversion_rate", "dropped_off")
	if err != nil {
		return nil, nil, err
	}
	top, err := rankedNames(ctx, e, files, &q.Query, q.by, parts, func(t *funnelTally) int64 { return t.reached[0] })
	list := []FunnelPart{}
	for _, t := range top {
		list = append(list, FunnelPart{t.name, t.value.steps()})
	}
	return list, caveats, err
}

// AskFunnel answers with the whole, or with parts where they are asked for.
func (e *Engine) AskFunnel(ctx context.Context, files []lake.File, q *FunnelQuery) (any, []Caveat, error) {
	if q.by != nil {
		return asked(e.FunnelParts(ctx, files, q))
	}
	return asked(e.Funnel(ctx, files, q))
}

// funnelTally counts visitors by how far they came.
type funnelTally struct {
	q       *FunnelQuery
	reached []int64
	took    []spans
}

func newFunnelTally(q *FunnelQuery) *funnelTally {
	return &funnelTally{q: q, reached: make([]int64, len(q.steps)), took: make([]spans, len(q.steps))}
}

func (t *funnelTally) add(level int, took [behavior.MaxConditions]int64) {
	for k := range level {
		t.reached[k]++
		if k > 0 {
			t.took[k].add(took[k])
		}
	}
}

func (t *funnelTally) steps() []FunnelStep {
	steps := make([]FunnelStep, len(t.reached))
	for k, n := range t.reached {
		steps[k] = FunnelStep{
			Step: k + 1, Name: t.q.steps[k].String(), Visitors: Count(n), ConversionRate: ratio(n, t.reached[0]),
			MedianSeconds: t.took[k].median(), MeanSeconds: t.took[k].mean(),
		}
		if k > 0 {
			steps[k].DroppedOff = Count(t.reached[k-1] - n)
		}
	}
	return steps
}

// ratio is a part of a whole, null of nothing.
func ratio(part, whole int64) *float64 {
	if whole <= 0 {
		return nil
	}
	v := float64(part) / float64(whole)
	return &v
}
