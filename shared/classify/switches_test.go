package classify

import (
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// Each switch turns off what it names, and nothing else.
func TestEachSwitch(t *testing.T) {
	all := []struct {
		name, request, headers string
		status                 int
		typ                    string
		bot                    bool
		off                    shared.Result // the result away from the default
	}{
		{"errors", "/x", navigation, 404, html, false, shared.ResultSwitchedOff},
		{"downloads", "/a.pdf", navigation, 200, "application/pdf", false, shared.ResultSwitchedOff},
		{"feeds", "/feed", "", 304, "", false, shared.ResultSwitchedOff},
		{"bots", "/a.css", "", 200, "text/css", true, shared.ResultSwitchedOff},
		{"prefetches", "/x", navigation + "| Sec-Purpose: prefetch", 200, html, false, shared.ResultSwitchedOff},
		{"soft_navigations", "/x", soft, 200, html, false, shared.ResultSwitchedOff},
		{"frames", "/x", "Sec-Fetch-Dest: iframe", 200, html, false, shared.ResultPageview},
	}
	result := func(i int, s Switches) shared.Result {
		c := all[i]
		r := request(t, c.request, c.headers, c.status, c.typ)
		r.Bot, r.Switches = c.bot, s
		got, kind := r.Classify()
		if got.Recorded() != (kind != "") {
			t.Errorf("%s: %s of kind %q", c.name, got, kind)
		}
		return got
	}
	for i, c := range all {
		var s Switches
		if err := s.Set(c.name, c.name == "frames"); err != nil {
			t.Fatal(err)
		}
		for j := range all {
			want := result(j, 0)
			if i == j {
				want = c.off
			}
			if got := result(j, s); got != want {
				t.Errorf("with %s switched, %s is %s, want %s", c.name, all[j].request, got, want)
			}
		}
		if err := s.Set(c.name, c.name != "frames"); err != nil || s != 0 {
			t.Errorf("%s switched back leaves %b: %v", c.name, s, err)
		}
	}
}

func TestUnknownSwitchesAreRefusedWithTheList(t *testing.T) {
	var s Switches
	err := s.Set("pageviews", false)
	if err == nil || s != 0 {
		t.Fatalf("%v, %b", err, s)
	}
	for _, sw := range switches {
		if !strings.Contains(err.Error(), sw.name) {
			t.Errorf("%q does not name %s", err, sw.name)
		}
	}
}

func TestPartsOfPages(t *testing.T) {
	for _, c := range []struct {
		path, typ string
		want      bool
	}{
		{"/a", "text/css; charset=utf-8", true},
		{"/a", "TEXT/CSS", true},
		{"/a", "application/javascript", true},
		{"/a", "text/javascript", true},
		{"/a", "application/x-javascript", true},
		{"/a", "image/svg+xml", true},
		{"/a", "font/woff2", true},
		{"/a", "application/font-woff", true},
		{"/a", "application/vnd.ms-fontobject", true},
		{"/a.css", "text/html", false}, // what it is, and not how it is called
		{"/a", "application/json", false},
		{"/a", "video/mp4", false},
		{"/a", "application/pdf", false},
		{"/a.CSS", "", true},
		{"/a.min.js", "", true},
		{"/favicon.ico", "", true},
		{"/a.woff2", "", true},
		{"/a.json", "", false},
		{"/a", "", false},
		{"/a.pdf", "", false},
		{"/a", ";", false},
	} {
		if got := PagePart(c.path, c.typ); got != c.want {
			t.Errorf("%s as %q: %v", c.path, c.typ, got)
		}
	}
}
