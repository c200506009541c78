package sqlbox

import (
	"slices"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// TestViews asks every view of the story, whose rows are counted by hand.
func TestViews(t *testing.T) {
	oneAfterTheOther(t)
	r := newRig(t, Config{})
	session, first := shared.VisitorUUID(1), shared.EventID(edge, 7, 1)
	for _, c := range []struct {
		what, sql string
		want      []string
	}{
		{"all rows but those that complete others", "SELECT kind, is_bot, count(*) FROM events GROUP BY ALL ORDER BY ALL", []string{`["event",false,2]`, `["pageview",false,5]`, `["pageview",true,1]`}},
		{"an event", "SELECT event_id, time, day, class, visitor_id, source, bytes_sent, revenue_amount FROM events ORDER BY time LIMIT 1", []string{`["` + first + `","2026-03-10T10:00:00Z","2026-03-10","recorded",1,"Google",9007199254740993,null]`}},
		{"an event's own", "SELECT name, props['plan'], revenue_amount FROM events WHERE name = 'signup'", []string{`["signup","pro",12.3456]`}},
		{"hours are the site's", "SELECT hour(time), time::DATE::VARCHAR, strftime(time, '%H:%M') FROM events ORDER BY time LIMIT 1", []string{`[11,"2026-03-10","11:00"]`}},
		{"visits", "SELECT visitor_id, day, started_at, duration, pageviews, events, is_bounce, entry_page, exit_page, source, utm_campaign, country_code FROM visits ORDER BY started_at", []string{
			`[1,"2026-03-10","2026-03-10T10:00:00Z",390,2,1,false,"/","/pricing","Google",null,"DE"]`,
			`[1,"2026-03-10","2026-03-10T11:00:00Z",0,1,0,true,"/","/",null,"spring",null]`,
			`[2,"2026-03-10","2026-03-10T12:00:00Z",0,1,0,true,"/","/",null,null,null]`,
			`[3,"2026-03-10","2026-03-10T12:30:00Z",0,0,1,false,null,null,null,null,null]`,
		}},
		{"a day", "FROM daily", []string{`["2026-03-10",5,2,3,4,2,390]`}},
		{"Umami's events", "SELECT id, site_id, session_id, event_type, event_name, url_path, url_query, referrer_query, page_title, created_at FROM v_pa_events WHERE url_path = '/pricing' OR event_type = 2 ORDER BY created_at", []string{
			`["` + shared.EventID(edge, 7, 2) + `","aasite","` + session + `",1,null,"/pricing","q=1",null,"=cmd()","2026-03-10T10:05:00Z"]`,
			`["` + shared.EventID(edge, 7, 3) + `","aasite","` + session + `",2,"signup","/pricing",null,null,null,"2026-03-10T10:06:30Z"]`,
			`["` + shared.EventID(edge, 7, 6) + `","aasite","` + shared.VisitorUUID(3) + `",2,"ping",null,null,null,null,"2026-03-10T12:30:00Z"]`,
		}},
		{"visits have one name everywhere", "SELECT count(DISTINCT visit_id), count(visit_id), count(*), count(*) FILTER (visit_id IN (SELECT visit_id FROM visits)) FROM v_pa_events", []string{`[4,6,7,6]`}},
		{"Umami's sessions", "SELECT id = session_uuid, site_id, distinct_id, browser, country, subdivision1, created_at, updated_at FROM v_pa_sessions WHERE id = '" + session + "'", []string{`[true,"aasite","u-1","Firefox","DE",null,"2026-03-10T10:00:00Z","2026-03-10T11:00:00Z"]`}},
		{"Umami's event data", "SELECT event_id, data_key, string_value, number_value, date_value, data_type, created_at FROM v_pa_event_data ORDER BY data_key", []string{
			`["` + shared.EventID(edge, 7, 3) + `","agreed","true",null,null,3,"2026-03-10T10:06:30Z"]`,
			`["` + shared.EventID(edge, 7, 3) + `","plan","pro",null,null,1,"2026-03-10T10:06:30Z"]`,
			`["` + shared.EventID(edge, 7, 3) + `","seats","3.5",3.5,null,2,"2026-03-10T10:06:30Z"]`,
			`["` + shared.EventID(edge, 7, 3) + `","since","2026-01-02T03:04:05+01:00",null,"2026-01-02T02:04:05Z",4,"2026-03-10T10:06:30Z"]`,
		}},
		{"Umami's session data, the last of each key", "SELECT session_id, data_key, string_value, data_type FROM v_pa_session_data", []string{`["` + session + `","team","blue",1]`}},
		{"Umami's sites", "FROM v_pa_sites", []string{`["aasite","` + r.site.UUID + `","The aasite",["x.example"],false,"2023-11-14T22:13:20Z","2023-11-14T22:13:20Z"]`}},
		{"Umami's flows", "FROM v_pa_user_flows", []string{`["/","/pricing",1]`}},
	} {
		text, _, err := r.ask(t.Context(), Request{SQL: c.sql})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if _, got := rows(t, text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %s\ngot  %s\nwant %s", c.what, c.sql, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
		}
	}
}

// TestColumns: the columns and their order are what BI tools were set up with.
func TestColumns(t *testing.T) {
	r := newRig(t, Config{})
	for view, want := range map[string]string{
		"v_pa_events":       "id site_id session_id visit_id event_type event_name url_path url_query referrer_path referrer_query referrer_domain page_title utm_source utm_medium utm_campaign utm_content utm_term gclid fbclid msclkid ttclid li_fat_id twclid created_at",
		"v_pa_sessions":     "id session_uuid site_id distinct_id browser os device screen language country subdivision1 city created_at updated_at",
		"v_pa_event_data":   "id event_id data_key string_value number_value date_value data_type created_at",
		"v_pa_session_data": "id session_id data_key string_value number_value date_value data_type created_at",
		"v_pa_sites":        "id uuid name allowed_domains archived created_at updated_at",
		"v_pa_user_flows":   "source target value",
		"daily":             "day pageviews events visitors visits bounces visit_seconds",
	} {
		text, _, err := r.ask(t.Context(), Request{SQL: "SELECT * FROM " + view + " LIMIT 0"})
		if err != nil {
			t.Errorf("%s: %v", view, err)
			continue
		}
		if got, _ := rows(t, text); strings.Join(got, " ") != want {
			t.Errorf("%s has %s\nwant %s", view, strings.Join(got, " "), want)
		}
	}
}

// TestASiteWithoutEvents has its views as well.
func TestASiteWithoutEvents(t *testing.T) {
	r := newRig(t, Config{})
	for _, v := range views {
		want := 0
		if v == "v_pa_sites" {
			want = 1
		}
		text, a, err := r.ask(t.Context(), Request{SQL: "SELECT * FROM " + v, Site: siteOfTest("ccsite")})
		if err != nil || a.Rows != int64(want) {
			t.Errorf("%s: %s, %v", v, text, err)
		}
	}
}
