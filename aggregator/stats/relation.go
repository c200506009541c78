package stats

import (
	"context"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

// Relation is a SELECT with its arguments, which are $2, $3 and so on in it.
type Relation struct {
	Text string
	Args []any
}

// Relations are what is asked for a site by SQL from people. What their texts
// call `events` is to be the rows of Files as they are.
type Relations struct {
	Files []string
	// Counted has one row for one view or one event, of people and of bots: the
	// columns of the files, and
	//
	//	class         how a page view came to count
	//	reclassified  whether it is a bot's for want of assets
	//	day           the site's local day, a DATE
	Counted Relation
	// Interactions are the rows of a relation `counted`, which is to be that one,
	// of which visits are made, and
	//
	//	k             their order among the visitor's
	//	t             when, in µs since 1970
	//	began         when its visit began, in µs since 1970: with the visitor, the
	//	              visit's name
	Interactions Relation
	// Said has what visitors were said to be by identify: visitor_id, distinct_id,
	// props, prop_types, time, edge, epoch and seq.
	Said Relation
}

// Relations defines the relations over a site's files, for the time [from, to)
// in µs since 1970.
func (e *Engine) Relations(ctx context.Context, files []lake.File, siteID string, zone *time.Location, from, to int64) (Relations, error) {
	var out Relations
	b := &builder{}
	days := newChart(Range{Zone: zone, From: from, To: to}, Day)
	s := statement{from: from, to: to, zone: zone, fill: true}
	s.text = "SELECT *, DATE '1970-01-01' + CAST(" + days.sql(b, "epoch_us(time)") + " AS INTEGER) AS day FROM counted WHERE kind <> 'completion' AND " + window(b, from, to)
	s.args = b.args
	list, counted, err := e.resolved(ctx, files, siteID, s)
	if err != nil {
		return out, err
	}
	out.Counted = Relation{counted.text, counted.args}
	for i := range list {
		out.Files = append(out.Files, list[i].Path)
	}
	out.Interactions = interactions(zone, from, to)
	out.Said = said(factsOf(list), from, to)
	return out, nil
}

// said is the SQL of what identify said of visitors, under their one name.
func said(facts state.Facts, from, to int64) Relation {
	r := &resolver{facts: facts, b: &builder{}, from: from - reach.Microseconds(), to: to + reach.Microseconds()}
	r.named()
	text := "SELECT visitor_id, distinct_id, props, prop_types, time, edge, epoch, seq FROM named" +
		" WHERE kind = 'completion' AND name = 'identify' AND visitor_id IS NOT NULL AND " + window(r.b, from, to)
	return Relation{r.text(text), r.b.args}
}

// interactions is the SQL of the one definition of a visit, as a value of each of
// its rows: a gap of more than visitGap ends a visit, and so do two hours after
// the end of the local day in which it began. Where no gap ends it, the first row
// after these two hours begins the next one, on the day that has begun by then.
func interactions(zone *time.Location, from, to int64) Relation {
	b := &builder{}
	slack := Margin.Microseconds()
	days := newChart(Range{Zone: zone, From: from - slack, To: to}, Day)
	gap := b.arg(visitGap.Microseconds()) + "::BIGINT"
	early := "t - " + b.arg(slack) + "::BIGINT"
	text := "WITH people AS (SELECT *, " + ordinal + " AS k, epoch_us(time) AS t FROM counted WHERE " + people + ")," +
		" dated AS (SELECT *, " + days.sql(b, "t") + " AS on_day, " + days.sql(b, "("+early+")") + " AS by_day FROM people)," +
		" marked AS (SELECT *, visitor_id IS NULL OR coalesce(t - lag(t) OVER w > " + gap + ", true) AS breaks, lag(by_day) OVER w AS by_before" +
		" FROM dated WINDOW w AS (PARTITION BY visitor_id ORDER BY k))," +
		" runs AS (SELECT *, max(CASE WHEN breaks THEN k END) OVER (PARTITION BY visitor_id ORDER BY k ROWS UNBOUNDED PRECEDING) AS run FROM marked)," +
		" begun AS (SELECT *, breaks OR by_day <> by_before AND on_day > first_value(on_day) OVER (PARTITION BY visitor_id, run ORDER BY k) AS starts FROM runs)" +
		" SELECT * EXCLUDE (on_day, by_day, breaks, by_before, run, starts)," +
		" max(CASE WHEN starts THEN t END) OVER (PARTITION BY visitor_id ORDER BY k ROWS UNBOUNDED PRECEDING) AS began FROM begun"
	return Relation{text, b.args}
}
