package beacon

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// nativeText is what each message has, with further fields f.
func nativeText(f string) []byte {
	if f != "" {
		f = "," + f
	}
	return []byte(`[{"l":"00000000000000ab","o":1,"u":"https://site.example/a"` + f + `}]`)
}

func TestParseNative(t *testing.T) {
	some := shared.Some[int64]
	blank := Message{Origin: shared.OriginBeacon, URL: "https://site.example/a", LoadID: 0xab, DedupeKey: "00000000000000ab-1"}
	for _, c := range []struct {
		name, fields string
		want         func(m *Message)
	}{
		{"page view", `"n":"pageview","v":"0123456789abcdef","t":"A","r":"https://from.example/","w":"1440x900","c":false,"st":200`, func(m *Message) {
			m.Kind, m.ViewID, m.Title, m.Referrer, m.Screen = shared.KindPageview, 0x0123456789abcdef, "A", "https://from.example/", "1440x900"
		}},
		{"without a view id", `"n":"pageview","v":null`, func(m *Message) { m.Kind = shared.KindPageview }},
		{"restored", `"n":"pageview","v":"0123456789abcdef","c":true`, func(m *Message) {
			m.Kind, m.ViewID, m.Cached = shared.KindPageview, 0x0123456789abcdef, true
		}},
		{"soft", `"n":"pageview","pv":"0123456789abcdef","c":true,"st":404`, func(m *Message) {
			m.Kind, m.ParentViewID = shared.KindPageview, 0x0123456789abcdef
		}},
		{"soft in a document without a name", `"n":"pageview","pv":"1,2"`, func(m *Message) { m.Kind, m.ParentViewID = shared.KindPageview, 1<<32|2 }},
		{"event", `"n":" Buy ","props":{"plan":"pro","n":3},"revenue":19.99,"currency":"eur","v":"0123456789abcdef","c":true`, func(m *Message) {
			m.Kind, m.Name, m.ViewID = shared.KindEvent, "Buy", 0x0123456789abcdef
			m.Props = []shared.Prop{{Key: "plan", Value: "pro", Type: shared.PropString}, {Key: "n", Value: "3", Type: shared.PropNumber}}
			m.RevenueAmount, m.RevenueCurrency = some(199900), "EUR"
		}},
		{"event in short", `"n":"Buy","p":"{\"plan\":\"pro\"}","ra":"5","rc":"USD","d":42,"tag":"x","s":"Site.Example"`, func(m *Message) {
			m.Kind, m.Name, m.DistinctID, m.Tag, m.Site = shared.KindEvent, "Buy", "42", "x", "site.example"
			m.Props = []shared.Prop{{Key: "plan", Value: "pro", Type: shared.PropString}}
			m.RevenueAmount, m.RevenueCurrency = some(50000), "USD"
		}},
		{"revenue as an object", `"n":"Buy","revenue":{"amount":"7.5","currency":"USD"}`, func(m *Message) {
			m.Kind, m.Name, m.RevenueAmount, m.RevenueCurrency = shared.KindEvent, "Buy", some(75000), "USD"
		}},
		{"what a page says wrongly", `"n":7,"props":3,"revenue":true,"currency":{},"url":[],"t":{},"w":"wide","callback":{},"d":{}`, func(m *Message) {
			m.Kind, m.Name = shared.KindEvent, "7"
		}},
		{"another URL", `"n":"pageview","url":"/b?x#y"`, func(m *Message) { m.Kind, m.URL = shared.KindPageview, "https://site.example/b?x#y" }},
		{"no URL", `"n":"pageview","url":"javascript:alert(1)"`, func(m *Message) { m.Kind = shared.KindPageview }},
		{"identify", `"n":"identify","d":"u1","props":{"plan":"pro"}`, func(m *Message) {
			m.Kind, m.Name, m.DistinctID = shared.KindCompletion, shared.CompletionIdentify, "u1"
			m.Props = []shared.Prop{{Key: "plan", Value: "pro", Type: shared.PropString}}
		}},
		{"engagement", `"n":"engagement","k":"engagement","e":1234.6,"sd":55`, func(m *Message) {
			m.Kind, m.EngagedMS, m.ScrollDepth = shared.KindEngagement, some(1235), some(55)
		}},
		{"engagement of days", `"k":"engagement","e":1e12,"sd":101`, func(m *Message) { m.Kind, m.EngagedMS = shared.KindEngagement, some(maxEngaged) }},
		{"vitals", `"k":"vitals","lcp":1200,"inp":48,"cls":0.05,"fcp":800,"ttfb":-1`, func(m *Message) {
			m.Kind, m.LCPMS, m.INPMS, m.CLS, m.FCPMS = shared.KindVitals, shared.Some(1200.0), shared.Some(48.0), shared.Some(0.05), shared.Some(800.0)
		}},
		{"outbound", `"n":"outbound","k":"outbound","p":{"url":"https://x.example/?token=SECRET"}`, func(m *Message) {
			m.Kind = shared.KindOutbound
			m.Props = []shared.Prop{{Key: "url", Value: "https://x.example/", Type: shared.PropString}}
		}},
		{"an event called engagement", `"n":"engagement"`, func(m *Message) { m.Kind, m.Name = shared.KindEvent, "engagement" }},
		{"attributes", `"n":"x","site":"a.example","hash":"","auto":"false","api":"/x","outbound":"","404":"","exclude":"/b"`, func(m *Message) {
			m.Kind, m.Name, m.Site, m.Hash = shared.KindEvent, "x", "a.example", true
		}},
	} {
		list, err := ParseNative(nativeText(c.fields))
		want := blank
		c.want(&want)
		if err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.name, list, err, want)
		}
	}
}

func TestParseNativeLeavesOut(t *testing.T) {
	for _, fields := range []string{
		`"n":"pageview","st":404`,
		`"n":"pageview","v":"0123456789abcdef","st":500`,
		`"n":"pageview","exclude":"/b, /a"`,
		`"n":"Buy","exclude":"/*"`,
		`"k":"engagement","e":1,"exclude":"*a"`,
		`"n":""`, `"n":null`, `"n":"  "`, ``,
	} {
		if list, err := ParseNative(nativeText(fields)); err != nil || len(list) != 0 {
			t.Errorf("%s: %+v, %v", fields, list, err)
		}
	}
	// The others of the same request are taken.
	list, err := ParseNative([]byte(`[{"l":"1,2","o":0,"n":"pageview","u":"http://a/x","st":404},{"l":"1,2","o":17,"n":"404","u":"http://a/x","st":404}]`))
	if err != nil || len(list) != 1 || list[0].Name != "404" || list[0].DedupeKey != "0000000100000002-11" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := ParseNative([]byte(` [ ] `)); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestParseNativeRefuses(t *testing.T) {
	many := `[` + strings.Repeat(`{},`, maxNative) + `{}]`
	for _, c := range []struct{ body, field string }{
		{``, ""},
		{`{}`, ""},
		{`[1,]`, ""},
		{`null`, ""},
		{many, ""},
		{`[` + strings.Repeat(" ", maxBody) + `]`, ""},
		{`[1]`, "[0]"},
		{string(nativeText(`"k":"completion"`)), "[0].k"},
		{string(nativeText(`"k":7`)), "[0].k"},
		{string(nativeText(`"l":""`)), "[0].l"},
		{string(nativeText(`"l":7`)), "[0].l"},
		{string(nativeText(`"l":"1,4294967296"`)), "[0].l"},
		{string(nativeText(`"l":"abc"`)), "[0].l"},
		{string(nativeText(`"v":"0123456789abcdeg"`)), "[0].v"},
		{string(nativeText(`"pv":true`)), "[0].pv"},
		{string(nativeText(`"o":-1`)), "[0].o"},
		{string(nativeText(`"o":1.5`)), "[0].o"},
		{string(nativeText(`"o":"1"`)), "[0].o"},
		{string(nativeText(`"o":4294967296`)), "[0].o"},
		{string(nativeText(`"u":"/a"`)), "[0].u"},
		{string(nativeText(`"u":null`)), "[0].u"},
		{string(nativeText(`"site":"a b"`)), "[0].site"},
		{string(nativeText(`"exclude":[]`)), "[0].exclude"},
		{string(nativeText(`"k":"engagement"`)), "[0].e"},
		{`[{"l":"1,2","o":0,"n":"x","u":"http://a/x"},{"o":1}]`, "[1].u"},
	} {
		list, err := ParseNative([]byte(c.body))
		var bad *FieldError
		if !errors.As(err, &bad) || bad.Field != c.field || list != nil {
			t.Errorf("%.80s: %v %v, want an error about %q", c.body, list, err, c.field)
		}
	}
}

func TestExcluded(t *testing.T) {
	for _, c := range []struct {
		patterns, path string
		want           bool
	}{
		{"", "/a", false},
		{"/a", "/a", true},
		{"/a", "/ab", false},
		{"/a/*", "/a/b/c", true},
		{"/a/*", "/a", false},
		{"*.pdf", "/x/y.pdf", true},
		{"/*/edit", "/posts/7/edit", true},
		{"/*/edit", "/edit", false},
		{"/a*a", "/a", false},
		{"/a*a", "/aa", true},
		{"/x, /y\n/z  /w/*", "/w/1", true},
		{"/a.b", "/axb", false},
		{"/a(", "/a(", true},
		{"/#/admin*", "/#/admin/x", true},
		{strings.Repeat("*a", 500) + "b", strings.Repeat("a", 2000), false},
	} {
		if got := excluded(c.patterns, c.path); got != c.want {
			t.Errorf("excluded(%.40q, %.40q) = %v", c.patterns, c.path, got)
		}
	}
}

func FuzzNative(f *testing.F) {
	f.Add(nativeText(`"n":"pageview","v":"0123456789abcdef","t":"A","r":"https://from.example/","w":"1440x900","c":false,"st":200`))
	f.Add(nativeText(`"n":"Buy","props":{"a":{"b":[1,2]}},"revenue":{"amount":1,"currency":"EUR"},"url":"/x?y","d":1,"exclude":"/*b"`))
	f.Add(nativeText(`"k":"vitals","lcp":1e9,"cls":"0.1"`))
	f.Add(nativeText(`"k":"engagement","e":1,"sd":2,"pv":"1,2"`))
	f.Add([]byte(`[{"n":"identify"},[]]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := ParseNative(body)
		if err != nil {
			if bad := new(FieldError); !errors.As(err, &bad) || list != nil {
				t.Fatalf("%v with %d messages", err, len(list))
			}
			return
		}
		if len(list) > maxNative {
			t.Fatalf("%d messages", len(list))
		}
		for i := range list {
			m := &list[i]
			checkMessage(t, m)
			if m.Origin != shared.OriginBeacon || m.LoadID == 0 || !strings.HasPrefix(m.DedupeKey, fmt.Sprintf("%016x-", m.LoadID)) {
				t.Fatalf("%+v", m)
			}
			if (m.Kind == shared.KindEvent || m.Kind == shared.KindCompletion) == (m.Name == "") {
				t.Fatalf("%s with the name %q", m.Kind, m.Name)
			}
			if len(m.Name) > shared.MaxName || len(m.Title) > shared.MaxTitle || len(m.Tag) > shared.MaxTag || len(m.DistinctID) > shared.MaxDistinct {
				t.Fatalf("%+v is too long", m)
			}
		}
	})
}

// The script that a place serves sends to the endpoint of that place.
func TestScriptSendsToItsMount(t *testing.T) {
	for _, c := range []struct {
		mount        Mount
		path, target string
	}{
		{Mount{Prefix: "/e"}, "/e/e.js", `"event"`},
		{Mount{Prefix: "/e"}, "/e/script.js?outbound", `"event"`},
		{Mount{}, "/e.js", `"api/e"`},
		{Mount{Prefix: "/x", Endpoint: "y", File: "z.js"}, "/x/z.js", `"y"`},
	} {
		d := newDoor(t, c.mount)
		r := d.send("GET", c.path, "")
		if body := text(r); r.StatusCode != 200 || !strings.Contains(body, c.target) || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Errorf("%s: %d without %s: %.100s", c.path, r.StatusCode, c.target, body)
		}
	}
}
