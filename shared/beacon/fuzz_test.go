package beacon

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/enrich"
	"github.com/eider-analytics/eider/shared/registry"
)

// secret is put where nothing may keep it.
const secret = "SECRETcanary7f3a9b2c"

// fuzzIntake is an intake that checks whatever it is about to write.
func fuzzIntake(f *testing.F) *Handler {
	sites := []shared.SiteConfig{{
		ID: "site", UUID: uuid, Domains: []string{"site.example"}, Identity: shared.IdentityDay, Privacy: shared.Privacy{DistinctIDs: true},
		Links: []shared.Link{{Slug: "go", URL: "https://elsewhere.example/"}, {Slug: "px"}},
	}}
	view := registry.NewView(&shared.EdgeState{Version: "1", Sites: sites, SigningKey: []byte("k")})
	var holder registry.Holder
	holder.Store(view)
	e, err := enrich.New(enrich.Config{Sites: &holder})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = e.Close() })
	in := New(Config{
		View: holder.Load, Enrich: e.Enrich, CleanProps: e.CleanProps, Log: new(kept), // whose AddWait panics at an event that can't be kept
		ClientIP: func(*http.Request) netip.Addr { return netip.MustParseAddr(visitor) },
		Keys:     func(token string) (Grant, bool) { return nil, token == apiToken },
		Limits:   Limits{PerAddress: -1, PerSite: -1},
	})
	return in.At(Mount{})
}

// fuzzSend sends a body and checks that the answer is none that a server's
// fault would give. Forbidden are the statuses of a panic that was caught.
func fuzzSend(t *testing.T, h *Handler, method, target, body, cache string) {
	r := httptest.NewRequest(method, "/", strings.NewReader(body))
	path, query, _ := strings.Cut(target, "?")
	r.URL = &url.URL{Path: path, RawQuery: query}
	r.Header.Set("User-Agent", chrome)
	r.Header.Set("Authorization", "Bearer "+apiToken)
	r.Header["X-Umami-Cache"] = []string{cache}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code >= 500 || w.Code < 200 {
		t.Fatalf("%s: %d %s (%d of our own faults)", target, w.Code, w.Body, h.in.Counts().Of(Internal))
	}
	log := h.in.cfg.Log.(*kept)
	log.mu.Lock()
	log.events = nil
	log.mu.Unlock()
}

func FuzzPlausible(f *testing.F) {
	h := fuzzIntake(f)
	f.Add([]byte(`{"n":"pageview","u":"https://site.example/a?utm_source=x#/r","d":"site.example","r":null,"w":1440,"p":"{\"a\":1}","$":{"amount":"1.5","currency":"EUR"},"h":1}`))
	f.Add([]byte(`{"name":"engagement","url":"https://site.example/","domain":"site.example,x","e":1e9,"sd":255,"props":{"a":{"b":[1,{}]}},"ra":1e308,"rc":"usd"}`))
	f.Add([]byte("{\"n\":\"\xff\\ud800\",\"u\":\"http://[::1]:80/%ff%2f\",\"d\":\"\x00\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := ParsePlausible(body)
		for i := range list {
			checkMessage(t, &list[i])
		}
		if (err == nil) != (len(list) > 0) {
			t.Fatal("neither a message nor an error")
		}
		fuzzSend(t, h, "POST", "/api/event", string(body), "")
		fuzzSend(t, h, "POST", "/api/e", string(body), "")
	})
}

func FuzzPixel(f *testing.F) {
	h := fuzzIntake(f)
	f.Add("d=site.example&u=https%3A%2F%2Fsite.example%2F&p=%7B%22a%22%3A1%7D&ra=1&rc=EUR&w=100", "https://site.example/")
	f.Add("n=%ff&%zz&&=&$={}&h=1&w=\"", "")
	f.Fuzz(func(t *testing.T, query, page string) {
		list, err := ParsePixel(query, page)
		for i := range list {
			checkMessage(t, &list[i])
		}
		if (err == nil) != (len(list) > 0) {
			t.Fatal("neither a message nor an error")
		}
		fuzzSend(t, h, "GET", "/api/event?"+query, "", "")
		fuzzSend(t, h, "GET", "/q/"+query, "", "")
	})
}

func FuzzUmami(f *testing.F) {
	h := fuzzIntake(f)
	f.Add(umami("event", `,"hostname":"site.example","url":"/a#!x","title":"%E4%","name":"n","data":{"revenue":"1","currency":"EUR","a":{"b":[]}},"id":1`), "a.b.c")
	f.Add(umami("identify", `,"id":"x","data":{"a":null,"":1}`), `{"cache":"x"}`)
	f.Add(umami("performance", `,"lcp":60000,"cls":100,"engagement":1`), "")
	f.Add([]byte("["+string(umami("engagement", `,"engagement":1`))+",null]"), "")
	f.Fuzz(func(t *testing.T, body []byte, cache string) {
		if m, err := ParseUmami(body); err == nil {
			checkMessage(t, &m)
		}
		fuzzSend(t, h, "POST", "/api/send", string(body), cache)
		fuzzSend(t, h, "POST", "/api/batch", string(body), cache)
	})
}

func FuzzEvents(f *testing.F) {
	h := fuzzIntake(f)
	f.Add([]byte(`[{"site":"site","name":"pageview","url":"https://site.example/","time":"2026-01-01T00:00:00Z","dedupe_key":"k","ip":"::1","user_agent":"x"}]`), "key")
	f.Add([]byte(`{"events":[{"d":"site","n":"x","p":{"a":1},"revenue":{"amount":1e-9,"currency":"EUR"},"timestamp":-1,"distinct_id":true}]}`), "")
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		_ = ParseEvents(body, key, func(m Message, bad *FieldError) {
			if bad == nil {
				checkMessage(t, &m)
			}
		})
		fuzzSend(t, h, "POST", "/api/events", string(body), "")
	})
}

// checkMessage holds a message against what the parsers promise.
func checkMessage(t *testing.T, m *Message) {
	if !m.Kind.Valid() || !m.Origin.Valid() {
		t.Fatalf("kind %q, origin %q", m.Kind, m.Origin)
	}
	if len(m.Props) > shared.MaxProps {
		t.Fatalf("%d properties", len(m.Props))
	}
	for _, p := range m.Props {
		if p.Key == "" || len(p.Key) > shared.MaxPropKey || len(p.Value) > shared.MaxPropValue || !utf8.ValidString(p.Key+p.Value) {
			t.Fatalf("property %q: %q", p.Key, p.Value)
		}
	}
	if m.RevenueAmount.OK != (m.RevenueCurrency != "") {
		t.Fatalf("revenue %v of %q", m.RevenueAmount, m.RevenueCurrency)
	}
	if len(m.DedupeKey) > shared.MaxShort {
		t.Fatalf("dedupe key of %d bytes", len(m.DedupeKey))
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://u:p@site.example:80/a%2Fb?x=1#/r?y", "//", "\\\\a\\b", "/%c3%a4%", "a:b", "http://[::]", "#access_token=x"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, raw string, hash bool) {
		l, ok := splitURL(raw, hash)
		if !ok && l != (location{}) {
			t.Fatalf("%q: refused, and %+v", raw, l)
		}
		if ok && l.path != "" && l.path[0] != '/' {
			t.Fatalf("%q: path %q", raw, l.path)
		}
		_ = hostOf(raw)
		_ = stripURL(raw)
	})
}

// FuzzSecrets plants a value where only an allow-list may keep one, and looks
// for it in the event.
func FuzzSecrets(f *testing.F) {
	h := fuzzIntake(f)
	f.Add("https://site.example/a", "token", "#x")
	f.Add("/a", "utm_sourcex", "")
	f.Fuzz(func(t *testing.T, page, key, fragment string) {
		if key == "" || strings.ContainsAny(key, "=&#?%+;") || strings.Contains(page+key+fragment, secret) || allowedKey(key) {
			return
		}
		u := page + "?" + key + "=" + secret
		for _, m := range []Message{
			{Origin: shared.OriginUmami, Kind: shared.KindPageview, URL: u, Referrer: u, Site: "site"},
			{Origin: shared.OriginPlausible, Kind: shared.KindPageview, URL: page + "#" + key + "=" + secret, Site: "site", Hash: true},
		} {
			q := request{h: h, in: h.in, r: httptest.NewRequest("POST", "/", nil)}
			var e shared.Event
			q.sender.now = testNow
			q.make(&m, target{name: "site", site: h.in.cfg.View().Site("site")}, &e)
			for _, s := range []string{e.Pathname, e.Query, e.ReferrerPath, e.ReferrerDomain, e.Hostname, e.Source} {
				if strings.Contains(s, secret) {
					t.Fatalf("%q of %q holds it", s, m.URL)
				}
			}
		}
	})
}

// allowedKey reports whether a query key is one of those that are kept.
func allowedKey(key string) bool {
	key = strings.ToLower(strings.TrimSpace(key))
	return strings.HasPrefix(key, "utm_") || strings.HasSuffix(key, "clid") || key == "li_fat_id" || key == "ref" || key == "source"
}
