package beacon

import (
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// TestLongPathsAreTheProxys: whoever reports a page, its path is that of the proxy's
// row of the same request, however long. The two are matched by it, and a view
// counts twice where they differ.
func TestLongPathsAreTheProxys(t *testing.T) {
	for name, path := range map[string]string{
		"short":              "/a",
		"over Umami's limit": "/" + strings.Repeat("abcdefg/", 80),
		"of characters":      "/" + strings.Repeat("ä", 700),
		"over ours":          "/" + strings.Repeat("abc.defg/", 300),
		"absurd":             "/" + strings.Repeat("abc.defg/", 1000),
	} {
		d := newDoor(t, Mount{})
		proxys := shared.Observation{Site: "site", Path: path[:min(len(path), 2*shared.MaxPath)], Time: testNow.UnixMicro()}
		var want shared.Event
		d.in.cfg.Enrich(&proxys, &want)
		url := "https://site.example" + path
		for _, m := range []struct{ path, body string }{
			{"/api/send", `{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11","hostname":"site.example","url":"` + path + `"}}`},
			{"/api/event", `{"n":"pageview","d":"site.example","u":"` + url + `"}`},
			{"/api/e", `[{"n":"pageview","u":"` + url + `","s":"site.example","l":"00000000000000aa","o":1}]`},
			{"/api/events", `[{"name":"pageview","site":"site","url":"` + url + `"}]`},
		} {
			d.send("POST", m.path, m.body, "Authorization", "Bearer "+apiToken)
			if got := d.last().Pathname; got != want.Pathname {
				t.Errorf("%s by %s: %d bytes, the proxy's has %d", name, m.path, len(got), len(want.Pathname))
			}
		}
	}
}

// TestPropertiesAreRedacted in every dialect, by what the place asks for.
func TestPropertiesAreRedacted(t *testing.T) {
	d := newDoor(t, Mount{Privacy: &shared.Privacy{Redact: []string{`\d{4}`}, DistinctIDs: true}})
	const props = `{"url":"https://site.example/orders/4711/view?x=1","path":"/orders/4711","note":"4711"}`
	for _, m := range []struct{ path, body string }{
		{"/api/send", `{"type":"event","payload":{"website":"00000001-9f0d-4a58-8a53-0d6d1f0f7c11","name":"E","url":"/","data":` + props + `}}`},
		{"/api/event", `{"n":"E","d":"site.example","u":"https://site.example/","p":` + props + `}`},
		{"/api/e", `[{"k":"outbound","u":"https://site.example/","s":"site.example","l":"00000000000000aa","o":1,"p":` + props + `}]`},
		{"/api/events", `[{"name":"E","site":"site","props":` + props + `}]`},
	} {
		d.send("POST", m.path, m.body, "Authorization", "Bearer "+apiToken)
		got := map[string]string{}
		for _, p := range d.last().Props {
			got[p.Key] = p.Value
		}
		if len(got) != 3 || got["url"] != "https://site.example/orders/[redacted]/view" || got["path"] != "/orders/[redacted]" || got["note"] != "4711" {
			t.Errorf("%s: %v", m.path, got)
		}
	}
}
