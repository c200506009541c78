package caddymodule

import (
	goruntime "runtime"
	"testing"
	"weak"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/evidence"
	"github.com/eider-analytics/eider/shared/registry"
)

// TestIdleSiteKeepsNoSecrets: a view of the registry holds salts and keys in
// memory. A site that nobody asks for any more must not hold on to it after the
// next one has come.
func TestIdleSiteKeepsNoSecrets(t *testing.T) {
	s := newSite("a.example", evidence.New(nil))
	view := registry.NewView(&shared.EdgeState{
		Version: "1", SigningKey: []byte("k"),
		Sites: []shared.SiteConfig{{ID: "s", Domains: []string{"a.example"}}}, Salts: []shared.Salt{{Site: "s", Until: 1}},
	})
	if c := s.known(view); c == nil || c.ID != "s" {
		t.Fatalf("got %+v", c)
	}
	old := weak.Make(view)
	view = nil // the collector may take it from here on
	goruntime.GC()
	if old.Value() != nil {
		t.Error("the site holds the view that it was looked up in")
	}
	next := registry.NewView(&shared.EdgeState{Version: "2", Sites: []shared.SiteConfig{{ID: "r"}, {ID: "q", Domains: []string{"a.example"}}}})
	if c := s.known(next); c == nil || c.ID != "q" {
		t.Errorf("got %+v of the next view", c)
	}
	if c := s.known(nil); c != nil {
		t.Errorf("got %+v of no view", c)
	}
	goruntime.KeepAlive(s)
}
