package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/aggregator/api"
	"github.com/eider-analytics/eider/aggregator/auth"
)

const own = "http://127.0.0.1:8787"

// send asks with a body of JSON, and a token if it is not empty.
func (i *instance) send(method, url, token, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	return w
}

func (i *instance) key(t *testing.T, n auth.New) string {
	t.Helper()
	key, err := i.keys.Add(n)
	if err != nil {
		t.Fatal(err)
	}
	return key.Token
}

// TestWhoMayChange: sites from this machine, keys with the owner's token, all
// else with neither.
func TestWhoMayChange(t *testing.T) {
	i := start(t)
	admin := i.key(t, auth.New{Scopes: []string{"admin"}})
	reader := i.key(t, auth.New{Scopes: []string{"stats:read"}})
	edge := i.key(t, auth.New{Edge: "shop"})
	const remote = "http://stats.example.com"
	const edit, add = `{"name":"Quiet"}`, `{"scopes":["ingest"]}`
	for _, c := range []struct {
		what, method, url, token, body string
		want                           int
	}{
		{"a site, on this machine", "PATCH", own + "/api/sites/quiet.org", "", edit, 200},
		{"a site, on this machine by name", "PATCH", "http://localhost:8787/api/sites/quiet.org", "", edit, 200},
		{"a site, through a proxy", "PATCH", remote + "/api/sites/quiet.org", "", edit, 401},
		{"a site, through a proxy with the owner's token", "PATCH", remote + "/api/sites/quiet.org", ownerToken, edit, 200},
		{"a site, through a proxy with an admin's key", "PATCH", remote + "/api/sites/quiet.org", admin, edit, 200},
		{"a site, with a reader's key", "PATCH", own + "/api/sites/quiet.org", reader, edit, 403},
		{"a site, with an edge's token", "PATCH", own + "/api/sites/quiet.org", edge, edit, 403},
		{"a site, with no token of ours", "PATCH", own + "/api/sites/quiet.org", "wrong", edit, 401},
		{"a new site, through a proxy", "POST", remote + "/api/sites", "", `{"domain":"new.org"}`, 401},
		{"a key, on this machine", "POST", own + "/api/keys", "", add, 401},
		{"a key, with the owner's token", "POST", own + "/api/keys", ownerToken, add, 201},
		{"a key, with an admin's key", "POST", remote + "/api/keys", admin, add, 201},
		{"a key, with a reader's key", "POST", own + "/api/keys", reader, add, 403},
		{"the keys, on this machine", "GET", own + "/api/keys", "", "", 401},
		{"the keys, with the owner's token", "GET", own + "/api/keys", ownerToken, "", 200},
		{"the end of a key, on this machine", "DELETE", own + "/api/keys/12345678", "", "", 401},
		{"the unknown hosts, with a reader's key", "GET", own + "/api/sites/unknown", reader, "", 403},
	} {
		if w := i.send(c.method, c.url, c.token, c.body); w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, w.Code, c.want, w.Body)
		}
	}
	// A proxy that names this machine as the host, as nginx and Apache do unless
	// they are told otherwise, lets in nobody who has no token.
	for what, by := range map[string]func(r *http.Request){
		"X-Forwarded-For": func(r *http.Request) { r.Header.Set("X-Forwarded-For", "198.51.100.7") },
		"Via":             func(r *http.Request) { r.Header.Set("Via", "1.1 proxy") },
		"Forwarded":       func(r *http.Request) { r.Header.Set("Forwarded", "for=198.51.100.7") },
		"HTTP/1.0":        func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0 },
	} {
		r := httptest.NewRequest("PATCH", own+"/api/sites/quiet.org", strings.NewReader(edit))
		r.Header.Set("Content-Type", "application/json")
		by(r)
		w := httptest.NewRecorder()
		if i.ServeHTTP(w, r); w.Code != 401 {
			t.Errorf("a site, through a proxy that shows by %s: %d", what, w.Code)
		}
	}
	// Where others reach the server, a name of loopback proves nothing.
	i.config.Loopback = false
	i.Server = api.New(i.config)
	for token, want := range map[string]int{"": 401, ownerToken: 200} {
		if w := i.send("PATCH", own+"/api/sites/quiet.org", token, edit); w.Code != want {
			t.Errorf("a site, where the network reaches the server, with %q: %d, want %d", token, w.Code, want)
		}
	}
}

// TestChangeSites adds, edits and archives sites, as the dashboard does.
func TestChangeSites(t *testing.T) {
	i := start(t)
	for _, c := range []struct {
		method, path, body string
		want               int
		says               string
	}{
		{"POST", "/api/sites", `{"domain":"www.New.org:443","time_zone":"Asia/Kolkata","preset":"cnil","domains":["shop.new.org"]}`, 201, `"domains":["new.org","shop.new.org"]`},
		{"POST", "/api/sites", `{"domain":"new.org"}`, 409, "/api/sites/new-org"},
		{"POST", "/api/sites", `{"domain":"new-org"}`, 409, "new-org"},
		{"POST", "/api/sites", `{"domain":"../evil"}`, 400, "not a host name"},
		{"POST", "/api/sites", `{}`, 400, "needs a name"},
		{"POST", "/api/sites", `{"domain":"a.org","colour":"red"}`, 400, "colour"},
		{"POST", "/api/sites", `{"domain":"a.org"} {}`, 400, "one JSON object"},
		{"POST", "/api/sites", `[]`, 400, ""},
		{"POST", "/api/sites", `{"domain":"` + strings.Repeat("a", 300<<10) + `"}`, 413, "too large"},
		{"PATCH", "/api/sites/new-org", `{"privacy":{"redact":["(["]}}`, 400, "error parsing"},
		{"PATCH", "/api/sites/new-org", `{"privacy":{"redact":["/u/[0-9]+"],"country_only":true}}`, 200, `"redact":["/u/[0-9]+"]`},
		{"PATCH", "/api/sites/NEW.org", `{"allowed_domains":["*.new.org"],"identity":"month"}`, 200, `"identity":"month"`},
		{"PATCH", "/api/sites/nobody.org", `{}`, 404, "unknown_site"},
		{"PATCH", "/api/sites/new-org", `{"archived":true}`, 200, `"archived":true`},
		{"GET", "/api/sites/new-org", "", 200, `"snippet":"\u003cscript defer src=\"/e/e.js\" data-site=\"new.org\"\u003e`},
		{"GET", "/api/sites/nobody.org", "", 404, "unknown_site"},
		{"DELETE", "/api/sites/new-org", "", 405, "GET, PATCH"},
	} {
		w := i.send(c.method, own+c.path, "", c.body)
		if w.Code != c.want || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s %.80s: %d %s, want %d and %s", c.method, c.path, c.body, w.Code, w.Body, c.want, c.says)
		}
	}
	if w := i.get("/api/sites"); !strings.Contains(w.Body.String(), `"time_zone":"Asia/Kolkata"`) || strings.Count(w.Body.String(), `"site_id"`) != 3 {
		t.Errorf("the list is %s", w.Body)
	}
}

// TestKeys: a token is shown once, and works until it is revoked.
func TestKeys(t *testing.T) {
	i := start(t)
	w := i.send("POST", own+"/api/keys", ownerToken, `{"name":"shop","edge":"shop","sites":["example.com"],"expires":"90d"}`)
	var made struct {
		ID, Prefix, Token string
		Scopes, Sites     []string
		ExpiresAt         *string `json:"expires_at"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 201 || !strings.HasPrefix(made.Token, made.Prefix) ||
		!slices.Equal(made.Sites, []string{siteID}) || !slices.Equal(made.Scopes, []string{"edge"}) || made.ExpiresAt == nil {
		t.Fatalf("made %d %s, %v", w.Code, w.Body, err)
	}
	if _, ok := i.keys.Identify(made.Token); !ok {
		t.Error("the key does not work")
	}
	list := i.send("GET", own+"/api/keys", ownerToken, "").Body.String()
	if !strings.Contains(list, made.Prefix) || strings.Contains(list, made.Token) || strings.Contains(list, "hash") {
		t.Errorf("the list is %s", list)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/api/keys", `{"scopes":["root"]}`, 400},
		{"POST", "/api/keys", `{"scopes":["ingest"],"sites":["nobody.org"]}`, 400},
		{"POST", "/api/keys", `{"token":"mine"}`, 400},
		{"DELETE", "/api/keys/" + made.ID, "", 200},
		{"DELETE", "/api/keys/" + made.ID, "", 404},
		{"PATCH", "/api/keys/" + made.ID, "{}", 405},
	} {
		if w := i.send(c.method, own+c.path, ownerToken, c.body); w.Code != c.want {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, w.Code, w.Body)
		}
	}
	if _, ok := i.keys.Identify(made.Token); ok {
		t.Error("a revoked key works")
	}
}

// TestAKeyAsksForItsSites: who shows a token gets what it is for, though
// without one everything is open.
func TestAKeyAsksForItsSites(t *testing.T) {
	i := start(t)
	reader := i.key(t, auth.New{Scopes: []string{"stats:read"}, Sites: []string{"example.com"}})
	sender := i.key(t, auth.New{Scopes: []string{"ingest"}})
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{"/api/stats/main?site_id=example.com&period=7d", reader, http.StatusOK},
		{"/api/stats/accounting?site_id=example.com&period=7d", reader, http.StatusOK},
		{"/api/stats/main?site_id=quiet.org&period=7d", reader, http.StatusForbidden},
		{"/api/stats/accounting?site_id=quiet.org&period=7d", reader, http.StatusForbidden},
		{"/api/sites/quiet.org", reader, http.StatusForbidden},
		{"/api/stats/main?site_id=quiet.org&period=7d", ownerToken, http.StatusOK},
		{"/api/stats/main?site_id=quiet.org&period=7d", sender, http.StatusForbidden},
		{"/api/sites", sender, http.StatusForbidden},
		{"/api/stats/main?site_id=quiet.org&period=7d", "wrong", http.StatusUnauthorized},
		{"/api/sites", "wrong", http.StatusUnauthorized},
		{"/api/sites/unknown", "wrong", http.StatusUnauthorized},
	} {
		if w := i.send("GET", own+c.path, c.token, ""); w.Code != c.want {
			t.Errorf("GET %s: %d %s, want %d", c.path, w.Code, w.Body, c.want)
		}
	}
	if w := i.send("GET", own+"/api/sites", reader, ""); strings.Contains(w.Body.String(), "quiet-org") || !strings.Contains(w.Body.String(), siteID) {
		t.Errorf("it lists %s", w.Body)
	}
}
