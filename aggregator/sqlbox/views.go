package sqlbox

import (
	"strings"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/aggregator/stats"
)

// views are the names that a statement may use, in the order in which people
// are told of them.
var views = []string{
	"events", "visits", "daily",
	"v_pa_events", "v_pa_sessions", "v_pa_event_data", "v_pa_session_data", "v_pa_sites", "v_pa_user_flows",
}

// columns are those of the events' files, in the order of package lake.
var columns = readColumns(`
	site_id VARCHAR, edge VARCHAR, epoch UBIGINT, seq UBIGINT, time TIMESTAMPTZ, received_at TIMESTAMPTZ, skew_ms BIGINT, origin VARCHAR, dedupe_key VARCHAR,
	kind VARCHAR, name VARCHAR, hostname VARCHAR, pathname VARCHAR, query VARCHAR, title VARCHAR, tag VARCHAR,
	visitor_id UBIGINT, prev_visitor_id UBIGINT, identity VARCHAR, distinct_id VARCHAR, country_code VARCHAR, region VARCHAR, city VARCHAR, language VARCHAR,
	browser VARCHAR, browser_version VARCHAR, os VARCHAR, os_version VARCHAR, device_type VARCHAR, screen_size VARCHAR,
	referrer_domain VARCHAR, referrer_path VARCHAR, source VARCHAR, channel VARCHAR,
	utm_source VARCHAR, utm_medium VARCHAR, utm_campaign VARCHAR, utm_content VARCHAR, utm_term VARCHAR,
	gclid VARCHAR, fbclid VARCHAR, msclkid VARCHAR, ttclid VARCHAR, li_fat_id VARCHAR, twclid VARCHAR,
	props MAP(VARCHAR; VARCHAR), prop_types MAP(VARCHAR; TINYINT), revenue_amount DECIMAL(18;4), revenue_currency VARCHAR,
	status SMALLINT, method VARCHAR, content_type VARCHAR, bytes_sent BIGINT, ttfb_us BIGINT, protocol VARCHAR, cache_status VARCHAR,
	verdict VARCHAR, verdict_reason VARCHAR, bot_name VARCHAR, bot_category VARCHAR, bot_operator VARCHAR, ai_purpose VARCHAR, verified BOOLEAN, agent_token VARCHAR,
	view_id UBIGINT, parent_view_id UBIGINT, load_id UBIGINT, cached BOOLEAN, engaged_ms INTEGER, scroll_depth SMALLINT,
	lcp_ms DOUBLE, inp_ms DOUBLE, cls DOUBLE, fcp_ms DOUBLE, nav_ttfb_ms DOUBLE`)

func readColumns(text string) (list []duck.Column) {
	for part := range strings.SplitSeq(text, ",") {
		name, kind, _ := strings.Cut(strings.TrimSpace(part), " ")
		list = append(list, duck.Column{Name: name, Kind: strings.ReplaceAll(kind, ";", ",")})
	}
	return list
}

// Ids for the outside are made as package shared makes them. A UUIDv8 of a text
// is the first half of its SHA-256, with version and variant in their places.
const (
	sha        = "sha256"
	visitorHex = "lpad(lower(hex(visitor_id)), 16, '0')"
	siteOf     = "(SELECT id FROM eider.site)"
)

func uuid8(text string) string {
	h := sha + "(" + text + ")"
	return "(substr(" + h + ", 1, 12) || '8' || substr(" + h + ", 14, 3) || substr('89ab', (instr('0123456789abcdef', substr(" + h + ", 17, 1)) - 1) % 4 + 1, 1) || substr(" + h + ", 18, 15))::UUID"
}

// eventID is shared.EventID.
var eventID = uuid8("edge || lpad(lower(hex(epoch)), 16, '0') || lpad(lower(hex(seq)), 16, '0')")

// visitorUUID is shared.VisitorUUID.
const visitorUUID = "(substr(" + visitorHex + ", 1, 12) || '8' || substr(" + visitorHex + ", 13, 3) || '800' || substr(" + visitorHex + ", 16, 1) || '000000000000')::UUID"

// visitID is the hash of site, visitor and the visit's first event's time. A row
// without a visitor is in no visit.
var visitID = "CASE WHEN visitor_id IS NOT NULL THEN " + uuid8(siteOf+" || ' ' || "+visitorHex+" || ' ' || began::VARCHAR") + " END"

// relationViews are all the relations of one site.
func relationViews(r *stats.Relations, site *state.Site) []duck.View {
	const inside = "eider."
	list := []duck.View{
		{Name: inside + "counted", Text: with("events AS NOT MATERIALIZED (SELECT * FROM eider.files)", r.Counted.Text), Args: r.Counted.Args},
		{Name: inside + "interactions", Text: with("counted AS NOT MATERIALIZED (SELECT * FROM eider.counted)", r.Interactions.Text), Args: r.Interactions.Args},
		{Name: inside + "said", Text: with("events AS NOT MATERIALIZED (SELECT * FROM eider.files)", r.Said.Text), Args: r.Said.Args},
		siteView(inside+"site", site),
	}
	for _, v := range views {
		list = append(list, duck.View{Name: v, Text: viewTexts[v]})
	}
	return list
}

// with puts a relation before a SELECT that may begin with a WITH of its own.
func with(relation, text string) string {
	if rest, ok := strings.CutPrefix(text, "WITH RECURSIVE "); ok {
		return "WITH RECURSIVE " + relation + ", " + rest
	}
	if rest, ok := strings.CutPrefix(text, "WITH "); ok {
		return "WITH " + relation + ", " + rest
	}
	return "WITH " + relation + " " + text
}

// siteView is the registry's entry.
func siteView(name string, s *state.Site) duck.View {
	changed := s.UpdatedAt
	if changed == 0 {
		changed = s.CreatedAt
	}
	return duck.View{
		Name: name,
		Text: "SELECT $2::VARCHAR AS id, $3::VARCHAR AS uuid, $4::VARCHAR AS name, $5::VARCHAR[] AS allowed_domains, $6::BOOLEAN AS archived," +
			" $7::TIMESTAMPTZ AS created_at, $8::TIMESTAMPTZ AS updated_at",
		Args: []any{s.ID, s.UUID, s.Name, append([]string{}, s.AllowedDomains...), s.Archived, time.UnixMicro(s.CreatedAt).UTC(), time.UnixMicro(changed).UTC()},
	}
}

// ofVisits are what a visit has of its first event.
var ofVisits = []string{
	"hostname", "referrer_domain", "referrer_path", "source", "channel", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term",
	"country_code", "region", "city", "language", "browser", "browser_version", "os", "os_version", "device_type", "screen_size",
}

func firsts(names []string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = "arg_min_null(" + n + ", k) AS " + n
	}
	return strings.Join(parts, ", ")
}

// pairs are the properties of rows, each with its type: text where none is given.
const pairs = "unnest(map_entries(props)) AS entry, prop_types"

// dataColumns are Umami's for a property named key with the text value.
const dataColumns = "entry.key AS data_key, entry.value AS string_value," +
	" CASE WHEN kind = 2 THEN TRY_CAST(entry.value AS DOUBLE) END AS number_value," +
	" CASE WHEN kind = 4 THEN TRY_CAST(entry.value AS TIMESTAMPTZ) END AS date_value, kind AS data_type"

const kindOfEntry = "coalesce(prop_types[entry.key], 1)::INTEGER AS kind"

// viewTexts define what people see.
var viewTexts = map[string]string{
	"events": "SELECT " + eventID + " AS event_id, time, day, kind, class, name, coalesce(verdict = 'bot', false) AS is_bot," +
		" hostname, pathname, query, title, tag, visitor_id, distinct_id, country_code, region, city, language," +
		" browser, browser_version, os, os_version, device_type, screen_size," +
		" referrer_domain, referrer_path, source, channel, utm_source, utm_medium, utm_campaign, utm_content, utm_term," +
		" gclid, fbclid, msclkid, ttclid, li_fat_id, twclid, props, prop_types, revenue_amount, revenue_currency," +
		" status, method, content_type, bytes_sent, ttfb_us, protocol, cache_status," +
		" verdict, verdict_reason, bot_name, bot_category, bot_operator, ai_purpose, verified, agent_token," +
		" engaged_ms, scroll_depth, lcp_ms, inp_ms, cls, fcp_ms, nav_ttfb_ms, origin, received_at, skew_ms, edge, epoch, seq" +
		" FROM eider.counted",

	"visits": "SELECT " + visitID + " AS visit_id, visitor_id, day, started_at, ended_at, duration, pageviews, events, is_bounce, entry_page, exit_page, distinct_id, " +
		strings.Join(ofVisits, ", ") + " FROM (SELECT visitor_id, began, arg_min_null(day, k) AS day, min(time) AS started_at, max(time) AS ended_at," +
		" (max(t) - min(t)) / 1e6 AS duration, count(*) FILTER (kind = 'pageview') AS pageviews, count(*) FILTER (kind = 'event') AS events," +
		" count(*) = 1 AND count(*) FILTER (kind = 'pageview') = 1 AS is_bounce," +
		" arg_min_null(pathname, k) FILTER (kind = 'pageview') AS entry_page, arg_max_null(pathname, k) FILTER (kind = 'pageview') AS exit_page," +
		" arg_max(distinct_id, k) AS distinct_id, " + firsts(ofVisits) +
		" FROM eider.interactions WHERE visitor_id IS NOT NULL GROUP BY visitor_id, began)",

	"daily": "SELECT day, pageviews, events, visitors, visits, bounces, visit_seconds FROM" +
		" (SELECT day, count(*) FILTER (kind = 'pageview') AS pageviews, count(*) FILTER (kind = 'event') AS events," +
		" nullif(count(DISTINCT visitor_id), 0) AS visitors FROM eider.interactions GROUP BY day) LEFT JOIN" +
		" (SELECT day, count(*) AS visits, count(*) FILTER (is_bounce) AS bounces, sum(duration) AS visit_seconds FROM visits GROUP BY day) USING (day)",

	"v_pa_events": "SELECT " + eventID + " AS id, " + siteOf + " AS site_id, " + visitorUUID + " AS session_id, " + visitID + " AS visit_id," +
		" CASE kind WHEN 'pageview' THEN 1 ELSE 2 END AS event_type, CASE kind WHEN 'event' THEN name END AS event_name," +
		" pathname AS url_path, query AS url_query, referrer_path, NULL::VARCHAR AS referrer_query, referrer_domain, title AS page_title," +
		" utm_source, utm_medium, utm_campaign, utm_content, utm_term, gclid, fbclid, msclkid, ttclid, li_fat_id, twclid, time AS created_at" +
		" FROM eider.interactions",

	"v_pa_sessions": "SELECT " + visitorUUID + " AS id, " + visitorUUID + " AS session_uuid, " + siteOf + " AS site_id, coalesce(said_id, sent_id) AS distinct_id," +
		" browser, os, device, screen, language, country, subdivision1, city, created_at, updated_at FROM" +
		" (SELECT visitor_id, arg_max(distinct_id, k) AS sent_id, arg_min(browser, k) AS browser, arg_min(os, k) AS os, arg_min(device_type, k) AS device," +
		" arg_min(screen_size, k) AS screen, arg_min(language, k) AS language, arg_min(country_code, k) AS country, arg_min(region, k) AS subdivision1," +
		" arg_min(city, k) AS city, min(time) AS created_at, max(time) AS updated_at FROM eider.interactions WHERE visitor_id IS NOT NULL GROUP BY visitor_id)" +
		" LEFT JOIN (SELECT visitor_id, arg_max(distinct_id, (time, edge, epoch, seq)) AS said_id FROM eider.said GROUP BY visitor_id) USING (visitor_id)",

	"v_pa_event_data": "SELECT " + uuid8("event_id::VARCHAR || ' ' || entry.key") + " AS id, event_id, " + dataColumns + ", time AS created_at" +
		" FROM (SELECT event_id, time, entry, " + kindOfEntry + " FROM (SELECT " + eventID + " AS event_id, time, " + pairs +
		" FROM eider.counted WHERE kind IN ('pageview', 'event') AND verdict IS DISTINCT FROM 'bot'))",

	"v_pa_session_data": "SELECT " + uuid8("session_id::VARCHAR || ' ' || entry.key") + " AS id, session_id, " + dataColumns + ", time AS created_at" +
		" FROM (SELECT session_id, time, entry, " + kindOfEntry + " FROM (SELECT " + visitorUUID + " AS session_id, time, edge, epoch, seq, " + pairs + " FROM eider.said)" +
		" QUALIFY row_number() OVER (PARTITION BY session_id, entry.key ORDER BY time DESC, edge DESC, epoch DESC, seq DESC) = 1)",

	"v_pa_sites": "SELECT id, uuid, name, allowed_domains, archived, created_at, updated_at FROM eider.site",

	"v_pa_user_flows": "SELECT source, target, count(*) AS value FROM (SELECT pathname AS source, lead(pathname) OVER (PARTITION BY visitor_id, began ORDER BY k) AS target" +
		" FROM eider.interactions WHERE kind = 'pageview' AND visitor_id IS NOT NULL) WHERE source <> target GROUP BY ALL",
}
