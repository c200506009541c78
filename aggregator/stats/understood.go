package stats

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Understood is a question as it was understood, in the words in which it can
// be asked again. Two questions that are understood alike have the same answer,
// as long as nothing is recorded and the site stays as it is.
type Understood struct {
	SiteID     string            `json:"site_id"`
	Metrics    []string          `json:"metrics"`
	DateRange  [2]string         `json:"date_range"` // RFC 3339, both included
	Timezone   string            `json:"timezone"`
	Dimensions []string          `json:"dimensions"`
	Filters    []any             `json:"filters"`
	OrderBy    [][2]string       `json:"order_by"`
	Include    UnderstoodInclude `json:"include"`
	Pagination map[string]int    `json:"pagination"`
}

// UnderstoodInclude is what else is asked for.
type UnderstoodInclude struct {
	Comparisons *UnderstoodComparison `json:"comparisons,omitempty"`
	TimeLabels  bool                  `json:"time_labels,omitempty"`
	TotalRows   bool                  `json:"total_rows,omitempty"`
}

// UnderstoodComparison is the range that is compared with.
type UnderstoodComparison struct {
	Mode      string    `json:"mode"`
	DateRange [2]string `json:"date_range"`
}

// Understood says how the question was understood.
func (q *Query) Understood() Understood {
	u := Understood{
		SiteID: q.SiteID, Metrics: []string{}, DateRange: q.Range.times(), Timezone: q.Range.Zone.String(),
		Dimensions: []string{}, Filters: []any{}, OrderBy: [][2]string{},
		Include:    UnderstoodInclude{TimeLabels: q.Labels, TotalRows: q.TotalRows},
		Pagination: map[string]int{"limit": q.Limit, "offset": q.Offset},
	}
	for _, m := range q.Metrics {
		u.Metrics = append(u.Metrics, m.name)
	}
	for i := range q.Groups {
		u.Dimensions = append(u.Dimensions, q.Groups[i].asked())
	}
	if f := q.Filter; f != nil {
		if f.join == and && !f.goal {
			for _, below := range f.of {
				u.Filters = append(u.Filters, below.asked())
			}
		} else {
			u.Filters = append(u.Filters, f.asked())
		}
	}
	for _, o := range q.ordered() {
		name, direction := "", "asc"
		if o.metric >= 0 {
			name = q.Metrics[o.metric].name
		} else {
			name = q.Groups[o.group].asked()
		}
		if o.descending {
			direction = "desc"
		}
		u.OrderBy = append(u.OrderBy, [2]string{name, direction})
	}
	if q.Compare != nil {
		u.Include.Comparisons = &UnderstoodComparison{"custom", q.Compare.times()}
	}
	return u
}

// Key is the question's canonical form, for caches.
func (q *Query) Key() string {
	key, err := json.Marshal(q.Understood())
	if err != nil {
		panic(err) // texts and numbers can always be encoded
	}
	ranges := fmt.Sprint(q.Range.From, q.Range.To) // in what is understood they are cut to seconds
	if q.Compare != nil {
		ranges += fmt.Sprint(" ", q.Compare.From, q.Compare.To)
	}
	return ranges + " " + string(key)
}

// ordered is the order that was asked for, or the one that there is without.
func (q *Query) ordered() []Order {
	if len(q.Order) > 0 || len(q.Metrics) == 0 {
		return q.Order
	}
	var list []Order
	for i := range q.Groups {
		if q.Groups[i].interval != "" {
			list = append(list, Order{metric: -1, group: i})
		}
	}
	return append(list, Order{group: -1, descending: true})
}

// times are the first and the last second of the range.
func (r Range) times() [2]string {
	return [2]string{
		time.UnixMicro(r.From).In(r.Zone).Format(time.RFC3339),
		time.UnixMicro(r.To - 1).In(r.Zone).Format(time.RFC3339),
	}
}

// asked is the group's name; of time that which says its interval.
func (g *Group) asked() string {
	if g.interval != "" {
		return "time:" + string(g.interval)
	}
	return g.name
}

// asked is the filter in JSON, as it can be asked for again.
func (f *Filter) asked() any {
	below := func() []any {
		list := make([]any, len(f.of))
		for i, b := range f.of {
			list[i] = b.asked()
		}
		return list
	}
	switch f.join {
	case not:
		return []any{"not", f.of[0].asked()}
	case done:
		return []any{"has_done", f.of[0].asked()}
	case and, or:
		if f.goal {
			return []any{"is", goalDimension, f.goals}
		}
		if f.join == or {
			return []any{"or", below()}
		}
		return []any{"and", below()}
	}
	return f.comparison.asked()
}

func (c *comparison) asked() any {
	at := slices.IndexFunc(operators, func(o operatorName) bool { return o.operator == c.operator && o.negated == c.negated })
	values := make([]any, len(c.values))
	for i, v := range c.values {
		if v != nil {
			values[i] = *v
		}
	}
	list := []any{operators[at].name, c.dimension.api, values}
	if c.folded {
		list = append(list, map[string]bool{"case_sensitive": false})
	}
	return list
}
