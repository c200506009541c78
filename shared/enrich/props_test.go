package enrich

import (
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// What a site's patterns and the rules of paths take out of paths stays in no
// property either.
func TestPropertiesThatArePaths(t *testing.T) {
	const token = "dGhpc0lzQVJhbmRvbVRva2VuMTIz"
	long := "/" + strings.Repeat("a/", 230) + strings.Repeat("4", 60)
	for _, c := range []struct{ value, want string }{
		{"https://example.com/orders/4711/view", "https://example.com/orders/[redacted]/view"},
		{"http://elsewhere.example:8080/orders/4711", "http://elsewhere.example:8080/orders/[redacted]"},
		{"//cdn.example/4711.pdf", "//cdn.example/[redacted].pdf"},
		{"/orders/4711", "/orders/[redacted]"},
		{"/orders/%34711?x=1", "/orders/[redacted]"}, // as it is decoded
		{"/reset/" + token, "/reset/[token]"},
		{"/users/joe%40example.com/edit", "/users/[email]/edit"},
		{"/a/caf%C3%A9", "/a/caf%C3%A9"}, // nothing to hide: as it is written
		{"/100%", "/100%"},
		{"/", "/"},
		{"https://4711.example", "https://4711.example"}, // no path
		{"https://4711.example/", "https://4711.example/"},
		{"order 4711", "order 4711"}, // no path: what the site says
		{"4711", "4711"},
		{"", ""},
		{long[:shared.MaxPropValue], "/" + strings.Repeat("a/", 230)}, // cut within a number
	} {
		e, _, _ := known(t, shared.Privacy{Redact: []string{`\d{4}`}}, "UTC")
		shown := []shared.Prop{{Key: "before", Value: "/4711", Type: shared.PropArray}, {Key: "p", Value: c.value, Type: shared.PropString}}
		dst := shared.Event{Site: "example.com", Props: shown}
		e.CleanProps(&dst, nil)
		if got := dst.Props[1].Value; got != c.want {
			t.Errorf("%q: %q, want %q", c.value, got, c.want)
		}
		if shown[1].Value != c.value || dst.Props[0] != shown[0] {
			t.Errorf("%q: another's list is changed, or another type: %v", c.value, shown)
		}
	}
	// What the proxy asks for beside holds too, and what can't be used lets nothing pass.
	for pattern, want := range map[string]string{"orders": "/[redacted]/4711", "(": "[redacted]"} {
		e, _, _ := known(t, shared.Privacy{}, "UTC")
		dst := shared.Event{Site: "unknown.example", Props: []shared.Prop{{Key: "p", Value: "/orders/4711", Type: shared.PropString}}}
		if e.CleanProps(&dst, &shared.Privacy{Redact: []string{pattern}}); dst.Props[0].Value != want {
			t.Errorf("%s: %q", pattern, dst.Props[0].Value)
		}
	}
}

// TestPathsInArrays: a list of what was clicked is many of them.
func TestPathsInArrays(t *testing.T) {
	long := `["/` + strings.Repeat("a/", 245) + "4711"
	for _, c := range []struct{ value, want string }{
		{`["/orders/4711", "/b","https://a.example/users/joe@example.com"]`, `["/orders/[redacted]", "/b","https://a.example/users/[email]"]`},
		{`[{"href":"\/orders\/4711"},[["/4711"]],4711,"4711"]`, `[{"href":"/orders/[redacted]"},[["/[redacted]"]],4711,"4711"]`},
		{`["/reset?token=SECRET#x"]`, `["/reset"]`},
		{`["a","b\"/4711",null]`, `["a","b\"/4711",null]`}, // no path
		{long, long[:len(long)-4]},                         // cut within a number
		{`["/a/47`, `["/a/`},
		{`["a","`, `["a","`},
	} {
		e, _, _ := known(t, shared.Privacy{Redact: []string{`\d{4}`}}, "UTC")
		dst := shared.Event{Site: "example.com", Props: []shared.Prop{{Key: "p", Value: c.value, Type: shared.PropArray}}}
		e.CleanProps(&dst, nil)
		if got := dst.Props[0].Value; got != c.want {
			t.Errorf("%s: %s, want %s", c.value, got, c.want)
		}
	}
}

func FuzzCleanProps(f *testing.F) {
	f.Add("https://example.com/4711/%zz?a=b#c")
	f.Add("//x/\xff")
	f.Add("/%2F%00")
	f.Add(`["/4711",{"a":"//x/\u0034711"},"/4`)
	e, _, _ := known(f, shared.Privacy{Redact: []string{`\d+`, "x*"}}, "UTC")
	f.Fuzz(func(t *testing.T, value string) {
		value = shared.Cut(value, shared.MaxPropValue)
		dst := shared.Event{
			Origin: shared.OriginBeacon, Kind: shared.KindEvent, Name: "n", Site: "example.com", Time: 1_790_000_000_000_000,
			Props: []shared.Prop{{Key: "p", Value: value, Type: shared.PropString}},
		}
		before := dst.Check()
		e.CleanProps(&dst, nil)
		got := dst.Props[0].Value
		if after := dst.Check(); after != before {
			t.Fatalf("%q became %q: %s", value, got, after)
		}
		list := shared.Event{Site: "example.com", Props: []shared.Prop{{Key: "p", Value: value, Type: shared.PropArray}}}
		e.CleanProps(&list, nil)
		if got := list.Props[0].Value; shared.Cut(got, shared.MaxPropValue) != got {
			t.Fatalf("%q became %q", value, got)
		}
		if at := pathIn(got); at >= 0 && strings.ContainsAny(unescape(got[at:]), "0123456789") {
			t.Fatalf("%q became %q", value, got)
		}
	})
}
