package stats

import (
	"context"
	"slices"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/shared"
)

// ReasonIdentityDay: who comes on two days is two visitors.
const ReasonIdentityDay = "identity_day"

const identityDayMessage = "A visitor of this site is known for one day, so that nothing is seen that goes on over days;" +
	" set the site's identity to month to follow visitors within a month from then on."

// asked makes an answer of any type that of a question.
func asked[T any](v T, caveats []Caveat, err error) (any, []Caveat, error) { return v, caveats, err }

// behaved tells what to know of an answer about visitors, numbers of whom are
// affected, and makes the number of them null where nobody can know it.
func (e *Engine) behaved(ctx context.Context, files []lake.File, q *Query, conditions []Condition, visitors *Count, affects ...string) ([]Caveat, error) {
	if *visitors == 0 {
		all, err := e.visitors(ctx, files, q)
		if err != nil {
			return nil, err
		}
		if p := q.privacy(q.Range); all == Unknowable || all == 0 && p.NoVisitorID {
			*visitors = Unknowable
		}
	}
	c := q.caution(q.Range, affects...)
	for i := range conditions {
		conditions[i].filter.each(func(f *comparison) { c.asks(f.dimension) })
	}
	c.saw(*visitors)
	list := c.list()
	if q.site.Identity != shared.IdentityMonth && q.Range.days() > 1 {
		list = append(list, Caveat{ReasonIdentityDay, affects, identityDayMessage})
	}
	return list, nil
}

// behavedVisits is behaved of an answer about visits, which daily identities are
// enough for.
func (e *Engine) behavedVisits(ctx context.Context, files []lake.File, q *Query, conditions []Condition, visits *Count, affects ...string) ([]Caveat, error) {
	list, err := e.behaved(ctx, files, q, conditions, visits, affects...)
	return slices.DeleteFunc(list, func(c Caveat) bool { return c.Reason == ReasonIdentityDay }), err
}

// visitors counts those of the query's selected interactions.
func (e *Engine) visitors(ctx context.Context, files []lake.File, q *Query) (n Count, err error) {
	b := &builder{}
	s := newPlan(q, q.Range, b).picked(false, people)
	s.text += " SELECT " + countVisitors + " FROM picked"
	s.args = b.args
	err = e.run(ctx, files, q.SiteID, s, func(scan func(...any) error) error { return scan(&n) })
	return n, err
}
