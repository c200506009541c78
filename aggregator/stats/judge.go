package stats

import (
	"context"
	"fmt"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

// Whom the want of assets speaks against (rule 7) is found for days, apart from
// the questions that need it: it is the same for all of them, days that are over
// keep their answer, and mostly it is nobody, so that there is nothing to join.

// unprovenDays are visitors, as the events name them, by the local days, in days
// since 1970, on which they are bots.
type unprovenDays []unprovenDay

type unprovenDay struct {
	day      int64
	n        int
	visitors numbers
}

// sql lists them.
func (u unprovenDays) sql(b *builder) string {
	var visitors, days numbers
	for _, d := range u {
		visitors.join(d.visitors)
		days.repeat(d.day, d.n)
	}
	return "SELECT unnest(" + visitors.sql(b) + ") AS visitor, unnest(" + days.list(b, "BIGINT") + ") AS day"
}

// keptJudgements are spans of days; most questions need two.
const keptJudgements = 16

// freshDays are the last ones of a span, which change with new events: the last
// day of the question and those that its margin touches.
const freshDays = 3

// judge says who is unproven on the days around the statement. files are those
// of the statement.
func (e *Engine) judge(ctx context.Context, files []lake.File, siteID string, s *statement) (unprovenDays, error) {
	var all unprovenDays
	from, to := s.around()
	first, last := dayIn(s.zone, from), dayIn(s.zone, to-1)
	fresh := last.add(0, 0, 1-freshDays)
	spans := [][2]Date{{first, last}}
	if first.days(fresh) > 0 {
		spans = [][2]Date{{first, fresh.add(0, 0, -1)}, {fresh, last}}
	}
	for _, span := range spans {
		// The day before proves, too.
		r := Range{Zone: s.zone, From: span[0].before(s.zone).start(s.zone), To: span[1].add(0, 0, 1).start(s.zone)}
		list := within(files, siteID, r.From, r.To)
		key := fmt.Sprintf("%s %s %d %d %s", siteID, s.zone, r.From, r.To, digest(list))
		part, err := e.judged.Do(ctx, key, func(ctx context.Context) (unprovenDays, error) {
			return e.findUnproven(ctx, list, r, span[0].start(s.zone))
		})
		if err != nil {
			return all, err
		}
		all = append(all, part...)
	}
	return all, nil
}

func (e *Engine) findUnproven(ctx context.Context, files []lake.File, r Range, from int64) (unprovenDays, error) {
	var found unprovenDays
	facts := factsOf(files)
	if facts.Evidence == 0 {
		return found, nil
	}
	err := e.query(ctx, files, compileUnproven(r, from, facts), func(scan func(...any) error) error {
		var d unprovenDay
		err := scan(&d.day, &d.n, &d.visitors)
		found = append(found, d)
		return err
	})
	return found, err
}

// compileUnproven is the SQL of rule 7 for the days of r from the time from on.
func compileUnproven(r Range, from int64, facts state.Facts) statement {
	b := &builder{}
	c := newChart(r, Day)
	w := &resolver{facts: facts, b: b, from: r.From, to: r.To, day: c.sql(b, "epoch_us(time)")}
	n := func(v int64) string { return b.arg(v) + "::BIGINT" }
	w.named()
	// One pass tells what each visitor did on each day. Proof of the day before is
	// joined by equal columns alone: any other condition makes DuckDB compare all
	// pairs.
	isView := "(kind = 'pageview' AND " + ofProxy + " AND verdict IN ('likely', 'person') AND " + window(b, from, r.To) + ")"
	w.add("did AS MATERIALIZED (SELECT visitor_id, " + w.day + " AS day, count(*) FILTER (" + isView + ") AS views, bool_or(" + isProof + ") AS proved" +
		" FROM named WHERE visitor_id IS NOT NULL AND (" + isView + " OR " + isProof + ") AND " + w.near() + " GROUP BY ALL)")
	w.add("judged AS MATERIALIZED (SELECT d.visitor_id AS visitor, d.day AS day, views, proved OR p.day IS NOT NULL AS proven FROM did d" +
		" LEFT JOIN (SELECT visitor_id, " + c.next(b, "day") + " AS day FROM did WHERE proved) p ON d.visitor_id = p.visitor_id AND d.day = p.day WHERE views > 1)")
	w.add("unproven AS (SELECT visitor, day FROM judged SEMI JOIN (SELECT day FROM judged GROUP BY day" +
		" HAVING count(*) >= " + n(witnesses) + " AND count(*) FILTER (proven) * " + n(witnessShare) + " >= count(*)) USING (day)" +
		" WHERE NOT proven AND views >= " + n(unprovenFrom) + ")")
	query := "SELECT visitor, day FROM unproven"
	if facts.Carried > 0 { // each name that the visitor had on the day
		query = "SELECT DISTINCT named_so AS visitor, u.day AS day FROM (SELECT visitor_id, named_so, " + w.day + " AS day FROM named WHERE " + window(b, from, r.To) +
			") n JOIN unproven u ON n.visitor_id = u.visitor AND n.day = u.day"
	}
	query = "SELECT day, count(*), " + gatherNumbers("visitor") + " FROM (" + query + ") GROUP BY day"
	return statement{text: w.text(query), args: b.args}
}
