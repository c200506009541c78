package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestTrackers makes the trackers and clients of others, as npm has them, send
// to a real Caddy, from Node and from pages in a real Chromium. `make
// test-browser` installs them and says where they are.
func TestTrackers(t *testing.T) {
	clients := os.Getenv("EIDER_CLIENTS")
	if clients == "" {
		t.Skip("EIDER_CLIENTS names no folder with the clients installed: run make test-browser")
	}
	e := newEdge(t)
	e.agg.says("site.localhost", func(s *shared.SiteConfig) { s.Privacy.DistinctIDs = true })
	pages := origin(t, trackerPages(clients, "http://site.localhost:"+e.port()+"/e"))
	// The same pages without Caddy before them are another origin.
	other := httptest.NewServer(trackerPages(clients, "http://site.localhost:"+e.port()+"/e"))
	t.Cleanup(other.Close)
	e.load(fmt.Sprintf("http://site.localhost:%s {\n eider {\n script /e\n }\n reverse_proxy %s\n}", e.port(), pages))
	e.knows()

	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium = "/usr/bin/chromium"
	}
	_, port, _ := strings.Cut(other.Listener.Addr().String(), ":")
	drive := exec.CommandContext(ctx, "node", filepath.Join(clients, "drive.mjs"), "http://site.localhost:"+e.port(), "http://other.localhost:"+port, chromium)
	// Node asks the machine's resolver for names that browsers answer themselves.
	drive.Env = append(os.Environ(), "NODE_OPTIONS=--import="+filepath.Join(clients, "localhost.mjs"))
	if out, err := drive.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	want := trackerEvents()
	var events []shared.Event
	engaged := map[string]bool{}
	eventually(t, fmt.Sprintf("the %d events", len(want)), func() bool {
		events = events[:0]
		for _, ev := range e.agg.all() {
			switch {
			case ev.Origin == shared.OriginEdge: // Caddy counts the documents, too
			case ev.Kind == shared.KindEngagement:
				engaged[ev.Hostname+ev.Pathname] = true
			default:
				events = append(events, ev)
			}
		}
		return len(events) >= len(want)
	})
	var got []string
	for _, ev := range events {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s%s %s", ev.Origin, ev.Kind, ev.Hostname, ev.Pathname, ev.Name)))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("came\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	checkTrackerEvents(t, events)
	for _, page := range []string{"site.localhost/plausible", "other.localhost/plausible"} {
		if !engaged[page] {
			t.Errorf("nobody was engaged with %s", page)
		}
	}
}

// trackerEvents is what drive.mjs makes the clients send, but for engagement,
// of which the trackers decide when to tell.
func trackerEvents() []string {
	want := []string{"umami pageview site.example/node", "umami event  renewed", "umami completion  identify"}
	for _, host := range []string{"site.localhost", "other.localhost"} {
		want = append(want,
			"umami pageview "+host+"/umami", "umami pageview "+host+"/umami/next", "umami event "+host+"/umami/next signup",
			"umami event "+host+"/umami/next clicked", "umami completion "+host+"/umami/next identify",
			"plausible pageview "+host+"/plausible-tracker", "plausible pageview "+host+"/plausible-tracker/next",
			"plausible event "+host+"/plausible-tracker/next Signup",
			"plausible pageview "+host+"/plausible", "plausible pageview "+host+"/plausible/next", "plausible event "+host+"/plausible/next Purchase",
		)
	}
	slices.Sort(want)
	return want
}

func checkTrackerEvents(t *testing.T, events []shared.Event) {
	t.Helper()
	for _, ev := range events {
		props := map[string]string{}
		for _, p := range ev.Props {
			props[p.Key] = p.Value
		}
		switch ev.Name {
		case "signup":
			if props["plan"] != "pro" || props["seats"] != "3" || ev.RevenueAmount != shared.Some[int64](199_000) || ev.RevenueCurrency != "EUR" {
				t.Errorf("%+v", ev)
			}
		case "Signup":
			if props["plan"] != "pro" || props["seats"] != "3" {
				t.Errorf("%+v", ev)
			}
		case "Purchase":
			if props["plan"] != "pro" || ev.RevenueAmount != shared.Some[int64](199_000) || ev.RevenueCurrency != "EUR" {
				t.Errorf("%+v", ev)
			}
		case shared.CompletionIdentify:
			if props["role"] == "" {
				t.Errorf("%+v", ev)
			}
		case "clicked":
			if props["where"] != "header" {
				t.Errorf("%+v", ev)
			}
		case "renewed":
			if ev.RevenueAmount != shared.Some[int64](990_000) || ev.RevenueCurrency != "USD" || ev.Verdict != shared.VerdictLikely {
				t.Errorf("%+v", ev)
			}
		}
		if ev.Site != "the-site" || ev.VisitorID == 0 || ev.Verdict == shared.VerdictBot || strings.Contains(ev.Query, "SECRET") {
			t.Errorf("%+v", ev)
		}
		if ev.Pathname == "/umami" && (ev.Title != "100% a page" || ev.ScreenSize != "1200x800") {
			t.Errorf("%+v", ev)
		}
	}
}

// trackerPages serves one page for each tracker, and the trackers' own files.
func trackerPages(clients, endpoints string) http.HandlerFunc {
	const website = "0e5b6a1c-9f0d-4a58-8a53-0d6d1f0f7c11"
	scripts := map[string]string{
		"umami": `<script defer src="/lib/umami/src/tracker/index.js" data-website-id="` + website + `" data-host-url="` + endpoints + `"></script>`,
		"plausible-tracker": `<script type="module">
			import Plausible from "/lib/plausible-tracker/build/module/index.js";
			window.tracker = Plausible({ domain: "site.localhost", apiHost: "` + endpoints + `", trackLocalhost: true });
			tracker.enableAutoPageviews();
		</script>`,
		"plausible": `<script type="module">
			import { init } from "/lib/@plausible-analytics/tracker/plausible.js";
			init({ domain: "site.localhost", endpoint: "` + endpoints + `/api/event", captureOnLocalhost: true });
		</script>`,
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if file, ok := strings.CutPrefix(r.URL.Path, "/lib/"); ok {
			path := filepath.Join(clients, "node_modules", filepath.FromSlash(filepath.Clean("/"+file)))
			if filepath.Ext(path) != ".js" {
				path += ".js" // as bundlers resolve what a package imports
			}
			w.Header().Set("Content-Type", "text/javascript")
			http.ServeFile(w, r, path)
			return
		}
		script, ok := scripts[strings.Trim(r.URL.Path, "/")]
		if !ok {
			w.WriteHeader(http.StatusNoContent) // the browser's own idea of an icon
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<!doctype html><title>100% a page</title>`, script,
			`<button id="button" data-umami-event="clicked" data-umami-event-where="header">A button</button>`)
	}
}
