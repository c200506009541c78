package beacon

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The opt-out is set for a page of the site that asks, by POST, and for nobody
// else.
func TestOptOut(t *testing.T) {
	d := newDoor(t, Mount{Prefix: "/e"})
	h := d.in.At(d.mount)
	for _, c := range []struct {
		what, method, path string
		headers            []string
		status             int
		cookie             string
	}{
		{"asked for", "POST", "/e/opt-out", []string{"Sec-Fetch-Site", "same-origin"}, 204, "eider_optout=1; Path=/; Max-Age=34214400; HttpOnly; SameSite=Lax"},
		{"taken back", "POST", "/e/opt-in", []string{"Sec-Fetch-Site", "same-origin"}, 204, "eider_optout=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"},
		{"by a browser too old to say where from", "POST", "/e/opt-out", []string{"Origin", "https://site.example:8443"}, 204, "eider_optout=1; Path=/; Max-Age=34214400; HttpOnly; SameSite=Lax"},
		{"by another site", "POST", "/e/opt-out", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403, ""},
		{"by another site, too old to say", "POST", "/e/opt-out", []string{"Origin", "https://evil.example"}, 403, ""},
		{"by a sandbox", "POST", "/e/opt-out", []string{"Origin", "null"}, 403, ""},
		{"by a link", "GET", "/e/opt-out", []string{"Sec-Fetch-Site", "same-origin"}, 405, ""},
	} {
		r := httptest.NewRequest(c.method, "http://site.example:8443"+c.path, nil)
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Set-Cookie"); w.Code != c.status || got != c.cookie {
			t.Errorf("%s: %d %q, want %d %q", c.what, w.Code, got, c.status, c.cookie)
		}
	}
	if len(d.log.events) != 0 {
		t.Error("something was recorded of it")
	}
}

func TestAMessagesPlaceByTheNetworkBeforeUs(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		d := newDoor(t, Mount{Prefix: "/e", Site: func(*http.Request) string { return "site" }})
		d.trusted = trusted
		d.send("POST", "/e/api/event", `{"n":"pageview","u":"https://site.example/a","d":"site.example"}`, "Cf-Ipcountry", "NL", "Cf-Ipcity", "Utrecht")
		e := d.last()
		want := map[bool]string{true: "NL/Utrecht", false: "/"}[trusted]
		if got := e.CountryCode + "/" + e.City; got != want {
			t.Errorf("trusted %v: %s, want %s", trusted, got, want)
		}
	}
}

// Links and pixels respect it, too; whoever follows a link gets there.
func TestOptedOutLinksCountNothing(t *testing.T) {
	d := newDoor(t, Mount{})
	for _, path := range []string{"/q/go", "/p/px"} {
		if r := d.send("GET", path, "", "Cookie", "eider_optout=1"); r.StatusCode >= 400 || len(d.log.events) != 0 {
			t.Errorf("%s: %d, %d events", path, r.StatusCode, len(d.log.events))
		}
		d.send("GET", path, "")
		d.last()
	}
}
