package stats

import (
	"context"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Visitor is somebody who came, with what is known of the last event.
type Visitor struct {
	ID          uint64
	First, Last int64 // of the range, µs since 1970
	Visits      int64
	Views       int64
	Events      int64 // custom ones
	// Of is by the names of [VisitorDimensions].
	Of map[string]*string
}

// VisitorDimensions are what is said of a visitor.
var VisitorDimensions = []string{"hostnames", "browsers", "os", "devices", "screen-sizes", "languages", "countries", "regions", "cities"}

// visitorDimensions are the same in the registry.
var visitorDimensions = func() []*Dimension {
	list := make([]*Dimension, len(VisitorDimensions))
	for i, name := range VisitorDimensions {
		for _, d := range dimensions {
			if d.name == name {
				list[i] = d
			}
		}
	}
	return list
}()

// Visitors lists who came, the last one first, and how many there are.
func (e *Engine) Visitors(ctx context.Context, files []lake.File, q Query) (list []Visitor, total int64, err error) {
	list = []Visitor{}
	err = e.run(ctx, files, q.SiteID, compileVisitors(&q), func(scan func(...any) error) error {
		v := Visitor{Of: map[string]*string{}}
		values := make([]*string, len(visitorDimensions))
		into := []any{&v.ID, &v.First, &v.Last, &v.Visits, &v.Views, &v.Events, &total}
		for i := range values {
			into = append(into, &values[i])
		}
		err := scan(into...)
		for i, d := range visitorDimensions {
			v.Of[d.name] = values[i]
		}
		list = append(list, v)
		return err
	})
	return list, total, err
}

func compileVisitors(q *Query) statement {
	b := &builder{}
	p := newPlan(q, q.Range, b, visitorDimensions...)
	s := p.picked(true, people)
	s.text += " SELECT visitor_id, min(t), max(t) AS latest, count(DISTINCT visit), count(*) FILTER (pv), count(*) FILTER (NOT pv), count(*) OVER ()"
	for _, d := range visitorDimensions {
		s.text += ", arg_max(" + p.column(d) + ", t)"
	}
	s.text += " FROM picked WHERE visitor_id IS NOT NULL GROUP BY visitor_id ORDER BY latest DESC, visitor_id LIMIT " + b.arg(q.Limit) + " OFFSET " + b.arg(q.Offset)
	s.args = b.args
	return s
}

// Known reports whether the value of a group is known.
func (r *Result) Known(group int) bool { return r.keys[group] != nil }
