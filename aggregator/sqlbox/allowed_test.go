package sqlbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/aggregator/duck"
)

// TestAllowed: what people and BI tools write is let through, and has an answer.
func TestAllowed(t *testing.T) {
	oneAfterTheOther(t)
	r := newRig(t, Config{})
	for _, c := range []struct {
		sql  string
		args []any
		want string // of the first row
	}{
		{"SELECT 1;", nil, "[1]"},
		{"SELECT 1 -- one", nil, "[1]"},
		{"/* a comment */ SELECT 'it''s; -- one', \"a;b\" FROM (SELECT 2 AS \"a;b\")", nil, `["it's; -- one",2]`},
		{"FROM events SELECT count(*)", nil, "[8]"},
		{"SELECT count(*) FROM main.events", nil, "[8]"},
		{"SELECT COUNT(*) FROM Events", nil, "[8]"},
		{"TABLE daily", nil, `["2026-03-10",5,2,3,4,2,390]`},
		{"WITH events AS (SELECT * FROM events WHERE NOT is_bot) SELECT count(*) FROM events", nil, "[7]"},
		{"WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT (SELECT y FROM b), * FROM a", nil, "[2,1]"},
		{"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT max(n) FROM t", nil, "[10]"},
		{"SELECT pathname, count(*) AS n FROM events WHERE kind = 'pageview' AND NOT is_bot GROUP BY 1 HAVING count(*) > 1 ORDER BY n DESC, 1 LIMIT 5", nil, `["/",3]`},
		{"SELECT date_trunc('day', created_at) AS d, count(DISTINCT session_id) FROM v_pa_events GROUP BY d ORDER BY d", nil, `["2026-03-09T23:00:00Z",3]`},
		{"SELECT \"source\".\"url_path\" AS \"url_path\", COUNT(*) AS \"count\" FROM (SELECT \"main\".\"v_pa_events\".\"url_path\" AS \"url_path\" FROM \"main\".\"v_pa_events\" WHERE \"main\".\"v_pa_events\".\"event_type\" = 1) AS \"source\" GROUP BY \"source\".\"url_path\" ORDER BY \"count\" DESC LIMIT 10", nil, `["/",3]`},
		{"SELECT CAST(EXTRACT(hour FROM v_pa_events.created_at) AS integer), COUNT(*) FROM v_pa_events LEFT JOIN v_pa_sessions s ON v_pa_events.session_id = s.id GROUP BY 1 ORDER BY 1", nil, "[11,3]"},
		{"SELECT e.event_name, d.string_value FROM v_pa_events e JOIN v_pa_event_data d ON d.event_id = e.id WHERE d.data_key = 'plan'", nil, `["signup","pro"]`},
		{"SELECT row_number() OVER (PARTITION BY session_id ORDER BY created_at), lag(url_path) OVER w FROM v_pa_events WINDOW w AS (PARTITION BY session_id ORDER BY created_at) ORDER BY created_at LIMIT 1", nil, "[1,null]"},
		{"SELECT * EXCLUDE (bounces, visit_seconds) REPLACE (visits * 2 AS visits), COLUMNS('^pag') AS p FROM daily", nil, `["2026-03-10",5,2,3,8,5]`},
		{"SELECT list_transform([1, 2], x -> x + 1), [y * 2 for y in [1, 2]], list_filter([1, 2, 3], lambda z: z > 1)", nil, "[[2,3],[2,4],[2,3]]"},
		{"SELECT unnest([3, 4]) AS n ORDER BY n", nil, "[3]"},
		{"SELECT pathname FROM events WHERE pathname LIKE '/pri%' OR regexp_matches(pathname, '^/zz') LIMIT 1", nil, `["/pricing"]`},
		{"SELECT count(*) FROM events WHERE time >= TIMESTAMPTZ '2026-03-10 12:00:00' AND time < DATE '2026-03-11' + INTERVAL 1 DAY", nil, "[5]"},
		{"SELECT g.range, count(e.time) FROM range(3) g LEFT JOIN events e ON e.visitor_id = g.range GROUP BY ALL ORDER BY 1", nil, "[0,0]"},
		{"SELECT key, value FROM json_each('{\"a\": 1}')", nil, `["a","1"]`},
		{"SELECT * FROM (PIVOT (SELECT kind, is_bot FROM events) ON is_bot IN (true, false) USING count(*) GROUP BY kind) ORDER BY kind", nil, `["event",0,2]`},
		{"SELECT count(*) FROM events WHERE pathname = $1 AND visitor_id = $2", []any{"/", int64(1)}, "[2]"},
		{"SELECT ?, ? + 1, ? IS NULL, ?::BOOLEAN", []any{"x'); DROP VIEW events; --", int64(4), nil, true}, `["x'); DROP VIEW events; --",5,true,true]`},
		{"SELECT grouping(kind), kind, count(*) FROM events GROUP BY ROLLUP (kind) ORDER BY 1 DESC LIMIT 1", nil, "[1,null,8]"},
		{"SELECT DISTINCT ON (kind) kind FROM events ORDER BY kind COLLATE NOCASE LIMIT 1", nil, `["event"]`},
		{"SELECT quantile_cont(duration, 0.5), median(duration), approx_quantile(duration, 0.5) IS NOT NULL FROM visits", nil, "[0,0,true]"},
		{"SELECT count(*) FROM events TABLESAMPLE 100%", nil, "[8]"},
		{"SELECT visit_id IS NOT NULL FROM visits ASOF JOIN events ON visits.started_at >= events.time LIMIT 1", nil, "[true]"},
		{"SELECT 1 AS a, 2 AS a", nil, "[1,2]"},
	} {
		text, _, err := r.ask(t.Context(), Request{SQL: c.sql, Args: c.args})
		if err != nil {
			t.Errorf("%s: %v", c.sql, err)
			continue
		}
		if _, got := rows(t, text); len(got) == 0 || got[0] != c.want {
			t.Errorf("%s: %v, want %s", c.sql, got, c.want)
		}
	}
}

// TestMessages say what is wrong, where, and what to do.
func TestMessages(t *testing.T) {
	r := newRig(t, Config{})
	for _, c := range []struct{ sql, code, want string }{
		{"SELECT *\nFROM  read_text('x')", "function", `the function "read_text" is not allowed in FROM (it reads files)`},
		{"SELECT *\nFROM  read_text('x')", "function", "(line 2, column 7)"},
		{"SELECT ä, getenv('x')", "function", "(line 1, column 11)"},
		{"SELECT * FROM sales", "relation", `there is no relation "sales": ask one of the views events, visits, daily,`},
		{"SELECT 1; SELECT 2", "several_statements", "2 statements"},
		{"DELETE FROM events", "not_select", "only SELECT"},
		{"SELECT nosuch FROM visits", "invalid", `"nosuch" not found`},
		{"SELEC 1", "syntax", "syntax error"},
		{"SELECT $1", "invalid", "has 1 parameters, and 0 values are given"},
		{"DESCRIBE events", "not_allowed", "show is not allowed"},
	} {
		_, _, err := r.ask(t.Context(), Request{SQL: c.sql})
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Code != c.code || !strings.Contains(refused.Message, c.want) || strings.Contains(refused.Message, "LIMIT") {
			t.Errorf("%s: %+v\nwant %s %s", c.sql, err, c.code, c.want)
		}
	}
}

// bare is a box without files.
func bare(t testing.TB) *duck.Box {
	t.Helper()
	b, err := duck.OpenBox(context.Background(), duck.BoxConfig{
		Memory: 64 << 20, Threads: 1, Zone: "UTC", Schema: "eider",
		Tables: []duck.Table{{Name: "events", Columns: columns}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// TestFunctionsAreReviewed: DuckDB has no function that nobody has decided on.
func TestFunctionsAreReviewed(t *testing.T) {
	list, err := bare(t).Functions(t.Context())
	if err != nil || len(list) < 500 {
		t.Fatalf("%d functions, %v", len(list), err)
	}
	for name, kinds := range list {
		may, why := functions.may(strings.ToLower(name)), functions.why(strings.ToLower(name))
		if may == (why != "") {
			t.Errorf("%s (%s): allowed %t, refused %q: put it into one of the lists of functions.txt", name, strings.Join(kinds, ", "), may, why)
		}
		if may && slices.Contains(kinds, "table") && !functions.mayBeTable(name) && !slices.Contains(kinds, "scalar") {
			t.Errorf("%s is a table function that is allowed where it is none", name)
		}
	}
}
