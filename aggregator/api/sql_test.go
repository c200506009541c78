package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/aggregator/auth"
	"github.com/eider-analytics/eider/aggregator/sqlbox"
	"github.com/eider-analytics/eider/shared"
)

// The test binary is the process that statements run in, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == sqlbox.ChildCommand {
		os.Exit(sqlbox.Child())
	}
	os.Exit(m.Run())
}

// TestSQL: statements over HTTP, of hot rows, with parameters and formats, for
// those who may ask.
func TestSQL(t *testing.T) {
	i := start(t)
	i.story(t)
	issue := func(n auth.New) string {
		key, err := i.keys.Add(n)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + key.Token
	}
	stats := issue(auth.New{Name: "a", Scopes: []string{auth.ScopeStats}, Sites: []string{"example.com"}})
	ingest := issue(auth.New{Name: "b", Scopes: []string{auth.ScopeIngest}})
	for _, c := range []struct {
		what, body string
		header     []string
		status     int
		want       string
	}{
		{"an answer", `{"site_id":"example.com","sql":"SELECT count(*) AS n FROM events WHERE kind = 'pageview' AND NOT is_bot"}`, nil, 200, `{"columns":[{"name":"n","type":"BIGINT"}],"rows":[` + "\n[15]\n" + `],"truncated":false}`},
		{"parameters", `{"site_id":"example.com","sql":"SELECT ?::BIGINT + 1","parameters":[]}`, nil, 400, "has 1 parameters"},
		{"a limit", `{"site_id":"example.com","sql":"SELECT pathname FROM events ORDER BY 1","limit":1,"format":"csv"}`, nil, 200, "pathname\r\n/\r\n"},
		{"whole numbers stay whole", `{"site_id":"example.com","sql":"SELECT $1::UBIGINT, $2, $3 IS NULL","parameters":[9007199254740993,"x",null],"format":"csv"}`, nil, 200, "9007199254740993,x,true"},
		{"by Accept", `{"site_id":"example.com","sql":"SELECT 1 AS one"}`, []string{"Accept", "text/csv"}, 200, "one\r\n1\r\n"},
		{"with a key", `{"site_id":"example.com","sql":"SELECT 1 AS one","format":"csv"}`, []string{"Authorization", stats}, 200, "one"},
		{"with a key of another site", `{"site_id":"quiet.org","sql":"SELECT 1"}`, []string{"Authorization", stats}, 403, "not for this site"},
		{"with a key for something else", `{"site_id":"example.com","sql":"SELECT 1"}`, []string{"Authorization", ingest}, 403, "stats:read"},
		{"with no key that is known", `{"site_id":"example.com","sql":"SELECT 1"}`, []string{"Authorization", "Bearer x"}, 401, "not known"},
		{"from a foreign page", `{"site_id":"example.com","sql":"SELECT 1"}`, []string{"Origin", "https://evil.example"}, 403, "other origins"},
		{"as a form", `{"site_id":"example.com","sql":"SELECT 1"}`, []string{"Content-Type", "text/plain"}, 415, "application/json"},
		{"of an unknown site", `{"site_id":"nobody.example","sql":"SELECT 1"}`, nil, 404, "no site"},
		{"of no site", `{"sql":"SELECT 1"}`, nil, 400, "site_id"},
		{"of a path", `{"site_id":"../x","sql":"SELECT 1"}`, nil, 400, "site_id"},
		{"nothing", `{"site_id":"example.com"}`, nil, 400, "no statement"},
		{"no JSON", `SELECT 1`, nil, 400, "invalid"},
		{"an unknown field", `{"site_id":"example.com","sql":"SELECT 1","file":"/etc/passwd"}`, nil, 400, "file"},
		{"an unknown format", `{"site_id":"example.com","sql":"SELECT 1","format":"xml"}`, nil, 400, "json, csv, arrow, parquet"},
		{"parameters that are none", `{"site_id":"example.com","sql":"SELECT 1","parameters":[{}]}`, nil, 400, "parameters"},
		{"no SELECT", `{"site_id":"example.com","sql":"COPY events TO '/tmp/x'"}`, nil, 400, "only SELECT"},
		{"a file", `{"site_id":"example.com","sql":"SELECT * FROM read_text('/etc/passwd')"}`, nil, 400, "read_text"},
		{"too long", `{"site_id":"example.com","sql":"` + strings.Repeat("x", 100_000) + `"}`, nil, 413, "at most"},
		{"far too long", `{"site_id":"example.com","sql":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "too large"},
	} {
		r := httptest.NewRequest("POST", "http://localhost/api/sql", strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		for n := 0; n < len(c.header); n += 2 {
			r.Header.Set(c.header[n], c.header[n+1])
		}
		w := httptest.NewRecorder()
		i.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.what, w.Code, w.Body, c.status, c.want)
		}
		var e shared.ErrorBody
		if w.Code != http.StatusOK && (json.Unmarshal(w.Body.Bytes(), &e) != nil || e.Error.Code == "" || e.Error.Message == "") {
			t.Errorf("%s: no error in the agreed shape: %s", c.what, w.Body)
		}
	}
	if w := i.get("/api/sql"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", w.Code, w.Header())
	}
}

// TestSQLHeaders tell what an answer is, and how much of it there is.
func TestSQLHeaders(t *testing.T) {
	i := start(t)
	i.story(t)
	for format, media := range map[string]string{"csv": "text/csv; charset=utf-8", "arrow": "application/vnd.apache.arrow.stream"} {
		r := httptest.NewRequest("POST", "http://localhost/api/sql?format="+format, strings.NewReader(`{"site_id":"example.com","sql":"FROM events","limit":3}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		i.ServeHTTP(w, r)
		h := w.Header()
		if w.Code != 200 || h.Get("Content-Type") != media || h.Get("X-Eider-Rows") != "3" || h.Get("X-Eider-Truncated") != "true" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", format, w.Code, h)
		}
	}
}
