package aggregator

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
)

// answerOf is an answer and the reasons of its caveats.
type answerOf struct {
	body    string
	reasons string // of the header
	header  string
}

func (r *running) answer(path string) answerOf {
	r.t.Helper()
	res, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	var body json.RawMessage
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s, %v", path, res.Status, err)
	}
	a := answerOf{body: string(body), header: res.Header.Get("X-Eider-Caveat")}
	var reasons []string
	for rest := a.header; rest != ""; {
		reason, tail, ok := strings.Cut(rest, `;affects="`)
		if !ok || !strings.Contains(tail, `";message="`) {
			r.t.Fatalf("%s: a header of another form: %s", path, a.header)
		}
		reasons = append(reasons, strings.TrimPrefix(reason, ", "))
		_, tail, _ = strings.Cut(tail, `;message="`)
		_, rest, _ = strings.Cut(tail, `"`)
	}
	a.reasons = strings.Join(reasons, " ")
	return a
}

// TestUnanswerable sends the same three page views of two people to sites of
// every privacy option, by the way that they go, through intake, spool and lake, and asks what
// can't be answered then: it is null, with a reason, and what can be is there.
func TestUnanswerable(t *testing.T) {
	r := runWith(t, Config{Data: t.TempDir(), Listen: "127.0.0.1:0", TrustedProxies: []string{"127.0.0.0/8"}}, zap.NewNop())
	type question struct {
		path    string
		reasons string
		has     []string // in the answer
	}
	const totals, series, table, live = "main?period=day", "timeseries?period=day&interval=day", "breakdown/", "realtime?"
	all := []question{
		{totals, "", []string{`"visitors":2`, `"pageviews":3`, `"visits":2`, `"bounce_rate":0.5`, `"views_per_visit":1.5`}},
		{series, "", []string{`"visitors":2,"pageviews":3`}},
		{table + "pages", "", []string{`{"value":"/a","visitors":2,"pageviews":2}`, `{"value":"/ticket-123","visitors":1,"pageviews":1}`}},
		{table + "entry-pages", "", []string{`{"value":"/a","visitors":2,"pageviews":3}`}},
		{table + "regions", "", []string{`{"value":"DE-BE","visitors":2,"pageviews":3}`}},
		{table + "cities", "", []string{`{"value":"Berlin","visitors":2,"pageviews":3}`}},
		{table + "countries", "", []string{`{"value":"DE","visitors":2,"pageviews":3}`}},
		{table + "browser-versions", "", []string{`{"value":"Chrome 142","visitors":2,"pageviews":3}`}},
		{table + "screen-sizes", "", []string{`{"value":"1440x900","visitors":2,"pageviews":3}`}},
		{table + "referrers", "", []string{`{"value":"news.example","visitors":2,"pageviews":3}`}},
		{live, "", []string{`"current_visitors":2,"pageviews":3`}},
	}
	nobody := []question{
		{totals, "no_visitor_id", []string{`"visitors":null,"pageviews":3,"visits":null,"bounce_rate":null,"visit_duration":null,"views_per_visit":null`, `"meta":{"caveats":[{"reason":"no_visitor_id","affects":["visitors","visits",`}},
		{totals + "&compare=previous_period", "no_visitor_id", []string{`"comparison":{"visitors":null,"pageviews":0,"visits":null`}},
		{series, "no_visitor_id", []string{`"visitors":null,"pageviews":3`}},
		{"timeseries?period=7d", "no_visitor_id", []string{`"visitors":null,"pageviews":0},`, `"visitors":null,"pageviews":3}]`}},
		{table + "pages", "no_visitor_id", []string{`{"value":"/a","visitors":null,"pageviews":2}`}},
		{table + "entry-pages", "no_visitor_id", []string{`[{"value":"(unknown)","visitors":null,"pageviews":3}]`}},
		{table + "exit-pages", "no_visitor_id", []string{`[{"value":"(unknown)","visitors":null,"pageviews":3}]`}},
		{table + "sources", "no_visitor_id", []string{`"visitors":null,"pageviews":3`}},
		{live, "no_visitor_id", []string{`"current_visitors":null,"pageviews":3`, `"meta":{"caveats":[{"reason":"no_visitor_id"`}},
	}
	place := []question{
		{table + "regions", "country_only", []string{`[{"value":"(unknown)","visitors":2,"pageviews":3}]`}},
		{table + "cities", "country_only", []string{`[{"value":"(unknown)","visitors":2,"pageviews":3}]`}},
		{table + "pages?filters=cities==Berlin", "country_only", []string{`[]`}},
		all[6], all[0],
	}
	// What the hour hides: events of the last minutes lie at the full hour.
	hours := []question{
		{totals, "hour_times", []string{`"visitors":2,"pageviews":3,"visits":2`, `"visit_duration":null`, `"reason":"hour_times","affects":["visit_duration","visits",`}},
		{series, "", []string{`"visitors":2,"pageviews":3`}},
		{"timeseries?period=day&interval=minute", "hour_times", []string{`T00:00:00","visitors":null,"pageviews":null}`}},
		{live, "hour_times", []string{`"current_visitors":null,"pageviews":null`, `"top_pages":[],"top_sources":[]`, `"visitors":null,"pageviews":null}]`}},
	}
	versions := []question{
		{table + "browser-versions", "no_versions", []string{`[{"value":"(unknown)","visitors":2,"pageviews":3}]`}},
		{table + "os-versions", "no_versions", []string{`[{"value":"(unknown)","visitors":2,"pageviews":3}]`}},
		{table + "browsers", "", []string{`{"value":"Chrome","visitors":2,"pageviews":3}`}},
	}
	screen := []question{{table + "screen-sizes", "no_screen", []string{`[{"value":"(unknown)","visitors":2,"pageviews":3}]`}}}
	patterns := []question{
		{table + "pages", "redact", []string{`{"value":"/[redacted]","visitors":1,"pageviews":1}`}},
		{table + "countries", "", []string{`{"value":"DE","visitors":2,"pageviews":3}`}},
	}
	cases := []struct {
		name, privacy string
		preset        string
		headers       []string
		asks          []question
	}{
		{"none", `{}`, "", nil, all},
		{"no-visitor-id", `{"no_visitor_id":true}`, "", nil, nobody},
		{"country-only", `{"country_only":true}`, "", nil, place},
		{"hour-times", `{"hour_times":true}`, "", nil, hours},
		{"no-versions", `{"no_versions":true}`, "", nil, versions},
		{"no-screen", `{"no_screen":true}`, "", nil, screen},
		{"referrer-host", `{"referrer_host_only":true}`, "", nil, all}, // no answer has a referrer's path
		{"patterns", `{"redact":["ticket-[0-9]+"]}`, "", nil, patterns},
		{"dnt-counts", `{}`, "", []string{"DNT", "1"}, []question{
			{totals, "no_identity", []string{`"visitors":null,"pageviews":3,"visits":null`, `"reason":"no_identity"`}},
			{series, "no_identity", []string{`"visitors":null,"pageviews":3`}},
			{table + "countries", "no_identity", []string{`{"value":"DE","visitors":null,"pageviews":3}`}},
		}},
		{"dnt-ignored", `{"dnt":"ignore"}`, "", []string{"DNT", "1"}, all},
		{"gpc-refused", `{"gpc":"refuse"}`, "", []string{"Sec-GPC", "1"}, []question{
			{totals, "", []string{`"visitors":0,"pageviews":0,"visits":0`}},
		}},
		{"strict", "", "strict", nil, []question{
			{totals, "no_visitor_id hour_times", []string{`"visitors":null,"pageviews":3`, `"visit_duration":null`}},
			{table + "cities", "no_visitor_id country_only", []string{`[{"value":"(unknown)","visitors":null,"pageviews":3}]`}},
			{table + "screen-sizes", "no_visitor_id no_screen", []string{`[{"value":"(unknown)","visitors":null,"pageviews":3}]`}},
		}},
		{"cnil", "", "cnil", nil, append(versions, screen...)},
	}
	for _, c := range cases {
		change := sites.Change{Privacy: json.RawMessage(c.privacy)}
		if c.preset != "" {
			change = sites.Change{Preset: &c.preset}
		}
		site, err := r.store.AddSite(context.Background(), c.name+".example", change)
		if err != nil {
			t.Fatal(err)
		}
		r.eventually("the site is known to the intake", func() bool { return r.registry.Load().Site(site.ID) != nil })
		r.threeViews(site, c.headers...)
	}
	r.eventually("everything is committed", func() bool {
		for _, c := range cases {
			want := `"pageviews":3`
			if c.name == "gpc-refused" {
				want = `"pageviews":0`
			}
			if _, body := r.get("/api/stats/main?period=day&site_id=" + c.name + ".example"); !strings.Contains(body, want) {
				return false
			}
		}
		return true
	})
	for _, c := range cases {
		for _, q := range c.asks {
			glue := "&"
			if !strings.Contains(q.path, "?") {
				glue = "?period=day&"
			}
			a := r.answer("/api/stats/" + q.path + glue + "site_id=" + c.name + ".example")
			if a.reasons != q.reasons {
				t.Errorf("%s: %s: the reasons are %q, want %q (%s)", c.name, q.path, a.reasons, q.reasons, a.header)
			}
			for _, want := range q.has {
				if !strings.Contains(a.body, want) {
					t.Errorf("%s: %s answers %s, without %s", c.name, q.path, a.body, want)
				}
			}
		}
	}
}

// threeViews are two pages of one person and one of another.
func (r *running) threeViews(site state.Site, headers ...string) {
	r.t.Helper()
	for _, v := range []struct{ client, path string }{{"198.51.100.1", "/a"}, {"198.51.100.1", "/ticket-123"}, {"198.51.100.2", "/a"}} {
		body := fmt.Sprintf(`{"type":"event","payload":{"website":%q,"hostname":%q,"url":%q,"referrer":"https://news.example/today","screen":"1440x900"}}`,
			site.UUID, site.Domains[0], v.path)
		res, text := r.collect("/api/send", body, append([]string{
			"X-Forwarded-For", v.client, "CF-IPCountry", "DE", "CF-Region-Code", "BE", "CF-IPCity", "Berlin",
		}, headers...)...)
		if res.StatusCode != http.StatusOK {
			r.t.Fatalf("%d %s", res.StatusCode, text)
		}
	}
}

// TestOptionsThatChanged: an answer says when other options held for some of
// it, counts who has an identity, and is made anew once the options are others.
func TestOptionsThatChanged(t *testing.T) {
	r := runWith(t, Config{Data: t.TempDir(), Listen: "127.0.0.1:0", TrustedProxies: []string{"127.0.0.0/8"}}, zap.NewNop())
	const domain = "changed.example"
	site, err := r.store.AddSite(context.Background(), domain, sites.Change{})
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("the site is known to the intake", func() bool { return r.registry.Load().Site(site.ID) != nil })
	r.threeViews(site)
	path := "/api/stats/main?period=all&site_id=" + domain
	r.eventually("three views", func() bool { return strings.Contains(r.answer(path).body, `"pageviews":3`) })
	before, err := http.Get(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = before.Body.Close()

	edited, err := r.store.EditSite(context.Background(), domain, sites.Change{Privacy: json.RawMessage(`{"no_visitor_id":true,"country_only":true}`)})
	if err != nil || edited.PrivacyChanged == 0 {
		t.Fatalf("%+v, %v", edited, err)
	}
	again, err := http.NewRequest(http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	again.Header.Set("If-None-Match", before.Header.Get("ETag"))
	res, err := http.DefaultClient.Do(again)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("X-Eider-Caveat") == "" {
		t.Errorf("after the change the old answer is confirmed: %s %v", res.Status, res.Header)
	}
	r.eventually("the intake knows it", func() bool { return r.registry.Load().Site(site.ID).Privacy.NoVisitorID })
	r.threeViews(site)
	r.eventually("six views", func() bool { return strings.Contains(r.answer(path).body, `"pageviews":6`) })

	a := r.answer(path)
	if a.reasons != "no_visitor_id privacy_changed" || !strings.Contains(a.body, `"visitors":2,"pageviews":6,"visits":2`) ||
		!strings.Contains(a.body, "any more: these numbers are of the events that still have one") ||
		!strings.Contains(a.body, time.UnixMicro(edited.PrivacyChanged).UTC().Format(time.RFC3339)) {
		t.Errorf("%s\n%s", a.header, a.body)
	}
	a = r.answer("/api/stats/breakdown/cities?period=all&site_id=" + domain)
	if a.reasons != "no_visitor_id country_only privacy_changed" || !strings.Contains(a.body, `{"value":"Berlin","visitors":2,"pageviews":3}`) ||
		!strings.Contains(a.body, `{"value":"(unknown)","visitors":null,"pageviews":3}`) {
		t.Errorf("%s\n%s", a.header, a.body)
	}
	// The options of now say nothing of what was before them: nobody came, which is 0.
	yesterday := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	a = r.answer("/api/stats/main?start_date=" + yesterday + "&end_date=" + yesterday + "&site_id=" + domain)
	if a.reasons != "" || !strings.Contains(a.body, `"visitors":0,"pageviews":0,"visits":0`) || strings.Contains(a.body, "meta") {
		t.Errorf("%s\n%s", a.header, a.body)
	}
	// Another name is no other privacy.
	name := "Changed"
	if named, err := r.store.EditSite(context.Background(), domain, sites.Change{Name: &name}); err != nil || named.PrivacyChanged != edited.PrivacyChanged {
		t.Errorf("%+v, %v", named, err)
	}
}
