package stats

import (
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
)

// Every question is asked of the relation `counted`, which is defined here and
// nowhere else: the rows of docs/formats/completions.md resolved, so that one
// row is one view or one event. It has the columns of `events`, of which kind,
// verdict, visitor_id, title and screen_size may say something else, and
//
//	named_so      the visitor_id of the row itself, before names were joined
//	class         how a page view came to count: recorded, activated, cached,
//	              script_only; null for everything else
//	reclassified  whether its verdict became bot for want of assets
//
// Which steps there are depends on what the files hold (state.Facts): of files
// without any such row, `counted` is `events`.

// Bounds of what is looked for around a row.
const (
	// late is how long after a view something may still complete it.
	late = 48 * time.Hour
	// early is how far the clocks of two machines may differ.
	early = 2 * time.Minute
	// A tracker's page view is taken for a proxy's from trackerBefore before it
	// to trackerAfter after it.
	trackerBefore = 10 * time.Second
	trackerAfter  = 2 * time.Second
	// reach is how far around a question's times rows are looked at: late, from
	// the margins around its range on, and the day before them.
	reach = late + 2*Margin
	// reachNow is the same for the present, which is asked for all the time.
	reachNow = 2 * time.Hour
)

// What a day must show before want of assets says anything there, and what a
// visitor must have done for it to be held against.
const (
	witnesses    = 20 // visitors with two views or more
	witnessShare = 3  // of which one in so many has evidence
	unprovenFrom = 3  // views
)

// The conditions on rows of events; lake.note counts by the same.
const (
	ofProxy   = "origin IN ('edge', 'import')"
	ofTracker = "origin IN ('beacon', 'umami', 'plausible')"
	isLoad    = "(kind = 'pageview' AND " + ofTracker + " AND view_id IS NOT NULL)"
	isTracker = "(kind = 'pageview' AND " + ofTracker + " AND view_id IS NULL AND parent_view_id IS NULL)"
	isProof   = "(" + ofTracker + " OR kind = 'completion' AND name IN ('evidence', 'activation'))"
	isAhead   = "(kind = 'completion' AND name = 'prefetch')"
	// plainly are rows that count as they are.
	plainly = "kind <> 'completion' AND NOT (kind = 'pageview' AND " + ofTracker + " AND (view_id IS NOT NULL OR parent_view_id IS NULL))"
)

// classOf is the class of a row that counts as it is.
const classOf = "CASE WHEN kind <> 'pageview' THEN NULL WHEN " + ofProxy + " OR origin IS NULL THEN 'recorded' ELSE 'script_only' END"

// factsOf sums up what files hold: some of everything where one does not say.
func factsOf(files []lake.File) (sum state.Facts) {
	for i := range files {
		f := files[i].Facts
		if f == nil {
			return state.Facts{Keyed: 1, Ahead: 1, Loads: 1, Trackers: 1, Evidence: 1, Carried: 1, Requests: 1}
		}
		sum.Add(*f)
	}
	return sum
}

// plain reports whether there is nothing to resolve.
func plain(f state.Facts) bool {
	f.Requests, f.Imported = 0, 0
	return f == state.Facts{}
}

// resolver writes the definition of counted for one statement.
type resolver struct {
	facts    state.Facts
	judged   unprovenDays
	known    *exceptions // nil = nothing was looked for beforehand
	finding  bool        // the rows that known is to list are asked for
	fill     bool        // title or screen size are asked for
	b        *builder
	from, to int64  // when something may matter
	around   string // the condition that says so
	day      string // local day of a row
	parts    []string
}

// resolve puts the definition of counted before the statement.
func resolve(s statement, facts state.Facts, judged unprovenDays, known *exceptions) statement {
	if s.raw {
		return s
	}
	if plain(facts) {
		s.text = prepend("counted AS NOT MATERIALIZED (SELECT *, visitor_id AS named_so, "+classOf+" AS class, false AS reclassified FROM events)", s.text)
		return s
	}
	r := &resolver{facts: facts, judged: judged, known: known, fill: s.fill, b: &builder{args: s.args}}
	from, to := s.reach()
	r.from, r.to = from, to
	if facts.Evidence > 0 {
		c := newChart(Range{Zone: s.zone, From: from, To: to}, Day)
		r.day = c.sql(r.b, "epoch_us(time)")
	}
	r.named()
	r.duplicates()
	if known == nil || s.fill && r.unplain() {
		r.loads()
		r.trackers()
	}
	r.unproven()
	r.counted()
	s.text, s.args = r.text(s.text), r.b.args
	return s
}

// reach is the span of time in which rows may matter to the statement.
func (s *statement) reach() (from, to int64) {
	around := reach
	if s.now {
		around = reachNow
	}
	from, to = s.around()
	return from - around.Microseconds(), to + around.Microseconds()
}

const recursive = "WITH RECURSIVE "

// prepend puts common table expressions before a SELECT.
func prepend(parts, query string) string {
	if rest, ok := strings.CutPrefix(query, recursive); ok {
		return recursive + parts + ", " + rest
	}
	if rest, ok := strings.CutPrefix(query, "WITH "); ok {
		return "WITH " + parts + ", " + rest
	}
	return "WITH " + parts + " " + query
}

// near is the condition on the time of what may matter. It is made when it is
// first wanted: an argument that nothing refers to is an error.
func (r *resolver) near() string {
	if r.around == "" {
		r.around = window(r.b, r.from, r.to)
	}
	return r.around
}

// text is the query after what was defined.
func (r *resolver) text(query string) string {
	text := prepend(strings.Join(r.parts, ", "), query)
	if r.facts.Carried > 0 && !strings.HasPrefix(text, recursive) {
		return recursive + strings.TrimPrefix(text, "WITH ")
	}
	return text
}

func (r *resolver) add(part string) { r.parts = append(r.parts, part) }

// named are the events under one name for each visitor: where an identity
// continues that of the period before, all of its rows are that one's.
// Whatever was continued several times is named after its beginning.
func (r *resolver) named() {
	if r.facts.Carried == 0 {
		r.add("named AS NOT MATERIALIZED (SELECT *, visitor_id AS named_so FROM events)")
		return
	}
	r.add("links AS MATERIALIZED (SELECT visitor_id AS visitor, min(prev_visitor_id) AS prev FROM events" +
		" WHERE prev_visitor_id IS NOT NULL AND visitor_id <> prev_visitor_id AND " + r.near() + " GROUP BY visitor_id)")
	r.add(rootsOf("roots", "links"))
	r.add("named AS NOT MATERIALIZED (SELECT e.* REPLACE (coalesce(root, visitor_id) AS visitor_id), e.visitor_id AS named_so" +
		" FROM events e LEFT JOIN roots ON visitor_id = visitor)")
}

// rootsOf defines a relation with the beginning, root, of each visitor of links,
// which have a visitor and the id before it, prev. A circle, which only garbage can
// be, has no beginning and is left alone.
func rootsOf(name, links string) string {
	return name + " AS (SELECT l.visitor, l.prev AS root FROM " + links + " l ANTI JOIN " + links + " h ON l.prev = h.visitor" +
		" UNION ALL SELECT l.visitor, r.root FROM " + name + " r JOIN " + links + " l ON l.prev = r.visitor)"
}

// duplicates defines dups, the rows that repeat an earlier one (rule 1).
func (r *resolver) duplicates() {
	if r.facts.Keyed == 0 {
		return
	}
	if r.known != nil {
		r.add("dups AS MATERIALIZED (" + r.known.dups.sql(r.b) + ")")
		return
	}
	r.add("repeated AS (SELECT dedupe_key FROM events WHERE dedupe_key IS NOT NULL AND " + r.near() + " GROUP BY dedupe_key HAVING count(*) > 1)")
	r.repeats("events SEMI JOIN repeated USING (dedupe_key)")
}

// repeats defines dups from a relation with all rows whose keys come twice.
func (r *resolver) repeats(relation string) {
	r.add("dups AS MATERIALIZED (SELECT edge, epoch, seq FROM (SELECT edge, epoch, seq, epoch_us(time) AS t," +
		" lag(epoch_us(time)) OVER (PARTITION BY dedupe_key ORDER BY time, edge, epoch, seq) AS before" +
		" FROM " + relation + " WHERE dedupe_key IS NOT NULL AND " + r.near() + ") WHERE t - before <= " + r.micros(late) + ")")
}

// single is a relation without the rows of dups.
func (r *resolver) single(relation string) string {
	if r.facts.Keyed == 0 {
		return relation
	}
	return relation + " ANTI JOIN dups USING (edge, epoch, seq)"
}

func (r *resolver) micros(d time.Duration) string { return r.b.arg(d.Microseconds()) + "::BIGINT" }

// loads defines what is known by view id (rules 2 to 4):
//
//	shown      each view of the proxy with an id
//	loads      a beacon's first row of each load of it
//	completing the load that is the proxy's view itself
//	ahead      prefetches that were seen, and when
//
// Where it is known which views are suspect, these alone are in all of them.
func (r *resolver) loads() {
	if !r.hasLoads() {
		return
	}
	which := ""
	if r.known != nil {
		r.add("suspects AS MATERIALIZED (" + r.known.suspectViews(r.b) + ")")
		which = " SEMI JOIN suspects USING (view_id)"
	}
	r.add("shown AS MATERIALIZED (SELECT view_id, min(epoch_us(time)) AS shown_at, arg_min_null(visitor_id, time) AS viewer FROM named" + which +
		" WHERE view_id IS NOT NULL AND " + ofProxy + " AND (kind = 'pageview' OR " + isAhead + ") AND " + r.near() + " GROUP BY view_id)")
	inTime := "epoch_us(time) BETWEEN shown_at - " + r.micros(early) + " AND shown_at + " + r.micros(late)
	// One struct is compared field by field: the first row of a load, and what it says.
	r.add("loads AS MATERIALIZED (SELECT view_id, load, first.t AS t, first.edge AS edge, first.epoch AS epoch, first.seq AS seq," +
		" first.same AS same, first.screen_size AS screen_size, first.title AS title FROM (SELECT view_id, coalesce(load_id, 0) AS load," +
		" min({'t': epoch_us(time), 'edge': edge, 'epoch': epoch, 'seq': seq, 'same': visitor_id IS NOT DISTINCT FROM viewer" + r.filling() + "}) AS first" +
		" FROM " + r.single("named") + " JOIN shown USING (view_id) WHERE " + isLoad + " AND " + r.near() + " AND " + inTime + " GROUP BY ALL))")
	r.add("completing AS MATERIALIZED (SELECT view_id, c.load AS load, c.screen_size AS screen_size, c.title AS title FROM (SELECT view_id," +
		" min({'t': t, 'load': load, 'screen_size': screen_size, 'title': title}) AS c FROM loads WHERE same GROUP BY view_id))")
	r.add("activations AS (SELECT view_id, min(greatest(epoch_us(time), shown_at)) AS seen_at FROM named JOIN shown USING (view_id)" +
		" WHERE kind = 'completion' AND name = 'activation' AND " + r.near() + " AND " + inTime + " GROUP BY view_id)")
	r.add("ahead AS MATERIALIZED (SELECT edge, epoch, seq, epoch_us(time) AS t, view_id, visitor_id, pathname, seen_at FROM named" +
		" LEFT JOIN activations USING (view_id) LEFT JOIN completing USING (view_id)" +
		" WHERE " + isAhead + " AND " + r.near() + " AND (seen_at IS NOT NULL OR load IS NOT NULL))")
}

// filling are the fields of a load that fill in what the proxy can't know.
func (r *resolver) filling() string {
	if r.fill {
		return ", 'screen_size': screen_size, 'title': title"
	}
	return ", 'screen_size': NULL::VARCHAR, 'title': NULL::VARCHAR"
}

// trackers defines paired: trackers' page views, each with whether it completes
// a view of the proxy (rule 5).
//
// Trackers in the order of time take the latest view that is still free: that
// is how brackets close, so it is found as the partner of a bracket is. Views
// open and trackers close; depth counts what is open. On one depth of a visitor
// and path the two take turns, and the row before a tracker is its view.
func (r *resolver) trackers() {
	if r.facts.Trackers == 0 {
		return
	}
	free := "SELECT visitor_id, pathname, epoch_us(time) AS t, edge, epoch, seq FROM named"
	taken := ""
	if r.hasLoads() {
		taken = " ANTI JOIN completing USING (view_id)"
	}
	free += taken + " WHERE kind = 'pageview' AND " + ofProxy + " AND " + r.near()
	if r.hasLoads() {
		free += " UNION ALL SELECT visitor_id, pathname, seen_at, edge, epoch, seq FROM ahead" + taken + " WHERE seen_at IS NOT NULL"
	}
	r.add("trackers AS MATERIALIZED (SELECT visitor_id, pathname, epoch_us(time) AS t, edge, epoch, seq" + r.fillColumns() + " FROM " + r.single("named") +
		" WHERE " + isTracker + " AND " + r.near() + ")")
	same := "visitor_id IS NOT DISTINCT FROM who AND pathname IS NOT DISTINCT FROM path"
	r.add("brackets AS (SELECT *, sum(1 - 2 * closes) OVER (PARTITION BY visitor_id, pathname ORDER BY t, closes, edge, epoch, seq" +
		" ROWS UNBOUNDED PRECEDING) + closes AS depth FROM (SELECT visitor_id, pathname, t - " + r.micros(trackerAfter) + " AS t, 0 AS closes, edge, epoch, seq" +
		r.noFill() + " FROM (" + free + ") SEMI JOIN (SELECT DISTINCT visitor_id AS who, pathname AS path FROM trackers) ON " + same +
		" UNION ALL SELECT visitor_id, pathname, t, 1, edge, epoch, seq" + r.fillNames() + " FROM trackers))")
	opener := "CASE WHEN lag(closes) OVER turns = 0 AND t - lag(t) OVER turns <= " + r.micros(trackerBefore+trackerAfter) + " THEN "
	r.add("paired AS MATERIALIZED (SELECT edge, epoch, seq, t, closes" + r.fillNames() + ", " +
		opener + "{'edge': lag(edge) OVER turns, 'epoch': lag(epoch) OVER turns, 'seq': lag(seq) OVER turns} END AS opener FROM brackets" +
		" WINDOW turns AS (PARTITION BY visitor_id, pathname, depth ORDER BY t, closes, edge, epoch, seq))")
}

func (r *resolver) hasLoads() bool { return hasLoads(&r.facts) }

func hasLoads(f *state.Facts) bool { return f.Loads > 0 || f.Ahead > 0 }

// unplain reports whether rows that complete others are to be told apart by
// the exact rules even though it is known which of them count: they fill in.
func (r *resolver) unplain() bool {
	return r.known == nil || r.known.suspects != "" || r.facts.Trackers > 0
}

func (r *resolver) fillColumns() string {
	if r.fill {
		return ", screen_size, title"
	}
	return ""
}

func (r *resolver) fillNames() string { return r.fillColumns() }

func (r *resolver) noFill() string {
	if r.fill {
		return ", NULL::VARCHAR AS screen_size, NULL::VARCHAR AS title"
	}
	return ""
}

// unproven defines the visitors and days that were judged for want of assets.
func (r *resolver) unproven() {
	if r.facts.Evidence > 0 {
		r.add("unproven AS MATERIALIZED (SELECT visitor, list(day) AS days FROM (" + r.judged.sql(r.b) + ") GROUP BY visitor)")
	}
}

// counted defines counted from all of these.
func (r *resolver) counted() {
	rows := "SELECT *, " + classOf + " AS class FROM named WHERE " + plainly
	if r.facts.Keyed > 0 {
		rows += " AND dedupe_key IS NULL UNION ALL SELECT *, " + classOf + " FROM " + r.single("named") + " WHERE " + plainly + " AND dedupe_key IS NOT NULL"
	}
	if kept := r.kept(); kept != "" {
		r.add("kept AS MATERIALIZED (SELECT edge, epoch, seq, became FROM (" + kept + "))")
		rows += " UNION ALL SELECT * EXCLUDE (became) REPLACE ('pageview' AS kind, NULL::VARCHAR AS name), became FROM named JOIN kept USING (edge, epoch, seq)" +
			" WHERE (" + isAhead + " OR " + isLoad + " OR " + isTracker + ")"
	}
	if r.fill && r.known != nil && r.hasLoads() {
		rows = r.soles(rows)
	}
	if r.fill && r.unplain() && (r.hasLoads() || r.facts.Trackers > 0) {
		r.fills()
		rows = "SELECT * EXCLUDE (fill_screen, fill_title) REPLACE (coalesce(screen_size, fill_screen) AS screen_size, coalesce(title, fill_title) AS title)" +
			" FROM (" + rows + ") LEFT JOIN fills USING (edge, epoch, seq)"
	}
	if r.facts.Evidence > 0 {
		// A row's day is worked out for those visitors alone.
		rows = "SELECT *, CASE WHEN visitor IS NULL THEN false WHEN verdict = 'likely' THEN list_contains(days, " + r.day + ") ELSE false END AS reclassified" +
			" FROM (" + rows + ") LEFT JOIN unproven ON named_so = visitor"
		rows = "SELECT * EXCLUDE (visitor, days) REPLACE (CASE WHEN reclassified THEN 'bot' ELSE verdict END AS verdict," +
			" CASE WHEN reclassified THEN 'no_assets' ELSE verdict_reason END AS verdict_reason) FROM (" + rows + ")"
	} else {
		rows = "SELECT *, false AS reclassified FROM (" + rows + ")"
	}
	r.add("counted AS NOT MATERIALIZED (" + rows + ")")
}

// kept lists the completing rows that count, and as what; "" = there are none.
func (r *resolver) kept() string {
	if r.known != nil && !r.finding {
		if len(r.known.kept) == 0 {
			return ""
		}
		return r.known.kept.sql(r.b)
	}
	var parts []string
	if r.hasLoads() {
		parts = append(parts, "SELECT edge, epoch, seq, t, 'cached' AS became FROM loads ANTI JOIN completing USING (view_id, load)",
			"SELECT edge, epoch, seq, t, 'activated' AS became FROM ahead")
	}
	if r.facts.Trackers > 0 {
		parts = append(parts, "SELECT edge, epoch, seq, t, 'script_only' AS became FROM paired WHERE closes = 1 AND opener IS NULL")
	}
	return strings.Join(parts, " UNION ALL ")
}

// soles lets the only load of a view that is not suspect fill in the view's row.
// It completes it, unless it repeats another row: see suspect.go.
func (r *resolver) soles(rows string) string {
	which := ""
	if r.known.suspects != "" { // loads has defined them
		which = " ANTI JOIN suspects USING (view_id)"
	}
	loads := "SELECT * FROM events" + which + " WHERE " + isLoad + " AND " + r.near()
	// There is one for each view. Grouping keeps a row one row also where two
	// proxies gave one id to views of different months.
	r.add("soles AS (SELECT view_id AS sole, any_value(screen_size) AS sole_screen, any_value(title) AS sole_title FROM " + r.single("("+loads+")") + " GROUP BY view_id)")
	return "SELECT * EXCLUDE (sole, sole_screen, sole_title) REPLACE (coalesce(screen_size, sole_screen) AS screen_size, coalesce(title, sole_title) AS title)" +
		" FROM (" + rows + ") LEFT JOIN soles ON CASE WHEN kind = 'pageview' AND " + ofProxy + " THEN view_id END = sole"
}

// fills defines what completing rows add to the proxy's: title and screen.
func (r *resolver) fills() {
	var parts []string
	if r.hasLoads() {
		parts = append(parts, "SELECT edge, epoch, seq, c.screen_size AS fill_screen, c.title AS fill_title FROM named n JOIN completing c USING (view_id)"+
			" WHERE "+ofProxy+" AND (kind = 'pageview' OR "+isAhead+") AND "+r.near())
	}
	if r.facts.Trackers > 0 {
		parts = append(parts, "SELECT opener.edge AS edge, opener.epoch AS epoch, opener.seq AS seq, screen_size AS fill_screen, title AS fill_title FROM paired WHERE opener IS NOT NULL")
	}
	r.add("fills AS (" + strings.Join(parts, " UNION ALL ") + ")")
}
