package sites

import (
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestLinks(t *testing.T) {
	r, _ := open(t, t.TempDir())
	for _, d := range []string{"a.example", "b.example"} {
		if _, err := r.Add(d, Change{}); err != nil {
			t.Fatal(err)
		}
	}
	set := func(site string, links ...shared.Link) error {
		_, err := r.Edit(site, Change{Links: &links})
		return err
	}
	if err := set("a.example", shared.Link{Slug: "go", URL: "https://x.example/a?b=c"}, shared.Link{Slug: "px", Name: "newsletter"}); err != nil {
		t.Fatal(err)
	}
	before, _ := r.Resolve("a.example")
	if err := set("a.example", shared.Link{Slug: "px"}, shared.Link{Slug: "new", URL: "http://y.example"}); err != nil {
		t.Fatal(err)
	}
	after, _ := r.Resolve("a.example")
	if len(after.Links) != 2 || after.Links[0].UUID != before.Links[1].UUID || len(after.Links[1].UUID) != uuidLen {
		t.Errorf("%+v became %+v", before.Links, after.Links)
	}
	if list, _ := r.Configs(); len(list) != 2 || len(list[0].Links)+len(list[1].Links) != 2 {
		t.Errorf("edges do not get them: %+v", list)
	}
	for _, c := range []struct {
		site, want string
		links      []shared.Link
	}{
		{"b.example", "already", []shared.Link{{Slug: "px"}}},
		{"b.example", "twice", []shared.Link{{Slug: "x"}, {Slug: "x"}}},
		{"b.example", "the slug", []shared.Link{{Slug: "a/b"}}},
		{"b.example", "the slug", []shared.Link{{Slug: ""}}},
		{"b.example", "http://", []shared.Link{{Slug: "x", URL: "javascript:alert(1)"}}},
		{"b.example", "http://", []shared.Link{{Slug: "x", URL: "https://x.example/\r\nSet-Cookie: a=b"}}},
		{"b.example", "http://", []shared.Link{{Slug: "x", URL: "/relative"}}},
		{"b.example", "at most", make([]shared.Link, maxLinks+1)},
	} {
		if err := set(c.site, c.links...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60v: %v, want %q", c.links, err, c.want)
		}
	}
	if err := set("a.example"); err != nil {
		t.Fatal(err)
	}
	if s, _ := r.Resolve("a.example"); len(s.Links) != 0 {
		t.Errorf("%+v", s.Links)
	}
}
