package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestOwnOrigin: who may ask. Edges bring a token and are not checked here.
func TestOwnOrigin(t *testing.T) {
	i := start(t)
	const ok, teapot = http.StatusOK, http.StatusTeapot
	for _, c := range []struct {
		what, method, url string
		header            []string
		want              int
	}{
		{"by address", "GET", "http://127.0.0.1:8787/api/sites", nil, ok},
		{"by another loopback address", "GET", "http://127.8.8.8/api/sites", nil, ok},
		{"by IPv6", "GET", "http://[::1]:8787/api/sites", nil, ok},
		{"by name", "GET", "http://localhost:8787/api/sites", nil, ok},
		{"by name with a dot", "GET", "http://LocalHost.:8787/api/sites", nil, ok},
		{"by a name below", "GET", "http://eider.localhost/api/sites", nil, ok},
		{"by a configured name", "GET", "http://Stats.Example.com/api/sites", nil, ok},
		{"by a name that was made to point here", "GET", "http://evil.example:8787/api/sites", nil, http.StatusMisdirectedRequest},
		{"by a name that only looks like loopback", "GET", "http://127.0.0.1.evil.example/api/sites", nil, http.StatusMisdirectedRequest},
		{"by a name that only ends like it", "GET", "http://evillocalhost/api/sites", nil, http.StatusMisdirectedRequest},
		{"by another address", "GET", "http://192.0.2.1:8787/api/sites", nil, http.StatusMisdirectedRequest},
		{"the dashboard by a foreign name", "GET", "http://evil.example/", nil, http.StatusMisdirectedRequest},
		{"metrics by a foreign name", "GET", "http://evil.example/metrics", nil, http.StatusMisdirectedRequest},
		{"an edge by any name", "POST", "http://aggregator.internal:8787/v1/hello", nil, teapot},

		{"own page", "GET", "http://127.0.0.1:8787/api/sites", []string{"Origin", "http://127.0.0.1:8787", "Sec-Fetch-Site", "same-origin"}, ok},
		{"typed by hand", "GET", "http://127.0.0.1:8787/api/sites", []string{"Sec-Fetch-Site", "none"}, ok},
		{"foreign page", "GET", "http://127.0.0.1:8787/api/sites", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"page on another port", "GET", "http://127.0.0.1:8787/api/sites", []string{"Origin", "http://127.0.0.1:8080"}, http.StatusForbidden},
		{"sandboxed page", "GET", "http://127.0.0.1:8787/api/sites", []string{"Origin", "null"}, http.StatusForbidden},
		{"image on a foreign page", "GET", "http://127.0.0.1:8787/api/sites", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, http.StatusForbidden},
		{"page of the same site", "GET", "http://127.0.0.1:8787/api/sites", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"link to the API", "GET", "http://127.0.0.1:8787/api/sites", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, http.StatusForbidden},
		{"link to the dashboard", "GET", "http://127.0.0.1:8787/?site=a", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, teapot},
		{"dashboard in a foreign frame", "GET", "http://127.0.0.1:8787/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, http.StatusForbidden},

		{"a write", "POST", "http://127.0.0.1:8787/api/stats/main", nil, http.StatusMethodNotAllowed},
		{"a write that is none", "PUT", "http://127.0.0.1:8787/api/sites", nil, http.StatusMethodNotAllowed},
		{"a form", "POST", "http://127.0.0.1:8787/api/sites", []string{"Content-Type", "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType},
		{"a change by a foreign page", "POST", "http://127.0.0.1:8787/api/sites", []string{"Content-Type", "application/json", "Origin", "https://evil.example"}, http.StatusForbidden},
		{"a change by a name that was made to point here", "POST", "http://evil.example:8787/api/sites", []string{"Content-Type", "application/json"}, http.StatusMisdirectedRequest},
		{"a preflight", "OPTIONS", "http://127.0.0.1:8787/api/keys", []string{"Origin", "http://127.0.0.1:8787"}, http.StatusMethodNotAllowed},
		{"only the head", "HEAD", "http://127.0.0.1:8787/api/sites", nil, ok},
	} {
		r := httptest.NewRequest(c.method, c.url, nil)
		for n := 0; n < len(c.header); n += 2 {
			r.Header.Set(c.header[n], c.header[n+1])
		}
		w := httptest.NewRecorder()
		i.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.what, w.Code, c.want, w.Body)
		}
		if w.Code >= 400 && w.Code != teapot {
			var e shared.ErrorBody
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Error.Code == "" || e.Error.Message == "" {
				t.Errorf("%s: no error in the agreed shape: %s", c.what, w.Body)
			}
		}
		if w.Code != teapot || !strings.HasPrefix(r.URL.Path, "/v1/") {
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: headers %v", c.what, w.Header())
			}
		}
		if c.method == "HEAD" && w.Body.Len() > 0 {
			t.Errorf("%s: a body", c.what)
		}
	}
}

// TestTags: an answer that the client has is not sent again, until something
// that it is made of changed.
func TestTags(t *testing.T) {
	i := start(t)
	i.story(t)
	const today, past = "/api/stats/main?site_id=example.com&period=today", "/api/stats/main?site_id=example.com&start_date=2026-11-16&end_date=2026-11-17"
	tag := func(path string) string {
		w := i.get(path)
		if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "private, no-cache" {
			t.Fatalf("GET %s: status %d, %v", path, w.Code, w.Header())
		}
		return w.Header().Get("ETag")
	}
	tagToday, tagPast := tag(today), tag(past)
	if tagToday == tagPast || tagToday == tag(today+"&compare=previous_year") || tagToday == tag("/api/stats/main?site_id=quiet.org&period=today") {
		t.Error("two questions have one tag")
	}
	for _, match := range []string{tagToday, "W/" + tagToday, `"other", ` + tagToday, "*"} {
		if w := i.get(today, "If-None-Match", match); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("If-None-Match %s: status %d, %d bytes", match, w.Code, w.Body.Len())
		}
	}
	i.visit(t, "2026-11-22T13:00:00Z", shared.Event{VisitorID: 77}, "/")
	if err := i.lake.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := i.get(today, "If-None-Match", tagToday); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"visitors":5`) {
		t.Errorf("after a new visit today is answered with %d %s", w.Code, w.Body)
	}
	if w := i.get(past, "If-None-Match", tagPast); w.Code != http.StatusNotModified {
		t.Errorf("days that nothing happened to are answered with %d", w.Code)
	}
	for _, path := range []string{"/api/sites", "/api/stats/accounting?site_id=example.com"} {
		if w := i.get(path, "If-None-Match", tag(path)); w.Code != http.StatusNotModified {
			t.Errorf("GET %s again: status %d", path, w.Code)
		}
	}
	if w := i.get("/api/stats/main?site_id=example.com&period=8d", "If-None-Match", "*"); w.Code != http.StatusBadRequest || w.Header().Get("ETag") != "" {
		t.Errorf("an error: status %d, %v", w.Code, w.Header())
	}
}

// TestHostileParameters: whatever is asked, the answer is an answer or an
// error that is the asker's fault.
func TestHostileParameters(t *testing.T) {
	i := start(t)
	i.story(t)
	for _, value := range []string{
		"", "'", `"`, ";", "--", "%00", "%FF%FE", "$1", "?", "../../etc/passwd", "1%20OR%201=1", "%E2%80%AE", strings.Repeat("x", 5000),
		"browsers==%27;browsers!=%22", "pages==%27%3B%20DROP%20TABLE%20events%3B%20--", "cities==%00", "os==%FF",
	} {
		for _, parameter := range []string{"site_id", "period", "start_date", "end_date", "limit", "offset", "interval", "compare", "filters"} {
			for _, path := range []string{"/api/stats/main", "/api/stats/timeseries", "/api/stats/breakdown/sources", "/api/stats/breakdown/cities", "/api/stats/realtime"} {
				query := "?site_id=example.com&" + parameter + "=" + value
				if parameter == "site_id" {
					query = "?site_id=" + value
				}
				switch w := i.get(path + query); w.Code {
				case http.StatusOK, http.StatusBadRequest, http.StatusNotFound:
				default:
					t.Errorf("GET %s%.80s: status %d: %s", path, query, w.Code, w.Body)
				}
			}
		}
	}
}

// TestUnreadableQuery: a parameter that can't be read is refused, never left out
// of what is asked.
func TestUnreadableQuery(t *testing.T) {
	i := start(t)
	i.story(t)
	for _, query := range []string{
		"&filters=browsers==Chrome;countries==DE", "&filters=pages==/100%", "&filters=pages==/%zz", "&period=today;x",
	} {
		for _, path := range []string{"main", "timeseries", "breakdown/pages", "realtime", "accounting"} {
			if w := i.get("/api/stats/" + path + "?site_id=example.com" + query); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "%3B") {
				t.Errorf("%s%s: status %d: %s", path, query, w.Code, w.Body)
			}
		}
	}
}

// late is an answer that remembers whether its body must come in time.
type late struct {
	*httptest.ResponseRecorder
	by time.Time
}

func (l *late) SetReadDeadline(at time.Time) error { l.by = at; return nil }

// TestBodiesMustCome whatever is asked for, and by whom: what no handler reads
// the server reads before it answers, for as long as it takes.
func TestBodiesMustCome(t *testing.T) {
	i := start(t)
	for _, path := range []string{"/", "/health", "/metrics", "/api/sites", "/api/stats/main", "/v1/hello", "/v1/import", "/nowhere"} {
		w := &late{ResponseRecorder: httptest.NewRecorder()}
		i.ServeHTTP(w, httptest.NewRequest("POST", "http://localhost:8787"+path, strings.NewReader("a body")))
		if left := time.Until(w.by); left <= 0 || left > time.Minute {
			t.Errorf("%s: the body may take %s", path, left)
		}
	}
}

// TestExplain: the header says where an answer comes from, if that is asked for.
func TestExplain(t *testing.T) {
	i := start(t)
	i.traffic(t)
	const path = "/api/stats/breakdown/pages?site_id=example.com&period=7d"
	if got := i.get(path).Header().Get("Eider-Explain"); got != "" {
		t.Errorf("without being asked: %q", got)
	}
	for range 2 { // the second answer is the first one's copy
		if got := i.get(path + "&explain=1").Header().Get("Eider-Explain"); !strings.HasPrefix(got, "events; files=") {
			t.Errorf("got %q", got)
		}
	}
}
