package stats

import (
	"context"
	"math/bits"
	"net/url"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/shared"
)

// RetentionQuery asks who comes again in which period.
type RetentionQuery struct {
	Query
	start, again *Condition // nil = any interaction
}

// Retention is the grid of cohorts.
type Retention struct {
	Period  Interval `json:"period"` // day, week or month
	Cohorts []Cohort `json:"cohorts"`
	// IdentitySupportsCohorts is false where who comes again is somebody new.
	IdentitySupportsCohorts bool    `json:"identity_supports_cohorts"`
	Caveat                  *string `json:"caveat"` // says what to change; null = nothing
	Meta                    *Meta   `json:"meta,omitempty"`
}

// Cohort are the visitors who started in one period.
type Cohort struct {
	Date string `json:"cohort_date"` // the period's beginning
	Size Count  `json:"cohort_size"`
	// Retained are those of them seen in the same period, in the next one and so
	// on, as far as the range goes.
	Retained []Count    `json:"retained"`
	Rates    []*float64 `json:"retention_rates"`
}

// The bounds of how many periods: cohorts are bits of one number.
const (
	minPeriods = 2
	maxPeriods = 52
)

// retentionPeriods are what cohorts can be of, and how many of them nobody asked
// otherwise.
var retentionPeriods = []struct {
	interval Interval
	unset    int
	first    func(last Date, n int) Date
}{
	{Week, 12, func(last Date, n int) Date { return last.add(0, 0, -int(last.utc().Weekday()+6)%7-7*(n-1)) }},
	{Day, 14, func(last Date, n int) Date { return last.add(0, 0, 1-n) }},
	{Month, 6, func(last Date, n int) Date { return Date{last.Year, last.Month, 1}.add(0, 1-n, 0) }},
}

// ParseRetention reads period (day, week or month), weeks (how many of them,
// whatever they are), start, return and end_date beside filters and limit.
func ParseRetention(site Site, p url.Values, now time.Time) (RetentionQuery, error) {
	var q RetentionQuery
	kind := retentionPeriods[0]
	switch text := p.Get("period"); text {
	case "", "week":
	case "day":
		kind = retentionPeriods[1]
	case "month":
		kind = retentionPeriods[2]
	default:
		return q, invalid("period", "must be one of day, week, month: what cohorts are of; weeks says how many")
	}
	if p.Get("start_date") != "" {
		return q, invalid("start_date", "follows from end_date, period and weeks: leave it out")
	}
	n, err := parseCount("weeks", p.Get("weeks"), kind.unset, minPeriods, maxPeriods)
	if err != nil {
		return q, err
	}
	zone, err := parseZone(site.Zone, p.Get("timezone"))
	if err != nil {
		return q, err
	}
	last := dateOf(now.In(zone))
	if text := p.Get("end_date"); text != "" {
		if last, err = parseDate("end_date", text); err != nil {
			return q, err
		}
	}
	first := kind.first(last, n)
	common := url.Values{"start_date": {first.String()}, "end_date": {last.String()}, "filters": p["filters"], "timezone": p["timezone"], "interval": {string(kind.interval)}}
	if q.Query, err = Parse(site, common, now); err != nil {
		return q, err
	}
	for field, c := range map[string]**Condition{"start": &q.start, "return": &q.again} {
		if text := p.Get(field); text != "" {
			one, err := site.parseCondition(field, text)
			if err != nil {
				return q, err
			}
			*c = &one
		}
	}
	return q, nil
}

// Retention answers with every cohort of the range. A visitor belongs to the
// first period of the range in which the start condition was met.
func (e *Engine) Retention(ctx context.Context, files []lake.File, q *RetentionQuery) (*Retention, error) {
	c := newChart(q.Range, q.Interval)
	var sizes [maxPeriods + 1]int64
	var seen [maxPeriods + 1][maxPeriods + 1]int64
	err := e.trails(ctx, files, q.SiteID, func(b *builder, whose string) statement { return q.compile(b, &c, whose) }, func(trail [][]uint64) error {
		cohort := bits.TrailingZeros64(trail[0][0])
		sizes[cohort]++
		for again := trail[1][0] >> cohort; again != 0; again &= again - 1 {
			seen[cohort][bits.TrailingZeros64(again)]++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r := &Retention{Period: q.Interval, Cohorts: []Cohort{}, IdentitySupportsCohorts: q.supported()}
	total := Count(0)
	for i, bucket := range c.buckets {
		n := bucket.key - c.buckets[0].key
		cohort := Cohort{Date: bucket.date, Size: Count(sizes[n])}
		for _, later := range c.buckets[i:] {
			retained := seen[n][later.key-bucket.key]
			cohort.Retained = append(cohort.Retained, Count(retained))
			cohort.Rates = append(cohort.Rates, ratio(retained, sizes[n]))
		}
		total += cohort.Size
		r.Cohorts = append(r.Cohorts, cohort)
	}
	caveats, err := e.behaved(ctx, files, &q.Query, q.conditions(), &total, "cohort_size", "retained", "retention_rates")
	if total == Unknowable {
		for i := range r.Cohorts {
			r.Cohorts[i].Size = Unknowable
			for k := range r.Cohorts[i].Retained {
				r.Cohorts[i].Retained[k] = Unknowable
			}
		}
	}
	if !r.IdentitySupportsCohorts {
		message := identityDayMessage
		if q.site.Identity == shared.IdentityMonth {
			message = identityMonthMessage
		}
		r.Caveat = &message
	}
	r.Meta = metaOf(caveats)
	return r, err
}

const identityMonthMessage = "A visitor of this site is known for one month, so that nobody is seen to come again in another one;" +
	" ask for cohorts of days or weeks, whose visitors are known until the month ends."

func (q *RetentionQuery) conditions() (list []Condition) {
	for _, c := range []*Condition{q.start, q.again} {
		if c != nil {
			list = append(list, *c)
		}
	}
	return list
}

// supported reports whether visitors are known for longer than a period.
func (q *RetentionQuery) supported() bool {
	return q.site.Identity == shared.IdentityMonth && q.Interval != Month
}

// compile is the SQL of each visitor's periods as bits: those of the start
// condition, and those of the other. The range has at most 53 of them: a week
// or month that runs is one.
func (q *RetentionQuery) compile(b *builder, c *chart, whose string) statement {
	m := newMarks(q.Range, nil)
	met := [2]string{"true", "true"}
	for i, condition := range []*Condition{q.start, q.again} {
		if condition != nil {
			met[i] = "mask // " + b.arg(int64(1)<<len(m.conditions)) + "::BIGINT % 2 = 1"
			m.conditions = append(m.conditions, *condition)
		}
	}
	p := newPlan(&q.Query, q.Range, b)
	mask := "0::BIGINT"
	if len(m.conditions) > 0 {
		mask = m.mask(p)
	}
	s := p.picked(false, people+" AND "+whose)
	first := int64(0)
	if len(c.buckets) > 0 {
		first = c.buckets[0].key
	}
	periods := func(met string) string { return "coalesce(bit_or(bit) FILTER (" + met + "), 0::BIGINT)" }
	s.text += " SELECT visitor_id AS v, started, again FROM (SELECT visitor_id, " + periods(met[0]) + " AS started, " + periods(met[1]) + " AS again" +
		" FROM (SELECT visitor_id, 1::BIGINT << (" + c.sql(b, "t") + " - " + b.arg(first) + "::BIGINT)::INTEGER AS bit, " + mask + " AS mask" +
		" FROM picked WHERE " + whose + ") GROUP BY visitor_id) WHERE started <> 0"
	s.args = b.args
	return s
}
