package stats

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// rankingSize bounds how many values are told apart while they are counted. Those
// that come first when it is full are counted, exactly; visitors come in the order
// of their hashes, so that a value which has not come by then is a rare one.
const rankingSize = 200_000

// ranking counts by the hash of a value: the values themselves, which can be long,
// are looked up for those that are answered.
type ranking[T any] struct {
	values map[uint64]T
	make   func() T
	other  T // of values beyond rankingSize
}

func newRanking[T any](make func() T) *ranking[T] {
	return &ranking[T]{values: map[uint64]T{}, make: make, other: make()}
}

// of is what is counted of a value.
func (r *ranking[T]) of(hash uint64) T {
	v, ok := r.values[hash]
	switch {
	case ok:
		return v
	case len(r.values) >= rankingSize:
		return r.other
	}
	v = r.make()
	r.values[hash] = v
	return v
}

// ranked is a value of an answer.
type ranked[T any] struct {
	hash  uint64
	name  string
	value T
}

// rankedNames lists the values that the query asks for by limit and offset, those
// with most first, then by their names.
func rankedNames[T any](ctx context.Context, e *Engine, files []lake.File, q *Query, d *Dimension, r *ranking[T], weight func(T) int64) ([]ranked[T], error) {
	list := make([]ranked[T], 0, len(r.values))
	for hash, v := range r.values {
		list = append(list, ranked[T]{hash: hash, value: v})
	}
	slices.SortFunc(list, func(a, b ranked[T]) int {
		return cmp.Or(cmp.Compare(weight(b.value), weight(a.value)), cmp.Compare(a.hash, b.hash))
	})
	// Where several have as many as the last one that is asked for, names decide.
	end := min(q.Offset+q.Limit, len(list))
	for end > 0 && end < len(list) && end < q.Offset+2*maxLimit && weight(list[end].value) == weight(list[end-1].value) {
		end++
	}
	list = list[:end]
	hashes := make([]uint64, len(list))
	for i := range list {
		hashes[i] = list[i].hash
	}
	names, err := e.names(ctx, files, q, d, hashes)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].name = names[list[i].hash]
	}
	slices.SortStableFunc(list, func(a, b ranked[T]) int {
		return cmp.Or(cmp.Compare(weight(b.value), weight(a.value)), cmp.Compare(a.name, b.name))
	})
	list = list[min(q.Offset, len(list)):]
	return list[:min(q.Limit, len(list))], nil
}

// names finds the values of a dimension that hashes are of, as answers call them.
func (e *Engine) names(ctx context.Context, files []lake.File, q *Query, d *Dimension, hashes []uint64) (map[uint64]string, error) {
	names := make(map[uint64]string, len(hashes))
	if len(hashes) == 0 {
		return names, nil
	}
	var text strings.Builder
	for i, h := range hashes {
		if i > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(strconv.FormatUint(h, 10))
	}
	// Visits of the range go on behind it.
	all := Query{SiteID: q.SiteID, site: q.site}
	r := q.Range
	r.From, r.To = q.visitSpan(r)
	b := &builder{}
	p := newPlan(&all, r, b, d)
	s := p.picked(false, people)
	value := p.column(d)
	s.text += " SELECT DISTINCT hash(" + value + "), " + value + " FROM picked SEMI JOIN (SELECT unnest(" +
		numbers(text.String()).sql(b) + ") AS wanted) ON hash(" + value + ") = wanted"
	s.args = b.args
	err := e.run(ctx, files, q.SiteID, s, func(scan func(...any) error) error {
		var hash uint64
		var value *string
		err := scan(&hash, &value)
		names[hash] = d.label(value)
		return err
	})
	return names, err
}
