package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/programs"
)

// TestDemo starts the demo as `make run` does, reads the site, waits until its
// made-up visitors are in the API's answer, and stops it.
func TestDemo(t *testing.T) {
	o := demo(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, o) }()

	deadline := time.Now().Add(60 * time.Second)
	for views(o.listen) < burst/2 {
		select {
		case err := <-ended:
			t.Fatalf("the demo ended: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute the API has %d page views", views(o.listen))
		}
	}
	checkCountries(t, o.listen)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/":                     {200, "four hundred eiders"},
		"/rooms":                {200, "Lamp room"},
		"/journal/":             {200, "The first eiders are back"},
		"/journal/winter-light": {200, "Six hours of it"},
		"/style.css":            {200, "--paper"},
		"/feed.xml":             {200, "<feed"},
		"/journal/autumn-storm": {404, "The tide took it."},
	} {
		if status, body := get(t, "http://"+o.site+path); status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("%s: %d, and %q is not there", path, status, want.text)
		}
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(3 * grace):
		t.Fatal("the demo does not stop")
	}
	for _, addr := range []string{o.site, o.listen} {
		if err := checkFree("site", addr); err != nil {
			t.Errorf("something was left behind: %v", err)
		}
	}
}

// checkCountries: the made-up places have come all the way.
func checkCountries(t *testing.T, listen string) {
	t.Helper()
	var rows []struct {
		Value string `json:"value"`
	}
	if !ask("http://"+listen+"/api/stats/breakdown/countries?period=all&site_id=skerry-example", &rows) || len(rows) < 3 {
		t.Errorf("countries: %v, want at least three", rows)
	}
	for _, row := range rows {
		if !slices.ContainsFunc(countries, func(c country) bool { return c.code == row.Value }) {
			t.Errorf("nobody comes from %q", row.Value)
		}
	}
}

// TestLinksLeadSomewhere: made-up visitors follow links that the pages have.
func TestLinksLeadSomewhere(t *testing.T) {
	pages := map[string]bool{}
	for _, l := range landings {
		path, _, _ := strings.Cut(l.value, "?")
		pages[path] = true
	}
	for from, links := range next {
		pages[from] = true
		for _, l := range links {
			pages[l.value] = true
			if len(next[l.value]) == 0 {
				t.Errorf("%s, linked from %s, is a dead end", l.value, from)
			}
		}
	}
	for page := range pages {
		if page == "/journal/autumn-storm" {
			continue // gone on purpose
		}
		file := filepath.Join("site", page+".html")
		if strings.HasSuffix(page, "/") {
			file = filepath.Join("site", page, "index.html")
		}
		if found, _ := filepath.Glob(file); len(found) != 1 {
			t.Errorf("%s: there is no %s", page, file)
		}
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	err = checkFree("listen", l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()+" is in use by another program") || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v, want what to do about the port", err)
	}
}

func demo(t *testing.T) options {
	t.Helper()
	o := options{bin: programs.Build(t, programs.Caddy, programs.Eider), data: t.TempDir()}
	for _, addr := range []*string{&o.site, &o.listen} {
		free, err := child.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		*addr = free
	}
	t.Chdir(programs.Root(t)) // the demo runs in the project's folder
	return o
}

// views is what the API answers; 0 as long as it does not.
func views(listen string) int {
	var sites []struct {
		ID string `json:"site_id"`
	}
	var main struct {
		Pageviews int `json:"pageviews"`
	}
	if !ask("http://"+listen+"/api/sites", &sites) || len(sites) != 1 {
		return 0
	}
	ask("http://"+listen+"/api/stats/main?period=all&site_id="+sites[0].ID, &main)
	return main.Pageviews
}

func ask(url string, into any) bool {
	res, err := http.Get(url)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(into) == nil
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}
