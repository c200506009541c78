package handout

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eider-analytics/eider/aggregator/salts"
	"github.com/eider-analytics/eider/aggregator/sites"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
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

func keeper(t *testing.T, of Sites) *Keeper {
	t.Helper()
	s, err := salts.Open(filepath.Join(t.TempDir(), "salts"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Sites: of, Salts: s})
}

// run runs the keeper until the test's end.
func run(t *testing.T, k *Keeper) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// TestTheViewFollows: whoever holds the view sees a new site, and its salts,
// within a second.
func TestTheViewFollows(t *testing.T) {
	r := registryIn(t, t.TempDir())
	k := keeper(t, r)
	run(t, k)
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
	v := k.Holder().Load()
	if found := v.Site(site.UUID); found == nil || found.ID != site.ID || found.Identity != "day" {
		t.Errorf("found %+v", found)
	}
	now := time.Now().UnixMicro()
	if salt, ok := v.Salt(site.ID, now); !ok || salt.Identity != "day" {
		t.Errorf("salt %+v, %v", salt.Identity, ok)
	}
	if _, ok := v.Salt(site.ID, now+24*3600e6); !ok {
		t.Error("there is no salt for tomorrow")
	}
	if _, ok := v.TokenKey(site.ID); !ok {
		t.Error("no key for its tokens")
	}
}

// TestWhoAsksSeesTheChange, also before anybody told the keeper, and in one
// answer with the salts.
func TestWhoAsksSeesTheChange(t *testing.T) {
	r := registryIn(t, t.TempDir())
	k := keeper(t, r)
	var ids []string
	var last string
	for n := range 3 {
		site, err := r.Register(fmt.Sprintf("site-%d.example", n))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, site.ID)
		st, version := k.State(nil, last)
		if st == nil || version == last || len(st.Sites) != n+1 || len(st.Salts) != 2*(n+1) || st.Version != version {
			t.Fatalf("after %d sites: %+v, version %s", n+1, st, version)
		}
		if again, same := k.State(nil, version); again != nil || same != version {
			t.Errorf("what is known is sent again, as %s", same)
		}
		last = version
	}
	st, version := k.State(ids[1:2], last)
	if st == nil || version == last || len(st.Sites) != 1 || st.Sites[0].ID != ids[1] || len(st.Salts) != 2 {
		t.Fatalf("a token for one site sees %+v", st)
	}
	// Of the keys of tokens it gets its own, which is what all others use for it.
	want, _ := k.Holder().Load().TokenKey(ids[1])
	if len(st.SigningKey) != 0 || len(st.TokenKeys) != 1 || st.TokenKeys[ids[1]] != want {
		t.Errorf("it can sign with %d bytes of the signing key, and for %d sites", len(st.SigningKey), len(st.TokenKeys))
	}
	for _, salt := range st.Salts {
		if salt.Site != ids[1] {
			t.Errorf("it sees the salt of %s", salt.Site)
		}
	}
	if _, other := k.State(ids[:1], version); other == version {
		t.Error("two tokens' states have one version")
	}
	if st, _ := k.State([]string{}, ""); st == nil || len(st.Sites) != 0 || len(st.Salts) != 0 || len(st.SigningKey)+len(st.TokenKeys) != 0 {
		t.Errorf("a token for no site sees %+v", st)
	}
}

// fixed is a registry that does not change.
type fixed []shared.SiteConfig

func (f fixed) Configs() ([]shared.SiteConfig, string) { return f, "1" }
func (fixed) Version() string                          { return "1" }
func (fixed) Changed() <-chan struct{}                 { return nil }

// TestRotationWithoutAsking: the own view rotates at the site's midnight by
// itself, and drops the salt before two hours later.
func TestRotationWithoutAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := keeper(t, fixed{{ID: "a", TimeZone: "Asia/Kolkata", Identity: "day"}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		defer func() { cancel(); <-done }()
		// The bubble's clock begins at midnight of UTC: 5:30 in Kolkata.
		began := time.Now()
		midnight := began.Add(18*time.Hour + 30*time.Minute)
		first, _ := k.Holder().Load().Salt("a", began.UnixMicro())
		next, ok := k.Holder().Load().Salt("a", midnight.UnixMicro())
		if !ok || first.Until != midnight.UnixMicro() || next.From != first.Until || next.Key == first.Key {
			t.Fatalf("first until %d, next from %d", first.Until, next.From)
		}
		versions := map[string]bool{k.Holder().Load().Version(): true}
		look := func(at time.Time, was bool) {
			t.Helper()
			time.Sleep(time.Until(at))
			synctest.Wait()
			v := k.Holder().Load()
			versions[v.Version()] = true
			now, ok := v.Salt("a", at.UnixMicro())
			if !ok || now.Key != next.Key {
				t.Errorf("%s after midnight: another salt than was announced", at.Sub(midnight))
			}
			if _, ok := v.Salt("a", first.From); ok != was {
				t.Errorf("%s after midnight: the salt of the day before is there: %v", at.Sub(midnight), ok)
			}
			if _, ok := v.Salt("a", midnight.Add(24*time.Hour).UnixMicro()); !ok {
				t.Errorf("%s after midnight: no salt for the day after", at.Sub(midnight))
			}
		}
		look(midnight, true)
		look(midnight.Add(2*time.Hour-time.Second), true)
		look(midnight.Add(2*time.Hour), false)
		if len(versions) != 3 {
			t.Errorf("%d versions", len(versions))
		}
	})
}

// TestUnknownHosts are kept within bounds, the frequent ones before others, and
// not once they are sites.
func TestUnknownHosts(t *testing.T) {
	r := registryIn(t, t.TempDir())
	k := keeper(t, r)
	now := time.Now().UnixMicro()
	report := func(hosts ...shared.UnknownHost) { k.Report(hosts) }
	report(
		shared.UnknownHost{Host: "Shop.example:443", Requests: 3, LastSeen: now - 5},
		shared.UnknownHost{Host: "www.shop.example", Requests: 4, LastSeen: now + 1e12},
		shared.UnknownHost{Host: "blog.example", Requests: 9, LastSeen: now},
		shared.UnknownHost{Host: "old.example", Requests: 99, LastSeen: now - 31*24*3600e6},
		shared.UnknownHost{Host: "../etc/passwd", Requests: 5, LastSeen: now},
		shared.UnknownHost{Host: "*.example", Requests: 5, LastSeen: now},
		shared.UnknownHost{Host: "never.example", LastSeen: now},
	)
	list := k.Unknown()
	for i := range list {
		if list[i].LastSeen > time.Now().UnixMicro() {
			t.Errorf("%s was seen in the future", list[i].Host)
		}
		list[i].LastSeen = 0
	}
	want := []shared.UnknownHost{{Host: "blog.example", Requests: 9}, {Host: "shop.example", Requests: 7}}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("unknown are %+v", list)
	}
	if _, err := r.Register("blog.example"); err != nil {
		t.Fatal(err)
	}
	if list := k.Unknown(); len(list) != 1 || list[0].Host != "shop.example" {
		t.Errorf("after adding one: %+v", list)
	}
	for n := range 3 * maxUnknown {
		report(shared.UnknownHost{Host: fmt.Sprintf("scan-%d.example", n), Requests: 1, LastSeen: now})
	}
	if list := k.Unknown(); len(list) != maxUnknown || list[0].Host != "shop.example" {
		t.Errorf("after a scan: %d, the first %+v", len(list), list[0])
	}
	many := make([]shared.UnknownHost, 2*shared.MaxUnknownHosts)
	for i := range many {
		many[i] = shared.UnknownHost{Host: fmt.Sprintf("m-%d.example", i), Requests: 100, LastSeen: now}
	}
	k.Report(many)
	if list := k.Unknown(); list[shared.MaxUnknownHosts].Requests == 100 {
		t.Error("a report of more than the limit was taken whole")
	}
}

// TestClockSetBack: a machine that began with a clock of the future has salts
// again as soon as the clock is right, not once it is due by the wrong one.
func TestClockSetBack(t *testing.T) {
	r := registryIn(t, t.TempDir())
	site, err := r.Register("example.com")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	s, err := salts.Open(filepath.Join(t.TempDir(), "salts"), clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := New(Config{Sites: r, Salts: s, Now: clock})
	for _, back := range []time.Duration{0, time.Second, 24 * time.Hour, 200 * 24 * time.Hour} {
		now = now.Add(-back)
		_, _ = k.State(nil, "")
		if _, ok := k.Holder().Load().Salt(site.ID, now.UnixMicro()); !ok {
			t.Errorf("%s back: no salt of the moment", back)
		}
	}
}
