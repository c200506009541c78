package stats

import (
	"context"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

// How exceptions are found. The rules compare rows in ways that are dear for a
// million of them, and matter to few. So one cheap pass that only counts finds
// those whose fate is not plain, the suspects, and the rules are applied to them
// alone. That is exact because a view which is not suspect has, of all rows with
// its id,
//
//   - one of the proxy, a page view and no prefetch, and nothing else: it counts
//     as it is; or
//   - besides, one load, of the same visitor and less than two minutes away,
//     hence in time on either side: whatever else the rules are asked, this load
//     completes the view and counts 0. Should it repeat another row (rule 1) it is
//     left out, and counts 0 as well.
//
// Visitors are compared as the rows have them: equal ids have equal names, and
// where ids differ the view is suspect and names are compared. Whether a view is
// completed also matters to trackers, which take what is free (rule 5): every
// view of a visitor and path that a tracker saw is suspect.

// findExceptions finds those of a window, files are those within its reach.
func (e *Engine) findExceptions(ctx context.Context, files []lake.File, w lookup) (*exceptions, error) {
	found := &exceptions{}
	facts := factsOf(files)
	if err := e.findDuplicates(ctx, files, w, facts, found); err != nil {
		return nil, err
	}
	if hasLoads(&facts) {
		var err error
		if found.suspects, err = e.numbers(ctx, files, compileSuspects(w, facts)); err != nil {
			return nil, err
		}
	}
	if found.suspects == "" && facts.Trackers == 0 {
		return found, nil
	}
	return found, e.query(ctx, files, compileKept(w, facts, found), found.kept.scan)
}

// findDuplicates finds the rows that rule 1 leaves out. Few keys come twice: rows
// are compared only where the hashes of their keys do.
func (e *Engine) findDuplicates(ctx context.Context, files []lake.File, w lookup, facts state.Facts, found *exceptions) error {
	if facts.Keyed == 0 {
		return nil
	}
	hashes, err := e.numbers(ctx, files, compileRepeated(w))
	if err != nil || hashes == "" {
		return err
	}
	return e.query(ctx, files, compileDuplicates(w, hashes), found.dups.scan)
}

// numbers asks for some.
func (e *Engine) numbers(ctx context.Context, files []lake.File, s statement) (list numbers, err error) {
	err = e.query(ctx, files, s, func(scan func(...any) error) error { return scan(&list) })
	return list, err
}

// What a row is to its view, in bits.
const (
	viewBit  = "1"
	loadBit  = "2"
	otherBit = "4" // a prefetch or an activation
)

// compileSuspects is the SQL that finds the suspect views.
func compileSuspects(w lookup, facts state.Facts) statement {
	b := &builder{}
	from, to := w.reach()
	r := &resolver{facts: facts, b: b, from: from, to: to}
	seen := "(kind = 'pageview' AND " + ofProxy + ")"
	said := "(kind = 'completion' AND name IN ('prefetch', 'activation'))"
	text := "SELECT view_id FROM (SELECT view_id, CASE WHEN " + seen + " THEN " + viewBit + " WHEN kind = 'pageview' THEN " + loadBit + " ELSE " + otherBit +
		" END::UTINYINT AS role, coalesce(visitor_id, 0) AS who, epoch_us(time) AS t FROM events WHERE view_id IS NOT NULL AND (" + seen + " OR " + isLoad +
		" OR " + said + ") AND " + r.near() + ") GROUP BY view_id HAVING NOT (bit_or(role) = " + viewBit + " AND count(*) = 1 OR" +
		// Of two rows alone the ids are the same if they cancel out.
		" bit_or(role) = (" + viewBit + " | " + loadBit + ") AND count(*) = 2 AND bit_xor(who) = 0 AND max(t) - min(t) <= " + r.micros(early) + ")"
	gather := "SELECT " + gatherNumbers("view_id") + " FROM ("
	if facts.Trackers == 0 {
		return statement{text: gather + text + ")", args: b.args}
	}
	r.named()
	r.add("trackers AS MATERIALIZED (SELECT DISTINCT visitor_id AS who, pathname AS path FROM named WHERE " + isTracker + " AND " + r.near() + ")")
	text += " UNION SELECT view_id FROM named SEMI JOIN trackers ON visitor_id IS NOT DISTINCT FROM who AND pathname IS NOT DISTINCT FROM path" +
		" WHERE view_id IS NOT NULL AND " + seen + " AND " + r.near()
	return statement{text: r.text(gather + text + ")"), args: b.args}
}

// compileRepeated is the SQL that finds the hashes of keys that come twice.
func compileRepeated(w lookup) statement {
	b := &builder{}
	from, to := w.reach()
	return statement{text: "SELECT " + gatherNumbers("h") + " FROM (SELECT h FROM (SELECT hash(dedupe_key) AS h FROM events WHERE dedupe_key IS NOT NULL AND " + window(b, from, to) +
		") GROUP BY h HAVING count(*) > 1)", args: b.args}
}

// compileDuplicates is the SQL of rule 1 for rows with such keys. Those around
// the window are wanted, too: the other rules look at rows there.
func compileDuplicates(w lookup, hashes numbers) statement {
	from, to := w.reach()
	r := &resolver{b: &builder{}, from: from, to: to}
	r.add("doubtful AS MATERIALIZED (SELECT unnest(" + hashes.sql(r.b) + ") AS h)")
	r.repeats("(SELECT *, hash(dedupe_key) AS h FROM events) SEMI JOIN doubtful USING (h)")
	return statement{text: r.text(gatherRows("'' AS became", "SELECT edge, epoch, seq FROM dups")), args: r.b.args}
}

// compileKept is the SQL of rules 2 to 5 for the rows of a window, of which
// suspects and duplicates are known.
func compileKept(w lookup, facts state.Facts, found *exceptions) statement {
	if len(found.dups) == 0 {
		facts.Keyed = 0
	}
	from, to := w.reach()
	r := &resolver{facts: facts, b: &builder{}, from: from, to: to, known: found, finding: true}
	r.named()
	r.duplicates()
	r.loads()
	r.trackers()
	inside := " WHERE t >= " + r.b.arg(w.from) + "::BIGINT AND t < " + r.b.arg(w.to) + "::BIGINT"
	return statement{text: r.text(gatherRows("became", "SELECT edge, epoch, seq, became FROM ("+r.kept()+")"+inside)), args: r.b.args}
}
