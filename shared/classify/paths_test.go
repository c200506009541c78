package classify

import (
	"strings"
	"testing"
)

func TestPaths(t *testing.T) {
	for _, c := range []struct{ patterns, hits, misses string }{
		{"/healthz", "/healthz /HEALTHZ /./healthz //healthz", "/healthz/ /healthzz /x/healthz"},
		{"/admin/*", "/admin/ /admin/x /Admin/X/y //admin/x /a/../admin/x", "/admin /administrator /x/admin/"},
		{"/admin*", "/admin /administrator /admin/x", "/x/admin"},
		{"*.json", "/a.json /b/c.JSON", "/a.json/x /json"},
		{"*/internal/*", "/x/internal/y /internal/", "/internal /xinternal/"},
		{"/a/*/c", "/a/b/c /A/B/C", "/a/b/d /a/b/b/c"},
		{"*", "/ /anything", ""},
		{"/über/*", "/über/uns", "/ueber/uns"},
		{"/one /two", "/one /two", "/three"},
	} {
		rules, err := CompilePaths(strings.Fields(c.patterns))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range strings.Fields(c.hits) {
			if !rules.Match(p) {
				t.Errorf("%q does not match %q", c.patterns, p)
			}
		}
		for _, p := range strings.Fields(c.misses) {
			if rules.Match(p) {
				t.Errorf("%q matches %q", c.patterns, p)
			}
		}
	}
}
