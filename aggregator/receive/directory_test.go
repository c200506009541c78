package receive

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// directory answers every token with what it asked for.
type directory struct {
	version  string
	allowed  []string
	reported []shared.UnknownHost
}

func (d *directory) State(allowed []string, have string) (*shared.EdgeState, string) {
	d.allowed = allowed
	if have == d.version {
		return nil, d.version
	}
	return &shared.EdgeState{Version: d.version, Sites: []shared.SiteConfig{{ID: "a"}}}, d.version
}

func (d *directory) Report(hosts []shared.UnknownHost) { d.reported = append(d.reported, hosts...) }

// tokens are those of the test.
type tokens map[string]Permission

func (t tokens) Authorize(token string) (Permission, bool) {
	p, ok := t[token]
	return p, ok
}

func TestEdgeAsks(t *testing.T) {
	d := &directory{version: "v1"}
	g := newRig(t)
	g.close()
	g.directory, g.tokens = d, tokens{"all": {}, "one": {Edge: "shop", Sites: []string{"a"}}}
	g.open()
	report := `{"unknown_hosts":[{"host":"b.example","requests":3,"last_seen":5}]}`
	for _, c := range []struct {
		what, method, token, etag, contentType, body string
		status                                       int
		allowed                                      []string
		reported                                     int
	}{
		{"first question", "GET", "all", "", "", "", 200, nil, 0},
		{"unchanged", "GET", "all", `"v1"`, "", "", 304, nil, 0},
		{"unchanged, through a proxy", "GET", "all", `W/"v1"`, "", "", 304, nil, 0},
		{"changed", "GET", "all", `"v0"`, "", "", 200, nil, 0},
		{"for one site", "GET", "one", "", "", "", 200, []string{"a"}, 0},
		{"no token", "GET", "", "", "", "", 401, nil, 0},
		{"another's token", "GET", "two", "", "", "", 401, nil, 0},
		{"a report", "POST", "all", "", "application/json", report, 200, nil, 1},
		{"a report, unchanged", "POST", "one", `"v1"`, "application/json; charset=utf-8", report, 304, []string{"a"}, 1},
		{"an empty report", "POST", "all", "", "application/json", "{}", 200, nil, 0},
		{"a report without token", "POST", "", "", "application/json", report, 401, nil, 0},
		{"a report of another type", "POST", "all", "", "text/plain", report, 415, nil, 0},
		{"no report", "POST", "all", "", "application/json", "not JSON", 400, nil, 0},
		{"too many hosts", "POST", "all", "", "application/json", `{"unknown_hosts":[` + strings.Repeat("{},", 100) + `{}]}`, 400, nil, 0},
		{"too long", "POST", "all", "", "application/json", strings.Repeat(" ", maxReport+1), 413, nil, 0},
		{"another method", "PUT", "all", "", "", "", 405, nil, 0},
	} {
		d.reported, d.allowed = nil, nil
		req := httptest.NewRequest(c.method, shared.PathEdge, strings.NewReader(c.body))
		for name, value := range map[string]string{"Authorization": "Bearer " + c.token, "If-None-Match": c.etag, "Content-Type": c.contentType} {
			if value != "" && value != "Bearer " {
				req.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		g.recv.ServeHTTP(w, req)
		if w.Code != c.status || len(d.reported) != c.reported || !reflect.DeepEqual(d.allowed, c.allowed) {
			t.Errorf("%s: %d %s, reported %d, for %v", c.what, w.Code, w.Body, len(d.reported), d.allowed)
		}
		if c.status == 200 {
			var st shared.EdgeState
			if err := json.Unmarshal(w.Body.Bytes(), &st); err != nil || st.Version != "v1" || len(st.Sites) != 1 {
				t.Errorf("%s: %s, %v", c.what, w.Body, err)
			}
		}
		if c.status < 400 && (w.Header().Get("ETag") != `"v1"` || w.Header().Get("Cache-Control") != "no-store") {
			t.Errorf("%s: headers %v", c.what, w.Header())
		}
		if c.status == 304 && w.Body.Len() > 0 {
			t.Errorf("%s: a body", c.what)
		}
	}
}

// TestATokenSpeaksForItsEdge: an edge id that one bound token claimed is no
// other's, also after a restart; the shared token may speak for all.
func TestATokenSpeaksForItsEdge(t *testing.T) {
	g := newRig(t)
	g.close()
	g.tokens = tokens{
		"shop": {Edge: "shop"}, "shop's new one": {Edge: "shop"}, "blog": {Edge: "blog"}, "shared": {}, token: {},
	}
	g.open()
	e := newEdge(1)
	as := func(token, path, contentType string, body []byte) int {
		req := e.request(path, contentType, body)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		g.recv.ServeHTTP(w, req)
		return w.Code
	}
	hello := func(token string) int {
		body, err := json.Marshal(shared.Hello{Edge: e.id, Epoch: e.epoch, Boot: e.boot, Name: "host-7"})
		if err != nil {
			t.Fatal(err)
		}
		return as(token, shared.PathHello, "application/json", body)
	}
	batch := func(token string, seq uint64) int {
		return as(token, shared.PathBatches, shared.ContentTypeBatches, e.frame(seq, 1, nil))
	}
	check := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	check("shared hello", hello("shared"), 200)
	check("an edge that only the shared token spoke for is taken by the first", hello("shop"), 200)
	if list := g.recv.Edges(); len(list) != 1 || list[0].Name != "shop" {
		t.Errorf("edges are %+v", list)
	}
	check("its batch", batch("shop", 1), 200)
	check("another's hello", hello("blog"), http.StatusForbidden)
	check("another's batch", batch("blog", 2), http.StatusForbidden)
	check("another's damaged batch", as("blog", shared.PathBatches, shared.ContentTypeBatches, damagedFrame(e)), http.StatusForbidden)
	check("its batch after that", batch("shop", 2), 200)
	check("its new token's", batch("shop's new one", 3), 200)
	check("the shared token's", batch("shared", 4), 200)
	g.settle()
	g.wantCounts(e, 1, 2, 3, 4)
	g.sink.commit(t, g.state)
	g.restart()
	check("another's hello after a restart", hello("blog"), http.StatusForbidden)
	check("its hello after a restart", hello("shop"), 200)
}

// damagedFrame has a checksum that is wrong.
func damagedFrame(e *edgeSim) []byte {
	frame := e.frame(2, 1, nil)
	frame[len(frame)-1] ^= 1
	return frame
}
