package stats

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/behavior"
	"github.com/eider-analytics/eider/aggregator/lake"
)

// SequenceQuery asks who did things in some order, and how often.
type SequenceQuery struct {
	Query
	steps   []Condition
	pattern *behavior.Pattern
}

// Sequence is the answer.
type Sequence struct {
	Converting     Count    `json:"converting_visitors"`
	Total          Count    `json:"total_visitors"`
	ConversionRate *float64 `json:"conversion_rate"`
	Matches        int64    `json:"total_matches"` // none within another
	// Events are the pattern's (?N) in their order: how many visitors came to
	// each, in their first match or, without one, the longest beginning of one.
	Events []SequenceEvent `json:"events_matched"`
	Meta   *Meta           `json:"meta,omitempty"`
}

// SequenceEvent is one (?N) of a pattern.
type SequenceEvent struct {
	Name          string   `json:"name"` // the condition as it was asked for
	Visitors      int64    `json:"visitors"`
	MedianSeconds *float64 `json:"median_seconds"` // since the first one
	MeanSeconds   *float64 `json:"mean_seconds"`
}

// ParseSequence reads steps and pattern beside the common parameters. Without a
// pattern the steps come one after another, with anything between.
func ParseSequence(site Site, p url.Values, now time.Time) (SequenceQuery, error) {
	var q SequenceQuery
	var err error
	if q.Query, err = Parse(site, p, now); err != nil {
		return q, err
	}
	if q.steps, err = site.parseConditions("steps", p.Get("steps"), 1, behavior.MaxConditions); err != nil {
		return q, err
	}
	text := p.Get("pattern")
	if text == "" {
		var parts []string
		for i := range q.steps {
			parts = append(parts, fmt.Sprintf("(?%d)", i+1))
		}
		text = strings.Join(parts, ".*")
	}
	q.pattern, err = behavior.ParsePattern(text, len(q.steps))
	if wrong := (*behavior.SyntaxError)(nil); errors.As(err, &wrong) {
		return q, invalid("pattern", "%s", wrong)
	}
	return q, err
}

// Sequence looks for the pattern in the events of every visitor.
func (e *Engine) Sequence(ctx context.Context, files []lake.File, q *SequenceQuery) (*Sequence, error) {
	var a Sequence
	m := newMarks(q.Range, q.steps)
	look := behavior.NewSequence(q.pattern)
	numbered := q.pattern.Conditions()
	reached, took := make([]int64, len(numbered)), make([]spans, len(numbered))
	err := e.trails(ctx, files, q.SiteID, func(b *builder, whose string) statement {
		p := newPlan(&q.Query, q.Range, b)
		mask := m.mask(p)
		s := p.picked(false, people+" AND "+whose)
		s.text += " SELECT visitor_id AS v, " + m.columns(b, mask) + " FROM picked WHERE " + mask + " <> 0 ORDER BY v, " + m.order()
		s.args = b.args
		return s
	}, func(trail [][]uint64) error {
		events := m.decode(trail)
		if n := look.Count(events); n > 0 {
			a.Converting++
			a.Matches += int64(n)
		}
		times := look.Times(events)
		for i, at := range times {
			reached[i]++
			took[i].add(at - times[0])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if a.Total, err = e.visitors(ctx, files, &q.Query); err != nil {
		return nil, err
	}
	for i, c := range numbered {
		event := SequenceEvent{Name: q.steps[c-1].String(), Visitors: reached[i]}
		if i > 0 {
			event.MedianSeconds, event.MeanSeconds = took[i].median(), took[i].mean()
		}
		a.Events = append(a.Events, event)
	}
	caveats, err := e.behaved(ctx, files, &q.Query, q.steps, &a.Total, "total_visitors", "converting_visitors", "conversion_rate", "total_matches")
	if a.Total == Unknowable {
		a.Converting = Unknowable
	}
	a.ConversionRate = ratio(int64(a.Converting), int64(a.Total))
	a.Meta = metaOf(caveats)
	return &a, err
}
