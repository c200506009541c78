package stats

import (
	"context"
	"net/url"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// AttributionQuery asks where those came from who did something.
type AttributionQuery struct {
	Query
	conversion Condition
	by         *Dimension
	lookback   time.Duration
}

// Attribution says for each source how many conversions it began and ended.
type Attribution struct {
	Conversions Count            `json:"conversions"` // visits that met the condition
	Visitors    Count            `json:"visitors"`    // who made them
	Rows        []AttributionRow `json:"rows"`
	Meta        *Meta            `json:"meta,omitempty"`
}

// AttributionRow is one source.
type AttributionRow struct {
	Value string `json:"value"`
	// FirstTouch are the conversions whose visitor's first visit in the time
	// looked back came from there, LastTouch those that did so themselves.
	FirstTouch int64 `json:"first_touch"`
	LastTouch  int64 `json:"last_touch"`
	// LastKnownTouch are those whose visitor's latest visit that came from
	// somewhere came from there.
	LastKnownTouch int64    `json:"last_known_touch"`
	FirstShare     *float64 `json:"first_share"`
	LastShare      *float64 `json:"last_share"`
}

const (
	defaultLookback = 30 * 24 * time.Hour
	maxLookback     = 180 * 24 * time.Hour
)

// ParseAttribution reads conversion, by and lookback beside the common parameters.
func ParseAttribution(site Site, p url.Values, now time.Time) (AttributionQuery, error) {
	var q AttributionQuery
	var err error
	if q.Query, err = Parse(site, p, now); err != nil {
		return q, err
	}
	if q.conversion, err = site.parseCondition("conversion", p.Get("conversion")); err != nil {
		return q, err
	}
	name := p.Get("by")
	if name == "" {
		name = sources.name
	}
	if q.by, err = filterDimension("by", name); err != nil {
		return q, err
	}
	if q.by.scope != ofVisit {
		return q, invalid("by", "must say where a visit came from: sources, channels, referrers, utm-sources, utm-mediums, utm-campaigns, utm-contents or utm-terms")
	}
	q.lookback, err = parseSpan("lookback", p.Get("lookback"), defaultLookback)
	if err == nil && q.lookback > maxLookback {
		err = invalid("lookback", "must be at most 180 days")
	}
	return q, err
}

// Span is the time that the answer looks at, µs since 1970, the end excluded.
func (q *AttributionQuery) Span() (from, to int64) { return q.visitSpan(q.back()) }

// back is the range with the time that is looked back before it.
func (q *AttributionQuery) back() Range {
	r := q.Range
	r.From -= q.lookback.Microseconds()
	return r
}

// Attribution answers with the sources of conversions.
func (e *Engine) Attribution(ctx context.Context, files []lake.File, q *AttributionQuery) (*Attribution, error) {
	a := &Attribution{Rows: []AttributionRow{}}
	err := e.run(ctx, files, q.SiteID, q.compile(), func(scan func(...any) error) error {
		var value *string
		var row AttributionRow
		if err := scan(&a.Conversions, &a.Visitors, &value, &row.FirstTouch, &row.LastTouch, &row.LastKnownTouch); err != nil {
			return err
		}
		row.Value = q.by.label(value)
		row.FirstShare, row.LastShare = ratio(row.FirstTouch, int64(a.Conversions)), ratio(row.LastTouch, int64(a.Conversions))
		a.Rows = append(a.Rows, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	caveats, err := e.behaved(ctx, files, &q.Query, []Condition{q.conversion}, &a.Visitors, "visitors", "conversions", "first_touch", "last_known_touch")
	if a.Visitors == Unknowable {
		a.Conversions = Unknowable
	}
	a.Meta = metaOf(caveats)
	return a, err
}

// compile is the SQL of one row a value. All visits of the range and of the time
// before it are told apart; of those with a conversion in the range it is asked
// what came before them. Filters are on what converts.
func (q *AttributionQuery) compile() statement {
	b := &builder{}
	p := newPlan(&q.Query, q.back(), b, q.by)
	mask := newMarks(q.Range, []Condition{q.conversion}).mask(p)
	s := p.picked(true, people)
	value := p.column(q.by)
	window := "PARTITION BY visitor_id ORDER BY began RANGE BETWEEN " + b.arg(q.lookback.Microseconds()) + "::BIGINT PRECEDING AND CURRENT ROW"
	s.text += ", eligible AS (SELECT visitor_id, visit FROM picked WHERE visitor_id IS NOT NULL AND " + mask + " = 1 AND t >= " +
		b.arg(q.Range.From) + "::BIGINT GROUP BY ALL)," +
		" touches AS (SELECT visitor_id, began, " + value + " AS value, e.visit IS NOT NULL AS converts FROM visits SEMI JOIN (SELECT visitor_id FROM eligible) USING (visitor_id)" +
		" LEFT JOIN eligible e USING (visitor_id, visit))," +
		" traced AS (SELECT visitor_id, converts, value AS last, first_value(value) OVER w AS first, last_value(value IGNORE NULLS) OVER w AS known" +
		" FROM touches WINDOW w AS (" + window + "))," +
		" conversions AS MATERIALIZED (SELECT visitor_id, last, first, known FROM traced WHERE converts)" +
		" SELECT (SELECT count(*) FROM conversions), (SELECT count(DISTINCT visitor_id) FROM conversions), value, sum(f)::BIGINT AS f, sum(l)::BIGINT AS l, sum(k)::BIGINT AS k FROM (" +
		"SELECT first AS value, 1 AS f, 0 AS l, 0 AS k FROM conversions UNION ALL SELECT last, 0, 1, 0 FROM conversions UNION ALL SELECT known, 0, 0, 1 FROM conversions)" +
		" GROUP BY value ORDER BY l DESC, f DESC, k DESC, value NULLS LAST LIMIT " + b.arg(q.Limit) + " OFFSET " + b.arg(q.Offset)
	s.args = b.args
	return s
}
