package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// post asks with a body of JSON.
func (i *instance) post(path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8787"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w
}

// TestQuery pins what questions of metrics by groups are answered with.
func TestQuery(t *testing.T) {
	i := start(t)
	i.story(t)
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"query-totals":          {"/api/query", `{"site_id":"example.com","metrics":["visitors","visits","pageviews","bounce_rate","visit_duration","views_per_visit"],"date_range":"7d","include":{"comparisons":{"mode":"previous_period"}}}`, 200},
		"query-v2-totals":       {"/api/v2/query", `{"site_id":"example.com","metrics":["visitors","visits","pageviews","bounce_rate","visit_duration","views_per_visit"],"date_range":"7d","include":{"comparisons":{"mode":"previous_period"}}}`, 200},
		"query-days":            {"/api/query", `{"site_id":"example.com","metrics":["visitors","pageviews"],"date_range":["2026-11-16","2026-11-22"],"dimensions":["time:day"],"include":{"time_labels":true,"comparisons":{"mode":"previous_period"}}}`, 200},
		"query-v2-hours":        {"/api/v2/query", `{"site_id":"example.com","metrics":["visitors","percentage"],"date_range":"day","dimensions":["time"],"include":{"time_labels":true}}`, 200},
		"query-filters":         {"/api/query", `{"site_id":"example.com","metrics":["visitors","events"],"date_range":"7d","dimensions":["event:page","visit:source"],"filters":[["or",[["is","visit:country",["DE"]],["contains","event:page",["BLOG"],{"case_sensitive":false}]]],["not",["has_done",["is","event:page",["/pricing"]]]]],"order_by":[["event:page","asc"]],"include":{"total_rows":true},"pagination":{"limit":2,"offset":1}}`, 200},
		"query-past-the-end":    {"/api/query", `{"site_id":"example.com","metrics":["visitors"],"date_range":"7d","dimensions":["event:page"],"include":{"total_rows":true},"pagination":{"offset":100}}`, 200},
		"query-no-goals":        {"/api/query", `{"site_id":"quiet.org","metrics":["visitors","bounce_rate","conversion_rate"],"date_range":"7d","filters":[["is","event:goal",["Signup"]]]}`, 400},
		"query-error-metric":    {"/api/query", `{"site_id":"example.com","metrics":["visitors","shoes"],"date_range":"7d"}`, 400},
		"query-v2-error-filter": {"/api/v2/query", `{"site_id":"example.com","metrics":["visitors"],"date_range":"7d","filters":[["likes","event:page",["/"]]]}`, 400},
		"query-v2-error-site":   {"/api/v2/query", `{"site_id":"nobody.example","metrics":["visitors"],"date_range":"7d"}`, 404},
		"query-v2-error-body":   {"/api/v2/query", `{"site_id":`, 400},
		"query-error-field":     {"/api/query", `{"site_id":"example.com","metric":["visitors"]}`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			w := i.post(c.path, c.body)
			if w.Code != c.status {
				t.Errorf("status %d, want %d", w.Code, c.status)
			}
			golden(t, name, w)
		})
	}
}

// TestQueryManners: what a body may be, and who may ask.
func TestQueryManners(t *testing.T) {
	i := start(t)
	i.story(t)
	const body = `{"site_id":"example.com","metrics":["visitors"],"date_range":"7d"}`
	for what, c := range map[string]struct {
		path, body string
		header     []string
		want       int
	}{
		"a token that is not known":       {"/api/v2/query", body, []string{"Authorization", "Bearer nothing"}, http.StatusUnauthorized},
		"the owner's token":               {"/api/v2/query", body, []string{"Authorization", "Bearer " + ownerToken}, http.StatusOK},
		"a form":                          {"/api/query", body, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		"a page of another origin":        {"/api/query", body, []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"a body that is too large":        {"/api/query", `{"site_id":"` + strings.Repeat("a", 300<<10) + `"}`, nil, http.StatusRequestEntityTooLarge},
		"two objects":                     {"/api/query", body + body, nil, http.StatusBadRequest},
		"a site's name that can't be one": {"/api/query", `{"site_id":"../etc"}`, nil, http.StatusBadRequest},
		"no body":                         {"/api/query", ``, nil, http.StatusBadRequest},
		"null":                            {"/api/query", `null`, nil, http.StatusBadRequest},
		"a tag that would fit":            {"/api/query", body, []string{"If-None-Match", "*"}, http.StatusOK},
	} {
		if w := i.post(c.path, c.body, c.header...); w.Code != c.want {
			t.Errorf("%s: status %d, want %d: %s", what, w.Code, c.want, w.Body)
		}
	}
	if w := i.get("/api/query"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
		t.Errorf("GET /api/query: status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
	// The same question in other words has the same tag, another one has another.
	a := i.post("/api/query", body).Header().Get("ETag")
	b := i.post("/api/query", `{"date_range":["2026-11-16","2026-11-22"], "metrics":["visitors"], "filters":[], "site_id":"example-com"}`).Header().Get("ETag")
	c := i.post("/api/query", `{"site_id":"example.com","metrics":["visitors"],"date_range":"7d","filters":[["is","event:page",["/"]]]}`).Header().Get("ETag")
	if a == "" || a != b || a == c {
		t.Errorf("tags %s, %s of the same question, %s of another", a, b, c)
	}
}

// TestGoals: goals are added and removed, asked by, and part of what an answer is
// remembered by.
func TestGoals(t *testing.T) {
	i := start(t)
	i.story(t)
	const path = "/api/goals?site_id=example.com"
	const asked = `{"site_id":"example.com","metrics":["visitors","conversion_rate","group_conversion_rate"],"date_range":"7d","dimensions":["event:goal"]}`
	for _, c := range []struct {
		what, path, body string
		want             int
	}{
		{"a page", path, `{"name":"Read docs","page":"/docs/**"}`, http.StatusCreated},
		{"the same again", path, `{"name":"Read docs","page":"/docs/**"}`, http.StatusConflict},
		{"nothing", path, `{"name":"x"}`, http.StatusBadRequest},
		{"of no site", "/api/goals?site_id=nobody.example", `{"name":"x","page":"/"}`, http.StatusNotFound},
		{"another field", path, `{"name":"x","path":"/"}`, http.StatusBadRequest},
		{"by a token that is not known", path, `{"name":"x","page":"/"}`, http.StatusUnauthorized},
	} {
		var header []string
		if c.want == http.StatusUnauthorized {
			header = []string{"Authorization", "Bearer nothing"}
		}
		if w := i.post(c.path, c.body, header...); w.Code != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.what, w.Code, c.want, w.Body)
		}
	}
	first := i.post("/api/query", asked)
	i.post(path, `{"name":"Priced","page":"/pricing"}`)
	second := i.post("/api/query", asked)
	golden(t, "goals", i.get(path))
	golden(t, "query-goals", second)
	if first.Header().Get("ETag") == second.Header().Get("ETag") {
		t.Error("another goal, and the same tag")
	}
	r := httptest.NewRequest(http.MethodDelete, "http://127.0.0.1:8787"+path+"&name=Priced", nil)
	w := httptest.NewRecorder()
	if i.ServeHTTP(w, r); w.Code != http.StatusOK || w.Body.String() != `[{"name":"Read docs","page":"/docs/**"}]` {
		t.Errorf("removed: status %d: %s", w.Code, w.Body)
	}
	w = httptest.NewRecorder()
	if i.ServeHTTP(w, r); w.Code != http.StatusNotFound {
		t.Errorf("removed again: status %d: %s", w.Code, w.Body)
	}
}
