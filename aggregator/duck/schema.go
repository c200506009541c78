package duck

import "strings"

// columns lists what a query finds in the relation `events`, also where there
// is no file to take it from.
var columns = []Column{
	{"site_id", "VARCHAR"},
	{"edge", "VARCHAR"},
	{"epoch", "UBIGINT"},
	{"seq", "UBIGINT"},
	{"time", "TIMESTAMPTZ"},
	{"origin", "VARCHAR"},
	{"dedupe_key", "VARCHAR"},
	{"kind", "VARCHAR"},
	{"name", "VARCHAR"},
	{"hostname", "VARCHAR"},
	{"pathname", "VARCHAR"},
	{"title", "VARCHAR"},
	{"tag", "VARCHAR"},
	{"visitor_id", "UBIGINT"},
	{"prev_visitor_id", "UBIGINT"},
	{"country_code", "VARCHAR"},
	{"region", "VARCHAR"},
	{"city", "VARCHAR"},
	{"language", "VARCHAR"},
	{"browser", "VARCHAR"},
	{"browser_version", "VARCHAR"},
	{"os", "VARCHAR"},
	{"os_version", "VARCHAR"},
	{"device_type", "VARCHAR"},
	{"screen_size", "VARCHAR"},
	{"referrer_domain", "VARCHAR"},
	{"source", "VARCHAR"},
	{"channel", "VARCHAR"},
	{"utm_source", "VARCHAR"},
	{"utm_medium", "VARCHAR"},
	{"utm_campaign", "VARCHAR"},
	{"utm_content", "VARCHAR"},
	{"utm_term", "VARCHAR"},
	{"status", "INTEGER"},
	{"method", "VARCHAR"},
	{"bytes_sent", "BIGINT"},
	{"ttfb_us", "BIGINT"},
	{"props", "MAP(VARCHAR, VARCHAR)"},
	{"verdict", "VARCHAR"},
	{"verdict_reason", "VARCHAR"},
	{"bot_name", "VARCHAR"},
	{"bot_category", "VARCHAR"},
	{"bot_operator", "VARCHAR"},
	{"ai_purpose", "VARCHAR"},
	{"verified", "BOOLEAN"},
	{"agent_token", "VARCHAR"},
	{"view_id", "UBIGINT"},
	{"parent_view_id", "UBIGINT"},
	{"load_id", "UBIGINT"},
	{"identity", "VARCHAR"},
	{"distinct_id", "VARCHAR"},
	{"query", "VARCHAR"},
	{"referrer_path", "VARCHAR"},
	{"prop_types", "MAP(VARCHAR, TINYINT)"},
	{"revenue_amount", "DECIMAL(18,4)"},
	{"revenue_currency", "VARCHAR"},
	{"content_type", "VARCHAR"},
	{"protocol", "VARCHAR"},
	{"cache_status", "VARCHAR"},
	{"cached", "BOOLEAN"},
	{"engaged_ms", "INTEGER"},
	{"scroll_depth", "SMALLINT"},
	{"lcp_ms", "DOUBLE"},
	{"inp_ms", "DOUBLE"},
	{"cls", "DOUBLE"},
	{"fcp_ms", "DOUBLE"},
	{"nav_ttfb_ms", "DOUBLE"},
}

// The relation `events` is inlined into the query, so that a query reads only
// the columns that it names. What sealed segments have beside these is left out:
// files of both kinds are one relation, in any order.
const eventsOfFiles = "events AS NOT MATERIALIZED (SELECT COLUMNS(lambda c: NOT starts_with(c, '" + SealedPrefix + "'))" +
	" FROM read_parquet($1, hive_partitioning = false))"

// eventsOfNothing is `events` without rows: a site that has none yet.
var eventsOfNothing = "events AS NOT MATERIALIZED (" + nothing(columns) + " WHERE $1 IS NULL)" // $1 is empty, not null

// nothing begins a SELECT of these columns from nothing.
func nothing(columns []Column) string {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("CAST(NULL AS " + c.Kind + ") AS " + c.Name)
	}
	return b.String()
}

// withRelations puts definitions of relations before a SELECT, which may begin
// with a WITH, or a WITH RECURSIVE, of its own.
func withRelations(definitions, query string) string {
	query = strings.TrimSpace(query)
	if rest, ok := strings.CutPrefix(query, "WITH RECURSIVE "); ok {
		return "WITH RECURSIVE " + definitions + ", " + rest
	}
	if rest, ok := strings.CutPrefix(query, "WITH "); ok {
		return "WITH " + definitions + ", " + rest
	}
	return "WITH " + definitions + " " + query
}
