package sites

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

func ptr[T any](v T) *T { return &v }

// change reads a change as the API does.
func change(t *testing.T, text string) (c Change) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEdit plays changes one after the other on one site, and finds what they
// come to, also after the store was opened again.
func TestEdit(t *testing.T) {
	dir := t.TempDir()
	r, s := open(t, dir)
	if _, err := r.Register("example.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Register("other.com"); err != nil {
		t.Fatal(err)
	}
	strict := shared.Presets["strict"]
	for _, c := range []struct {
		change string
		want   string // in the error
		check  func(state.Site) bool
	}{
		{`{}`, "", func(s state.Site) bool { return s.UpdatedAt == 0 && s.Identity == "day" && !s.Archived }},
		{`{"domains":["www.Example.com","shop.example.com:443","shop.example.com"]}`, "", func(s state.Site) bool {
			return reflect.DeepEqual(s.Domains, []string{"example.com", "shop.example.com"})
		}},
		{`{"domains":[]}`, "at least one", nil},
		{`{"domains":["../evil"]}`, "not a host name", nil},
		{`{"domains":["example.com","other.com"]}`, "a name of the site other-com", nil},
		{`{"domains":["example.com","other-com"]}`, "a name of the site other-com", nil},
		{`{"name":" The shop "}`, "", func(s state.Site) bool { return s.Name == "The shop" }},
		{`{"name":""}`, "name", nil},
		{`{"name":"a\u0000b"}`, "name", nil},
		{`{"time_zone":"Asia/Kolkata"}`, "", func(s state.Site) bool { return s.Zone == "Asia/Kolkata" && s.UpdatedAt > 0 }},
		{`{"time_zone":"Mars"}`, "no time zone", nil},
		{`{"allowed_domains":["Example.com","*.example.com","bücher.de"]}`, "", func(s state.Site) bool {
			return reflect.DeepEqual(s.AllowedDomains, []string{"example.com", "*.example.com", "xn--bcher-kva.de"})
		}},
		{`{"allowed_domains":["*"]}`, "allowed domains", nil},
		{`{"allowed_domains":["a.*.com"]}`, "pattern", nil},
		{`{"allowed_domains":["*.127.0.0.1"]}`, "below an address", nil},
		{`{"identity":"month"}`, "", func(s state.Site) bool { return s.Identity == "month" }},
		{`{"identity":"week"}`, "day or month", nil},
		{`{"privacy":{"redact":["/order/[0-9]+"],"query_keys":["page","page"],"distinct_ids":true}}`, "", func(s state.Site) bool {
			return reflect.DeepEqual(s.Privacy, shared.Privacy{Redact: []string{"/order/[0-9]+"}, QueryKeys: []string{"page"}, DistinctIDs: true})
		}},
		{`{"privacy":{"no_visitor_id":true}}`, "choose one", nil},
		{`{"preset":"strict"}`, "", func(s state.Site) bool {
			want := strict
			want.Redact, want.QueryKeys = []string{"/order/[0-9]+"}, []string{"page"}
			return reflect.DeepEqual(s.Privacy, want)
		}},
		{`{"privacy":{"hour_times":false,"dnt":"ignore"}}`, "", func(s state.Site) bool {
			return !s.Privacy.HourTimes && s.Privacy.DNT == shared.SignalIgnore && s.Privacy.CountryOnly && len(s.Privacy.Redact) == 1
		}},
		{`{"preset":"cnil","privacy":{"gpc":"no_identity","redact":[]}}`, "", func(s state.Site) bool {
			return s.Privacy.NoScreen && !s.Privacy.NoVisitorID && s.Privacy.GPC == shared.SignalNoIdentity && len(s.Privacy.Redact) == 0
		}},
		{`{"preset":"lax"}`, "strict, cnil or default", nil},
		{`{"privacy":{"dnt":"maybe"}}`, "none of ignore, no_identity and refuse", nil},
		{`{"privacy":{"no_such_option":true}}`, "no_such_option", nil},
		{`{"privacy":[1]}`, "privacy", nil},
		{`{"privacy":{"redact":["(["]}}`, "pattern 1: error parsing", nil},
		{`{"privacy":{"redact":["a*"]}}`, "fits nothing at all", nil},
		{`{"privacy":{"query_keys":["a b"]}}`, "a key has 1 to", nil},
		// What edges could not use: they would record no path at all, or not the key.
		{`{"privacy":{"query_keys":["a[]"]}}`, "a key has 1 to", nil},
		{`{"privacy":{"query_keys":["` + strings.Repeat("k", shared.MaxQueryKey+1) + `"]}}`, "a key has 1 to", nil},
		{`{"privacy":{"redact":["` + strings.Repeat("x", shared.MaxRedactPattern+1) + `"]}}`, "at most 200", nil},
		{`{"privacy":{"redact":["(abc){900}"]}}`, "repeats too much", nil},
		{`{"preset":"default"}`, "", func(s state.Site) bool {
			return reflect.DeepEqual(s.Privacy, shared.Privacy{QueryKeys: []string{"page"}})
		}},
		{`{"archived":true}`, "", func(s state.Site) bool { return s.Archived }},
		{`{"archived":false}`, "", func(s state.Site) bool { return !s.Archived }},
	} {
		before, version := r.List(), r.Version()
		got, err := r.Edit("example.com", change(t, c.change))
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want %q in it", c.change, err, c.want)
			}
			if !reflect.DeepEqual(before, r.List()) || version != r.Version() {
				t.Errorf("%s: refused, and yet something changed", c.change)
			}
			continue
		}
		if err != nil || !c.check(got) {
			t.Errorf("%s: %v, became %+v", c.change, err, got)
		}
		if found, ok := r.Resolve(got.ID); !ok || !reflect.DeepEqual(found, got) {
			t.Errorf("%s: the registry has %+v", c.change, found)
		}
		if changed := !reflect.DeepEqual(before, r.List()); changed != (version != r.Version()) {
			t.Errorf("%s: changed %v, version from %s to %s", c.change, changed, version, r.Version())
		}
	}
	want, _ := r.Configs()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, _ := open(t, dir)
	if got, version := again.Configs(); !reflect.DeepEqual(got, want) || version == r.Version() {
		t.Errorf("after opening again: %+v, version %s", got, version)
	}
	if _, err := again.Edit("nobody.example", Change{}); err == nil || !strings.Contains(err.Error(), "no such site") {
		t.Errorf("an unknown site: %v", err)
	}
}

// TestADomainMoves: taken from one site, it can be another's.
func TestADomainMoves(t *testing.T) {
	r, _ := open(t, t.TempDir())
	a, err := r.Add("a.com", change(t, `{"domains":["b.com"]}`))
	if err != nil || !reflect.DeepEqual(a.Domains, []string{"a.com", "b.com"}) {
		t.Fatalf("added %+v, %v", a, err)
	}
	if _, err := r.Edit(a.ID, change(t, `{"domains":["a.com"]}`)); err != nil {
		t.Fatal(err)
	}
	if s, ok := r.Resolve("b.com"); ok {
		t.Errorf("b.com still finds %s", s.ID)
	}
	b, err := r.Register("b.com")
	if err != nil || b.ID == a.ID || len(r.List()) != 2 {
		t.Errorf("registered %+v, %v", b, err)
	}
}

// TestChangedTells that something changed, once for many changes.
func TestChangedTells(t *testing.T) {
	r, _ := open(t, t.TempDir())
	<-r.Changed() // opened
	for _, domain := range []string{"a.com", "b.com", "a.com"} {
		if _, err := r.Register(domain); err != nil {
			t.Fatal(err)
		}
	}
	<-r.Changed()
	select {
	case <-r.Changed():
		t.Error("told twice")
	default:
	}
}

// TestOldRecords: a site that an older version stored has the defaults.
func TestOldRecords(t *testing.T) {
	_, s := open(t, t.TempDir())
	if err := s.PutSite(state.Site{ID: "old", UUID: "u", Domains: []string{"old.com"}, Name: "old.com", Zone: "UTC", Origin: "caddyfile"}); err != nil {
		t.Fatal(err)
	}
	r, err := Open(s, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []shared.SiteConfig{{ID: "old", UUID: "u", Name: "old.com", Domains: []string{"old.com"}, TimeZone: "UTC", Identity: "day"}}
	if got, _ := r.Configs(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestSnippet(t *testing.T) {
	s := state.Site{ID: "example-com", Domains: []string{"example.com", "shop.example.com"}}
	for _, c := range []struct{ base, want string }{
		{"", `<script defer src="/e/e.js" data-site="example.com"></script>`},
		{"/metrics/", `<script defer src="/metrics/e.js" data-site="example.com"></script>`},
		{"https://stats.example.com", `<script defer src="https://stats.example.com/e.js" data-site="example.com"></script>`},
		{`/"><script>`, `<script defer src="/%22%3E%3Cscript%3E/e.js" data-site="example.com"></script>`},
		{"javascript:alert(1)", ""},
		{"//evil.example", ""},
		{"e", ""},
		{"https://a.example/?x", ""},
		{"https://user@a.example", ""},
	} {
		got, err := Snippet(&s, c.base)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("Snippet(%q) = %s, %v, want %s", c.base, got, err, c.want)
		}
	}
}

// FuzzChange: whatever a change says, the site can be handed out, and is the
// same when it is read again.
func FuzzChange(f *testing.F) {
	for _, s := range []string{
		`{"domains":["a.com"],"allowed_domains":["*.a.com"]}`, `{"privacy":{"redact":["a+"],"dnt":"refuse"}}`,
		`{"preset":"strict","name":"x","identity":"month","time_zone":"Europe/Berlin"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var c Change
		if json.Unmarshal(text, &c) != nil {
			return
		}
		site := state.Site{ID: "a", Domains: []string{"a.com"}, Name: "a", Zone: "UTC", Identity: "day"}
		if c.apply(&site) != nil {
			return
		}
		b, err := json.Marshal(site)
		var again state.Site
		if err != nil || json.Unmarshal(b, &again) != nil || !reflect.DeepEqual(normalSite(site), normalSite(again)) {
			t.Fatalf("%s makes %+v, which becomes %s, %v", text, site, b, err)
		}
		if again := site; c.apply(&again) != nil || !same(&again, &site) {
			t.Fatalf("%s makes %+v and then %+v", text, site, again)
		}
	})
}
