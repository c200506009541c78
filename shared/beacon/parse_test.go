package beacon

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

const uuid = "0e5b6a1c-9f0d-4a58-8a53-0d6d1f0f7c11"

func TestJSONWalk(t *testing.T) {
	v, ok := parse([]byte("\xef\xbb\xbf { \"a\" : [ 1 , \"x,]\\\"}\" , { } ] , \"b\\u0041\" :{\"c\":null,\"d\":[[],[1]]},\"e\":-1.5e3 } "))
	if !ok {
		t.Fatal("not valid")
	}
	var got []string
	v.fields(func(key string, v value) bool {
		got = append(got, key+"="+string(v))
		v.elements(func(v value) bool { got = append(got, "·"+string(v)); return true })
		v.fields(func(key string, v value) bool { got = append(got, "."+key+"="+string(v)); return true })
		return true
	})
	want := []string{
		`a=[ 1 , "x,]\"}" , { } ]`, "·1", `·"x,]\"}"`, "·{ }", `bA={"c":null,"d":[[],[1]]}`, ".c=null", ".d=[[],[1]]", "e=-1.5e3",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"", "{", "{}{}", `{"a":}`, "nope", `"a`} {
		if _, ok := parse([]byte(bad)); ok {
			t.Errorf("%q is taken for JSON", bad)
		}
	}
}

func TestSplitURL(t *testing.T) {
	for _, c := range []struct {
		url               string
		hash              bool
		host, path, query string
		bad               bool
	}{
		{url: "https://example.com/a/b?x=1#frag", host: "example.com", path: "/a/b", query: "x=1"},
		{url: "https://example.com", host: "example.com", path: "/"},
		{url: "HTTPS:/\\Example.com:8080\\a", host: "Example.com:8080", path: "/a"},
		{url: "https://user:secret@example.com/", host: "example.com", path: "/"},
		{url: "//example.com/x", host: "example.com", path: "/x"},
		{url: "/path?q=1", path: "/path", query: "q=1"},
		{url: "path", path: "/path"},
		{url: "?utm_source=x", path: "/", query: "utm_source=x"},
		{url: "", path: ""},
		{url: "  \n/a\tb ", path: "/ab"},
		{url: "/a%20b%2Fc%C3%A4%zz%", path: "/a b/cä%zz%"},
		{url: "/a%2fb%E2%82%2F", path: "/a/b\xe2\x82/"},
		{url: "https://example.com/app#/inbox/3?token=SECRET", host: "example.com", path: "/app#/inbox/3"},
		{url: "/app#!about&x=1", path: "/app#!about"},
		{url: "/app#access_token=SECRET", path: "/app"},
		{url: "/app#access_token=SECRET", hash: true, path: "/app"},
		{url: "/app#%61=SECRET", hash: true, path: "/app"},
		{url: "/app#a%3DSECRET", hash: true, path: "/app"},
		{url: "/app#part", path: "/app"},
		{url: "/app#part", hash: true, path: "/app#part"},
		{url: "https://[2001:db8::1]:443/x", host: "[2001:db8::1]:443", path: "/x"},
		{url: "app://localhost/page", host: "localhost", path: "/page"},
		{url: "data:text/html,SECRET", path: ""},
		{url: "mailto:someone@example.com", path: ""},
		{url: "http://", bad: true},
		{url: "https:///", bad: true},
		{url: "http://[::1", bad: true},
		{url: "http://[nonsense]/", bad: true},
		{url: "http://a b/", bad: true},
		{url: "http://a:99999/", bad: true},
		{url: "//", bad: true},
	} {
		l, ok := splitURL(c.url, c.hash)
		if ok == c.bad || l != (location{c.host, c.path, c.query}) {
			t.Errorf("%q: %+v, %v", c.url, l, ok)
		}
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"12.5", 125_000, true},
		{"0.00005", 1, true},
		{"0.00004", 0, true},
		{"-3", -30_000, true},
		{"+3", 30_000, true},
		{".5", 5_000, true},
		{"7.", 70_000, true},
		{"1e3", 10_000_000, true},
		{"9999999999999.9999", 99_999_999_999_999_999, false}, // as much as the column holds, and not more
		{"9999999999999.9998", 99_999_999_999_999_998, true},
		{"12345678901234567890", 0, false},
		{"1e300", 0, false},
		{"1e999999999", 0, false},
		{"", 0, false},
		{".", 0, false},
		{"1,5", 0, false},
		{"--1", 0, false},
		{"NaN", 0, false},
		{"0x10", 0, false},
	} {
		if n, ok := parseAmount(c.text); ok != c.ok || ok && n != c.want {
			t.Errorf("%q: %d, %v", c.text, n, ok)
		}
	}
	for _, code := range []string{"", "EURO", "XX", "ABC", "1EU", " EU"} {
		if n, got := revenue("1", code); n.OK || got != "" {
			t.Errorf("%q is a currency", code)
		}
	}
	if n, code := revenue(" 1 ", " usd "); n != shared.Some[int64](10_000) || code != "USD" {
		t.Error(n, code)
	}
}

func TestFlatten(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)
	for _, c := range []struct {
		json    string
		want    string
		dropped int
	}{
		{`{}`, ``, 0},
		{`{"a":{"b":{"c":"x"}},"e":{},"n":null}`, `a.b.c=x:1`, 0},
		{`{"n":1.50,"t":true,"f":false,"s":"1.5"}`, `n=1.50:2 t=true:3 f=false:3 s=1.5:1`, 0},
		{`{"d":"2026-01-31","e":"2026-01-31T10:00:00.5+02:00","f":"2026-13-31"}`, `d=2026-01-31:4 e=2026-01-31T10:00:00.5+02:00:4 f=2026-13-31:1`, 0},
		{`{"l":[1,"a",{"b":2}]}`, `l=[1,"a",{"b":2}]:5`, 0},
		{`{"a":1,"a":2}`, `a=2:2`, 0},
		{`{"":1}`, ``, 1},
		{`{"url":"https://user:pw@x.example/a?token=SECRET#part","v":"what? no link"}`, `url=https://x.example/a:1 v=what? no link:1`, 0},
		{
			`{"l":["https://user:pw@x.example/a?token=SECRET#part", [{"to":"//y.example/b?SECRET","\u0022":"a\"?b"}] ]}`,
			`l=["https://x.example/a", [{"to":"//y.example/b","\u0022":"a\"?b"}] ]:5`, 0,
		},
		{deep, ``, 1},
		{`{"long":"` + strings.Repeat("x", 600) + `"}`, `long=` + strings.Repeat("x", 500) + `:1`, 1},
	} {
		v, ok := parse([]byte(c.json))
		if !ok {
			t.Fatal(c.json)
		}
		var l propList
		l.flatten(v)
		var got []string
		for _, p := range l.props {
			got = append(got, fmt.Sprintf("%s=%s:%d", p.Key, p.Value, p.Type))
		}
		if s := strings.Join(got, " "); s != c.want || l.dropped != c.dropped {
			t.Errorf("%.60s: %q, %d dropped", c.json, s, l.dropped)
		}
	}
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf(`"k%d":%d`, i, i))
	}
	v, _ := parse([]byte("{" + strings.Join(many, ",") + "}"))
	var l propList
	l.flatten(v)
	if len(l.props) != shared.MaxProps || l.dropped != 10 {
		t.Errorf("%d kept, %d dropped", len(l.props), l.dropped)
	}
}

// TestManyMembersOfALongKey: a message of nothing but members costs no more than
// others of its length.
func TestManyMembersOfALongKey(t *testing.T) {
	const members = 500_000
	for _, key := range []string{"k", strings.Repeat("k", 7*shared.MaxPropKey)} {
		v, ok := parse([]byte(`{"` + key + `":{"a":1` + strings.Repeat(`,"b":1`, members) + `}}`))
		if !ok {
			t.Fatal("no JSON")
		}
		var l propList
		began := time.Now()
		allocated := testing.AllocsPerRun(1, func() { l = propList{}; l.flatten(v) })
		// Half a million keys of 3,500 bytes are 1.7 GB.
		if took := time.Since(began); took > 5*time.Second || allocated > 10*maxMembers {
			t.Errorf("a key of %d bytes: %s, %.0f allocations", len(key), took, allocated)
		}
		if l.dropped < members-maxMembers || len(l.props) == 0 || len(l.props) > 2 {
			t.Errorf("%d kept, %d dropped", len(l.props), l.dropped)
		}
	}
}

func wantField(t *testing.T, what string, err error, field string) {
	t.Helper()
	var bad *FieldError
	if !errors.As(err, &bad) || bad.Field != field || bad.Reason == "" {
		t.Errorf("%s: %v, want an error about %q", what, err, field)
	}
}

func TestParsePlausible(t *testing.T) {
	list, err := ParsePlausible([]byte(`{"n":"Purchase","u":"https://example.com/shop?x=1","d":"example.com, Shop.Example","r":"https://news.example/",
		"w":1440,"p":"{\"plan\":\"pro\",\"n\":3}","$":"{\"amount\":\"12.50\",\"currency\":\"eur\"}","h":1,"v":36,"i":false}`))
	if err != nil || len(list) != 2 {
		t.Fatal(err, len(list))
	}
	m := list[0]
	if m.Kind != shared.KindEvent || m.Name != "Purchase" || m.Site != "example.com" || list[1].Site != "shop.example" || !m.Hash ||
		m.Referrer != "https://news.example/" || m.Screen != "1440" || m.RevenueAmount != shared.Some[int64](125_000) || m.RevenueCurrency != "EUR" {
		t.Errorf("%+v", m)
	}
	if want := []shared.Prop{{Key: "plan", Value: "pro", Type: 1}, {Key: "n", Value: "3", Type: 2}}; !reflect.DeepEqual(m.Props, want) {
		t.Errorf("%+v", m.Props)
	}
	long, err := ParsePlausible([]byte(`{"name":"pageview","url":"https://a.example/","domain":"a.example","referrer":null,"props":{"a":"b"},"meta":null,"screen_width":"x","revenue":{"amount":-1,"currency":"USD"}}`))
	if err != nil || long[0].Kind != shared.KindPageview || long[0].Name != "" || long[0].Screen != "" || long[0].RevenueAmount != shared.Some[int64](-10_000) {
		t.Errorf("%+v %v", long, err)
	}
	mallard, err := ParsePlausible([]byte(`{"d":"a.example","n":"buy","u":"https://a.example/","p":{"x":1},"ra":9.99,"rc":"USD"}`))
	if err != nil || mallard[0].RevenueAmount != shared.Some[int64](99_900) {
		t.Errorf("%+v %v", mallard, err)
	}
	engaged, err := ParsePlausible([]byte(`{"n":"engagement","sd":80,"d":"a.example","u":"https://a.example/","p":null,"e":3100}`))
	if err != nil || engaged[0].Kind != shared.KindEngagement || engaged[0].EngagedMS != shared.Some[int64](3100) || engaged[0].ScrollDepth != shared.Some[int64](80) {
		t.Errorf("%+v %v", engaged, err)
	}
	for body, field := range map[string]string{
		``: "", `[]`: "", `{`: "", `{"u":"https://a/"}`: "n", `{"n":"  ","u":"https://a/"}`: "n", `{"n":"x"}`: "u",
		`{"n":"x","u":"/relative"}`: "u", `{"n":"x","u":"http://["}`: "u", `{"n":5,"u":"https://a/"}`: "n", `{"n":"x","u":{}}`: "u",
		`{"n":"x","u":"https://a/","d":["a"]}`: "d", `{"n":"x","u":"https://a/","d":"a b"}`: "d", `{"n":"x","u":"https://a/","p":[1]}`: "p",
		`{"n":"x","u":"https://a/","p":"{"}`: "p", `{"n":"x","u":"https://a/","$":"x"}`: "$", `{"n":"x","u":"https://a/","revenue":{"currency":1}}`: "revenue.currency",
		`{"n":"x","u":"https://a/","d":"` + strings.Repeat("a,", 11) + `"}`: "d",
	} {
		_, err := ParsePlausible([]byte(body))
		wantField(t, body, err, field)
	}
}

func TestParsePixel(t *testing.T) {
	list, err := ParsePixel("d=a.example&p=%7B%22a%22%3A1%7D&ra=3&rc=EUR&w=800&n=buy%20it&%zz=1", "https://a.example/page?x")
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if m := list[0]; m.Name != "buy it" || m.URL != "https://a.example/page?x" || m.Screen != "800" || len(m.Props) != 1 || m.RevenueAmount.V != 30_000 {
		t.Errorf("%+v", m)
	}
	list, err = ParsePixel("d=a.example&u=https://a.example/", "")
	if err != nil || list[0].Kind != shared.KindPageview {
		t.Errorf("%+v %v", list, err)
	}
	_, err = ParsePixel("d=a", "")
	wantField(t, "no page", err, "u")
	_, err = ParsePixel("u=https://a/&p=[", "")
	wantField(t, "bad properties", err, "p")
	_, err = ParsePixel(strings.Repeat("a", maxQuery+1), "https://a/")
	wantField(t, "a long query", err, "")
}

func umami(kind, payload string) []byte {
	return []byte(`{"type":"` + kind + `","payload":{"website":"` + uuid + `"` + payload + `}}`)
}

func TestParseUmami(t *testing.T) {
	m, err := ParseUmami(umami("event", `,"hostname":"example.com","screen":"1440x900","language":"de-DE","title":"100%25%20sure","url":"/a?x=1","referrer":"",
		"name":"buy","tag":"t","id":5,"data":{"revenue":"19.90","currency":"usd","a":{"b":1}},"unknown":[1],"ip":"192.0.2.7","userAgent":"X/1",
		"browser":"b","os":"o","device":"d","timestamp":1767225600,"lcp":5`+"}"[:0]))
	if err != nil {
		t.Fatal(err)
	}
	if m.Kind != shared.KindEvent || m.Name != "buy" || m.Site != uuid || m.Title != "100% sure" || m.DistinctID != "5" || m.Tag != "t" ||
		m.RevenueAmount != shared.Some[int64](199_000) || m.RevenueCurrency != "USD" || len(m.Props) != 3 || m.Time != 1767225600_000_000 ||
		m.Override.IP.String() != "192.0.2.7" || m.Override.UserAgent != "X/1" || m.Override.Device != "d" || m.LCPMS.OK {
		t.Errorf("%+v", m)
	}
	long := strings.Repeat("ä", 600)
	m, err = ParseUmami(umami("event", fmt.Sprintf(`,"hostname":%q,"language":%[1]q,"screen":%[1]q,"title":%[1]q,"name":%[1]q,"tag":%[1]q,"id":%[1]q`, long)))
	for what, c := range map[string]struct {
		text string
		want int
	}{
		"hostname": {m.Hostname, 100}, "language": {m.Language, 35}, "screen": {m.Screen, 11}, "title": {m.Title, 500},
		"name": {m.Name, 50}, "tag": {m.Tag, 50}, "id": {m.DistinctID, 50},
	} {
		if n := len([]rune(c.text)); err != nil || n != c.want {
			t.Errorf("%s: %d characters, want %d (%v)", what, n, c.want, err)
		}
	}
	for what, c := range map[string]struct {
		body []byte
		want func(m *Message) bool
	}{
		"page view":      {umami("event", `,"name":null,"url":null,"title":null,"data":null`), func(m *Message) bool { return m.Kind == shared.KindPageview }},
		"empty name":     {umami("event", `,"name":" "`), func(m *Message) bool { return m.Kind == shared.KindPageview }},
		"title as it is": {umami("event", `,"title":"100% sure"`), func(m *Message) bool { return m.Title == "100% sure" }},
		"identify": {umami("identify", `,"id":"u1","data":{"plan":"pro"}`), func(m *Message) bool {
			return m.Kind == shared.KindCompletion && m.Name == "identify" && m.DistinctID == "u1" && len(m.Props) == 1
		}},
		"performance": {umami("performance", `,"lcp":1200.5,"cls":0.1,"inp":0,"fcp":60000,"ttfb":1`), func(m *Message) bool {
			return m.Kind == shared.KindVitals && m.LCPMS.V == 1200.5 && m.INPMS.OK && m.NavTTFBMS.V == 1
		}},
		"engagement":      {umami("engagement", `,"engagement":86400000`), func(m *Message) bool { return m.Kind == shared.KindEngagement && m.EngagedMS.V == 86_400_000 }},
		"milliseconds":    {umami("event", `,"timestamp":1767225600123`), func(m *Message) bool { return m.Time == 1767225600_123_000 }},
		"an absurd time":  {umami("event", `,"timestamp":1e300`), func(m *Message) bool { return m.Time == 0 }},
		"no sale":         {umami("event", `,"name":"x","data":{"revenue":0,"currency":"USD"}`), func(m *Message) bool { return !m.RevenueAmount.OK }},
		"a refund":        {umami("event", `,"name":"x","data":{"revenue":-5,"currency":"USD"}`), func(m *Message) bool { return !m.RevenueAmount.OK }},
		"no currency":     {umami("event", `,"name":"x","data":{"revenue":5}`), func(m *Message) bool { return !m.RevenueAmount.OK && len(m.Props) == 1 }},
		"a link":          {[]byte(`{"type":"event","payload":{"link":"` + strings.ToUpper(uuid) + `"}}`), func(m *Message) bool { return m.Site == uuid }},
		"website is null": {[]byte(`{"type":"event","payload":{"website":null,"pixel":"` + uuid + `"}}`), func(m *Message) bool { return m.Site == uuid }},
	} {
		if m, err := ParseUmami(c.body); err != nil || !c.want(&m) {
			t.Errorf("%s: %+v %v", what, m, err)
		}
	}
	for body, field := range map[string]string{
		``: "", `5`: "", `[]`: "", `{}`: "payload", `{"type":"event","payload":[]}`: "payload", `{"type":"event","payload":{}}`: "payload.website",
		`{"type":"event","payload":{"website":"x"}}`:                                         "payload.website",
		`{"type":"event","payload":{"website":"` + uuid + `","link":"` + uuid + `"}}`:        "payload.website",
		`{"type":"event","payload":{"website":"0e5b6a1c-9f0d-4a58-8a53-0d6d1f0f7c1\u0011"}}`: "payload.website",
		string(umami("nonsense", "")):                                                        "type",
		string(umami("event", `,"data":[1]`)):                                                "payload.data",
		string(umami("event", `,"title":5`)):                                                 "payload.title",
		string(umami("event", `,"url":"http://["`)):                                          "payload.url",
		string(umami("event", `,"referrer":"https:///"`)):                                    "payload.referrer",
		string(umami("event", `,"timestamp":"x"`)):                                           "payload.timestamp",
		string(umami("event", `,"ip":"nonsense"`)):                                           "payload.ip",
		string(umami("performance", `,"lcp":60001`)):                                         "payload.lcp",
		string(umami("performance", `,"cls":-1`)):                                            "payload.cls",
		string(umami("performance", `,"cls":"1"`)):                                           "payload.cls",
		string(umami("engagement", `,"engagement":0`)):                                       "payload.engagement",
		string(umami("engagement", ``)):                                                      "payload.engagement",
	} {
		_, err := ParseUmami([]byte(body))
		wantField(t, body, err, field)
	}
}

func TestParseUmamiBatch(t *testing.T) {
	item := string(umami("event", ""))
	n, bad := 0, 0
	if err := ParseUmamiBatch([]byte("["+item+",5,"+item+"]"), func(_ Message, err *FieldError) {
		n++
		if err != nil {
			bad++
		}
	}); err != nil || n != 3 || bad != 1 {
		t.Error(err, n, bad)
	}
	none := func(Message, *FieldError) { t.Error("something was read") }
	for _, body := range []string{item, "", "[", "[" + strings.Repeat("5,", maxUmamiBatch) + "5]"} {
		wantField(t, body, ParseUmamiBatch([]byte(body), none), "")
	}
}

func TestParseEvents(t *testing.T) {
	var list []Message
	var errs []*FieldError
	collect := func(m Message, bad *FieldError) { list, errs = append(list, m), append(errs, bad) }
	err := ParseEvents([]byte(`{"events":[
		{"site":"A.example","name":"pageview","url":"https://a.example/x","time":"2026-01-01T00:00:00.5+01:00","ip":"192.0.2.1","user_agent":"UA","distinct_id":7},
		{"site":"a.example","name":"buy","dedupe_key":"order-1","props":{"n":1},"revenue":{"amount":"5","currency":"EUR"},"time":1767225600},
		{"site":"a.example"},
		{"site":"a.example","name":"x","time":"yesterday"},
		{"name":"x","url":"/relative"},
		{"site":"a.example","name":"x","revenue":{"amount":"5"}},
		{"site":"a.example","name":"x","ip":"nobody"},
		7
	]}`), "key", collect)
	if err != nil || len(list) != 8 {
		t.Fatal(err, len(list))
	}
	if m := list[0]; m.Kind != shared.KindPageview || m.Site != "a.example" || m.Time != 1767222000_500_000 || m.DedupeKey != "key-0" || m.DistinctID != "7" || m.Override.UserAgent != "UA" {
		t.Errorf("%+v", m)
	}
	if m := list[1]; m.Kind != shared.KindEvent || m.DedupeKey != "order-1" || m.RevenueAmount.V != 50_000 || m.Time != 1767225600_000_000 {
		t.Errorf("%+v", m)
	}
	for i, field := range []string{"name", "time", "site", "revenue", "ip", ""} {
		if bad := errs[i+2]; bad == nil || bad.Field != field {
			t.Errorf("event %d: %v, want an error about %q", i+2, bad, field)
		}
	}
	long := strings.Repeat("k", 101)
	if a, b := dedupeKey(long+"a"), dedupeKey(long+"b"); a == b || len(a) > shared.MaxShort {
		t.Error("long keys become one", a)
	}
	for body, field := range map[string]string{
		"": "", "{}": "events", "[]": "events", `{"events":5}`: "events", "[" + strings.Repeat("1,", 1000) + "1]": "events",
	} {
		wantField(t, body, ParseEvents([]byte(body), "", func(Message, *FieldError) {}), field)
	}
}

// TestPathsAreTheProxys: a beacon's or tracker's path is that of the proxy's row
// of the same page, or the page counts twice.
func TestPathsAreTheProxys(t *testing.T) {
	for _, target := range []string{
		"/a%2Fb", "/a%2fb%2F", "/a%5Cb", "/caf%E9", "/caf%C3%A9", "/%E2%82/x", "/a%20b+c", "/x%3Fy%23z", "/%25zz", "/%2525", "/a;b", "/a|b", "/%00",
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range []string{target, "https://site.example" + target + "?x=1#part"} {
			if l, ok := splitURL(raw, false); !ok || l.path != u.Path {
				t.Errorf("%s: %q, at the proxy %q", raw, l.path, u.Path)
			}
		}
	}
}
