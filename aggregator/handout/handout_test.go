package handout

import (
	"context"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
)

func registryIn(t *testing.T, dir string) *sites.Registry {
	t.Helper()
	s, err := state.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r, err := sites.Open(s, "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTheViewFollows: whoever holds the view sees a new site within a second.
func TestTheViewFollows(t *testing.T) {
	r := registryIn(t, t.TempDir())
	k := New(r)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if k.Holder().Load().Site("example.com") != nil {
		t.Fatal("a site that nobody added")
	}
	site, err := r.Register("example.com")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Second); k.Holder().Load().Site("www.example.com:443") == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within a second")
		}
	}
	if found := k.Holder().Load().Site(site.UUID); found == nil || found.ID != site.ID || found.Identity != "day" {
		t.Errorf("found %+v", found)
	}
	if k.Holder().Load().Version() != r.Version() {
		t.Errorf("version %s of %s", k.Holder().Load().Version(), r.Version())
	}
}
