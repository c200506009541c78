package sqlbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// escapes are statements that try to get out, or in, or to bring the process
// down. %s is a file with a secret in it.
var escapes = []string{
	"SELECT * FROM read_csv('/etc/passwd')",
	"SELECT * FROM read_csv_auto('%s')",
	"SELECT * FROM read_text('%s')",
	"SELECT * FROM read_blob('%s')",
	"SELECT * FROM read_json('%s')",
	"SELECT * FROM read_ndjson_objects('%s')",
	"SELECT * FROM read_parquet('%s')",
	"SELECT * FROM parquet_scan('%s')",
	"SELECT * FROM parquet_metadata('%s')",
	"SELECT * FROM parquet_schema('%s')",
	"SELECT * FROM sniff_csv('%s')",
	"SELECT * FROM glob('/etc/*')",
	"SELECT * FROM '%s'",
	`SELECT * FROM "%s"`,
	`SELECT * FROM "/etc/passwd"`,
	"SELECT * FROM 'file.parquet'",
	"SELECT * FROM 's3://bucket/x.parquet'",
	"SELECT * FROM 'https://127.0.0.1:1/x.csv'",
	`WITH "%s" AS (SELECT * FROM "%s") SELECT * FROM "%s"`,
	`WITH "x.csv" AS (SELECT 1) SELECT * FROM "x.csv"`,
	`WITH a AS (SELECT * FROM read_text('%s')) SELECT * FROM a`,
	`WITH RECURSIVE a AS (SELECT * FROM read_text('%s') UNION ALL SELECT * FROM a) SELECT * FROM a`,
	`WITH RECURSIVE "%s" AS (SELECT * FROM "%s" UNION ALL SELECT 1) SELECT 1`,
	"SELECT (SELECT content FROM read_text('%s'))",
	"SELECT 1 WHERE EXISTS (SELECT 1 FROM read_text('%s'))",
	"SELECT 1 FROM events WHERE pathname IN (SELECT content FROM read_text('%s'))",
	"SELECT * FROM events, LATERAL (SELECT * FROM read_text('%s')) x",
	"SELECT * FROM events e JOIN read_text('%s') t ON true",
	"SELECT 1 UNION ALL (SELECT 2 EXCEPT SELECT size FROM read_text('%s'))",
	"SELECT count(*) FILTER (EXISTS (SELECT 1 FROM glob('/*'))) FROM events",
	"SELECT 1 ORDER BY (SELECT size FROM read_text('%s'))",
	"SELECT 1 LIMIT (SELECT size FROM read_text('%s'))",
	"SELECT 1 GROUP BY (SELECT size FROM read_text('%s'))",
	"SELECT sum(1) OVER (PARTITION BY (SELECT size FROM read_text('%s')))",
	"SELECT 1 FROM events QUALIFY row_number() OVER (ORDER BY getenv('HOME')) = 1",
	"SELECT CASE WHEN true THEN getenv('HOME') END",
	"SELECT * REPLACE (getenv('HOME') AS pathname) FROM events",
	"SELECT COLUMNS(x -> getenv('HOME') = x) FROM events",
	"VALUES (getenv('HOME'))",
	"SELECT getenv('HOME')",
	"SELECT main.getenv('HOME')",
	"SELECT system.main.getenv('HOME')",
	"SELECT 'HOME'.getenv()",
	"SELECT list_transform(['HOME'], x -> getenv(x))",
	"SELECT list_transform(['HOME'], lambda x: getenv(x))",
	"SELECT [getenv(x) for x in ['HOME']]",
	"SELECT list_reduce(['a', 'b'], (x, y) -> current_setting(x))",
	"SELECT current_setting('home_directory')",
	"SELECT getvariable('a0_2')",
	"SELECT CURRENT_SETTING('allowed_paths')",
	"SELECT \"current_setting\"('allowed_paths')",
	"SELECT U&\"current\\005Fsetting\"('allowed_paths')",
	"SELECT current_user",
	"SELECT current_database()",
	"SELECT 1::regclass",
	"SELECT nextval('x')",
	"SELECT txid_current()",
	"SELECT version()",
	"SELECT write_log('x')",
	"SELECT sleep_ms(100000)",
	"SELECT json_serialize_sql('SELECT 1')",
	"SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
	"SELECT * FROM query('SELECT 1')",
	"SELECT * FROM query_table('events')",
	"SELECT * FROM duckdb_settings()",
	"SELECT * FROM duckdb_views()",
	"SELECT * FROM duckdb_secrets()",
	"SELECT * FROM which_secret('x', 's3')",
	"SELECT * FROM pragma_table_info('events')",
	"SELECT * FROM information_schema.tables",
	"SELECT * FROM pg_catalog.pg_class",
	"SELECT * FROM sqlite_master",
	"SELECT * FROM duckdb_tables",
	"SELECT * FROM eider.files",
	"SELECT * FROM memory.eider.files",
	"SELECT * FROM eider.counted",
	"SELECT * FROM checkpoint()",
	"SELECT * FROM test_all_types()",
	"SELECT * FROM seq_scan('events')",
	"SELECT * FROM events AT (VERSION => 1)",
	"ATTACH '%s' AS x",
	"ATTACH ':memory:' AS x",
	"DETACH memory",
	"USE memory",
	"COPY events TO '%s'",
	"COPY (SELECT 1) TO '/dev/stdout'",
	"EXPORT DATABASE '/tmp/x'",
	"IMPORT DATABASE '/tmp/x'",
	"EXPLAIN SELECT 1",
	"EXPLAIN ANALYZE SELECT 1",
	"EXPLAIN ANALYZE COPY (SELECT 1) TO '%s'",
	"PREPARE p AS SELECT 1",
	"EXECUTE p",
	"DESCRIBE events",
	"SHOW TABLES",
	"SHOW ALL TABLES",
	"SUMMARIZE events",
	"SELECT * FROM (DESCRIBE events)",
	"SELECT * FROM (SHOW TABLES)",
	"SELECT * FROM (SUMMARIZE events)",
	"PRAGMA database_list",
	"PRAGMA table_info('events')",
	"CALL pragma_version()",
	"SET memory_limit = '100GB'",
	"SET VARIABLE x = 1",
	"RESET memory_limit",
	"INSTALL httpfs",
	"LOAD httpfs",
	"LOAD '%s'",
	"CREATE TABLE x (a INTEGER)",
	"CREATE MACRO f(x) AS getenv(x)",
	"CREATE FUNCTION f(x) AS TABLE SELECT * FROM read_text(x)",
	"CREATE SECRET (TYPE s3)",
	"DROP VIEW events",
	"INSERT INTO events VALUES (1)",
	"WITH a AS (INSERT INTO events VALUES (1) RETURNING *) SELECT * FROM a",
	"DELETE FROM events",
	"UPDATE events SET pathname = 1",
	"BEGIN",
	"CHECKPOINT",
	"VACUUM",
	"PIVOT events ON pathname",
	"SELECT 1; SELECT 2",
	"SELECT 1; COPY (SELECT 1) TO '%s'",
	"SELECT 1); COPY (SELECT 1) TO '%s'; SELECT (1",
	"SELECT 1) q; ATTACH '%s' AS x; SELECT * FROM (SELECT 1",
	"SELECT 1 -- )\n; DROP VIEW events",
	"SELECT 1 /* ; */ ; /* */ SET threads = 9",
	"/* SELECT 1 */ COPY (SELECT 1) TO '%s'",
	"SELECT 1 /*",
	"SELECT '",
	"SELECT $$",
	"",
	" ; ; ",
	"-- nothing",
	"SELECT",
	"ＳＥＬＥＣＴ 1",
	"SELECT * FROM \u0000",
	"SELECT \xff",
	"SELECT * FROM r\u0435ad_text('%s')",
	"SELECT * FROM \"READ_TEXT\"('%s')",
	"SELECT * FROM Read_Text('%s')",
	"SELECT * FROM main.read_text('%s')",
	"SELECT * FROM range(getenv('HOME')::INT)",
	"SELECT * FROM nobody",
	"SELECT nothing FROM events",
	"SELECT $1",
	"SELECT ?",
	"SELECT error('x')",
	"SELECT 'a'::INTEGER",
}

// TestEscapes: each ends in an error that is the asker's fault, and tells nothing
// of what it was after.
func TestEscapes(t *testing.T) {
	oneAfterTheOther(t)
	r := newRig(t, Config{})
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("canary\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	box := bare(t)
	for i, attempt := range escapes {
		sql := strings.ReplaceAll(attempt, "%s", secret)
		err := (&Request{SQL: sql, Format: JSON}).valid()
		if err == nil {
			err = checkText(t.Context(), box, strings.TrimRight(sql, "; \t\r\n"), 10)
		}
		text := ""
		if err == nil || i%10 == 0 { // what the check lets through, and some of the others
			text, _, err = r.ask(t.Context(), Request{SQL: sql})
		}
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Code == "" || refused.Message == "" || strings.HasPrefix(refused.Code, "too_much") {
			t.Errorf("%q: %v %s", attempt, err, text)
			continue
		}
		if strings.Contains(refused.Message, "canary") || strings.Contains(refused.Message, "root:") {
			t.Errorf("%q tells: %s", attempt, refused.Message)
		}
	}
	if _, _, err := r.ask(t.Context(), Request{SQL: "SELECT 1"}); err != nil {
		t.Error("afterwards:", err)
	}
	if left, err := os.ReadDir(filepath.Dir(secret)); err != nil || len(left) != 1 {
		t.Errorf("files were written: %v, %v", left, err)
	}
}

// TestWithoutTheCheck: the process holds what the check would not have let through.
func TestWithoutTheCheck(t *testing.T) {
	oneAfterTheOther(t)
	r := newRig(t, Config{})
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret.csv")
	if err := os.WriteFile(secret, []byte("canary\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, came := listen(t)
	own, others := r.files[0].Path, r.files[1].Path
	before, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("EIDER_SECRET", "canary")
	ask := func(sql string) (string, error) {
		text, _, err := r.ask(t.Context(), Request{SQL: sql, unchecked: true})
		return text, err
	}
	if text, err := ask("SELECT count(*) FROM read_parquet('" + own + "')"); err != nil || !strings.Contains(text, "[10]") {
		t.Errorf("what is allowed can't be read: %s, %v", text, err)
	}
	for _, sql := range []string{
		"SELECT * FROM read_text('" + secret + "')",
		"SELECT * FROM read_csv('/etc/passwd')",
		"SELECT * FROM read_blob('/proc/self/environ')",
		"SELECT * FROM read_text('/proc/self/maps')",
		"SELECT * FROM read_parquet('" + others + "')",
		"SELECT * FROM read_parquet('" + filepath.Dir(own) + "/*.parquet')",
		"SELECT * FROM read_parquet('" + filepath.Dir(own) + "/../bbsite/b.parquet')",
		"SELECT * FROM 'http://" + addr + "/x.csv'",
		"SELECT * FROM query('SELECT * FROM read_text(''" + secret + "'')')",
		"SELECT getenv('EIDER_SECRET')",
		"SELECT 1) q; COPY (SELECT 1) TO '" + dir + "/new.csv'; SELECT * FROM (SELECT 1",
		"SELECT 1) q; COPY (SELECT 1 AS a) TO '" + own + "' (FORMAT parquet); SELECT * FROM (SELECT 1",
		"SELECT 1) q; ATTACH '" + dir + "/new.db' AS x; SELECT * FROM (SELECT 1",
		"SELECT 1) q; SET enable_external_access = true; SELECT * FROM (SELECT 1",
		"SELECT 1) q; SET lock_configuration = false; SELECT * FROM (SELECT 1",
		"SELECT 1) q; INSTALL httpfs; SELECT * FROM (SELECT 1",
		"SELECT 1) q; LOAD '" + secret + "'; SELECT * FROM (SELECT 1",
	} {
		text, err := ask(sql)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %s %v", sql, text, err)
		}
	}
	if text, err := ask("SELECT * FROM glob('/etc/*')"); err == nil && strings.Contains(text, "passwd") {
		t.Errorf("the list of a directory: %s", text)
	}
	after, err := os.ReadFile(own)
	if err != nil || string(after) != string(before) {
		t.Error("the site's own file was written", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("files were written: %v, %v", left, err)
	}
	if came() {
		t.Error("the network was reached")
	}
}

// endless takes hours, and hardly any memory.
const endless = "SELECT count(*) FROM range(100000) a, range(100000) b, range(100) c WHERE (a.range * b.range + c.range) % 7 = 3"

// TestTooMuch: what takes too much ends by a limit, and nothing but itself.
func TestTooMuch(t *testing.T) {
	oneAfterTheOther(t)
	r := newRig(t, Config{Time: 6 * time.Second, Memory: 64 << 20})
	deep := func(n int, open, middle, end string) string {
		return "SELECT " + strings.Repeat(open, n) + middle + strings.Repeat(end, n)
	}
	for _, c := range []struct{ what, sql, code string }{
		{"a cross join", endless, "too_slow"},
		{"a recursion without end", "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t", "too_slow|too_much_memory"},
		{"a large list", "SELECT len(list(range)) FROM range(50000000)", "too_much_memory"},
		{"a large sort", "SELECT * FROM (SELECT range, md5(range::VARCHAR) m FROM range(20000000)) ORDER BY m LIMIT 1000000", "too_much_memory|too_slow"},
		{"a large text", "SELECT length(repeat(repeat('x', 1000000), 100000))", "too_much_memory|too_much|invalid"},
		{"a text that doubles", "SELECT list_reduce([x::VARCHAR for x in range(60)], (a, b) -> a || a)", "too_much_memory|too_much|too_slow|invalid"},
		{"a large range", "SELECT range(100000000000)", "too_much_memory|too_much|invalid"},
		{"a megabyte of text", "SELECT '" + strings.Repeat("x", 1<<20) + "'", "too_long"},
		{"deep parentheses", deep(20_000, "(", "1", ")"), "*"},
		{"deep calls", deep(5_000, "abs(", "1", ")"), "*"},
		{"deep lists", deep(20_000, "[", "1", "]"), "*"},
		{"deep subqueries", deep(2_000, "(SELECT ", "1", ")"), "*"},
		{"a long sum", "SELECT 1" + strings.Repeat("+1", 30_000), "*"},
		{"a long AND", "SELECT 1 WHERE true" + strings.Repeat(" AND NOT false", 4_000), "ok"},
		{"many UNIONs", "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 3_000), "*"},
		{"a type within types", "SELECT NULL::" + strings.Repeat("STRUCT(a ", 3_000) + "INT" + strings.Repeat(")", 3_000), "*"},
	} {
		began := time.Now()
		text, _, err := r.ask(t.Context(), Request{SQL: c.sql})
		var refused *RefusedError
		switch {
		case err == nil && (c.code == "ok" || c.code == "*"): // * is an answer or a refusal, as long as it ends
		case !errors.As(err, &refused):
			t.Errorf("%s: %v %.100s", c.what, err, text)
		case c.code != "*" && !strings.Contains("|"+c.code+"|", "|"+refused.Code+"|"):
			t.Errorf("%s: %s, want %s: %s", c.what, refused.Code, c.code, refused.Message)
		default:
			t.Logf("%s: %s: %.150s (%s)", c.what, refused.Code, refused.Message, time.Since(began).Round(time.Millisecond))
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s took %s", c.what, took)
		}
	}
	if _, _, err := r.ask(t.Context(), Request{SQL: "SELECT 1"}); err != nil {
		t.Error("afterwards:", err)
	}
}

// TestLimits: rows and bytes end an answer, each in its way.
func TestLimits(t *testing.T) {
	r := newRig(t, Config{MaxBytes: 100_000})
	for _, c := range []struct {
		sql       string
		limit     int
		rows      int64
		truncated bool
		code      string
	}{
		{"SELECT * FROM range(10)", 10, 10, false, ""},
		{"SELECT * FROM range(11)", 10, 10, true, ""},
		{"SELECT range AS n FROM range(100000) ORDER BY n DESC", 2, 2, true, ""},
		{"SELECT * FROM range(100000000000)", 0, DefaultRows, true, ""},
		{"SELECT md5(range::VARCHAR) FROM range(100000)", MaxRows, 0, false, "too_large"},
		{"SELECT 1", MaxRows + 1, 0, false, "invalid_parameter"},
		{"SELECT 1", -1, 0, false, "invalid_parameter"},
	} {
		text, a, err := r.ask(t.Context(), Request{SQL: c.sql, Limit: c.limit})
		var refused *RefusedError
		switch {
		case c.code != "" && (!errors.As(err, &refused) || refused.Code != c.code):
			t.Errorf("%s: %v, want %s", c.sql, err, c.code)
		case c.code == "" && err != nil:
			t.Errorf("%s: %v", c.sql, err)
		case c.code == "" && (a.Rows != c.rows || a.Truncated != c.truncated || !strings.Contains(text, fmt.Sprintf(`"truncated":%t`, c.truncated))):
			t.Errorf("%s: %d rows, truncated %t", c.sql, a.Rows, a.Truncated)
		}
	}
}

// TestTurns: no more than two at once, some wait, the rest is told to come back;
// who goes away takes the child along.
func TestTurns(t *testing.T) {
	r := newRig(t, Config{AtOnce: 1, Waiting: 1})
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, _, err := r.ask(ctx, Request{SQL: endless})
			ended <- err
		}()
	}
	for len(r.waiting) < 2 {
		time.Sleep(time.Millisecond)
	}
	if _, _, err := r.ask(t.Context(), Request{SQL: "SELECT 1"}); !errors.Is(err, ErrBusy) {
		t.Errorf("a third: %v", err)
	}
	time.Sleep(300 * time.Millisecond) // so that the first has its child
	began := time.Now()
	leave()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, _, err := r.ask(t.Context(), Request{SQL: "SELECT 1"}); err != nil {
		t.Error("afterwards:", err)
	}
}

// TestSitesApart: a statement never sees another site's rows, also where it
// names it.
func TestSitesApart(t *testing.T) {
	r := newRig(t, Config{})
	for _, v := range []string{"events", "visits", "v_pa_events", "v_pa_sessions", "v_pa_sites"} {
		for _, site := range []struct {
			q            Request
			own, foreign string
		}{
			{Request{Site: r.site}, "aasite", "bbsite"},
			{Request{Site: r.other}, "bbsite", "aasite"},
		} {
			site.q.SQL = "SELECT * FROM " + v + " WHERE true OR 'bbsite' = 'bbsite'"
			text, a, err := r.ask(t.Context(), site.q)
			if err != nil || a.Rows == 0 || strings.Contains(text, site.foreign) {
				t.Errorf("%s of %s: %v %s", v, site.own, err, text)
			}
			if strings.Contains(text, "/canary") != (site.own == "bbsite" && strings.Contains(text, "path") || site.own == "bbsite" && v == "visits") {
				t.Errorf("%s of %s: %s", v, site.own, text)
			}
		}
	}
}
