package sites

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

func open(t *testing.T, dir string) (*Registry, *state.State) {
	t.Helper()
	s, err := state.Open(dir, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	r, err := Open(s, "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

func TestDomain(t *testing.T) {
	long := strings.Repeat("a.", 126) + "a" // 253 bytes
	for _, c := range []struct{ in, want string }{
		{"example.com", "example.com"},
		{"EXAMPLE.Com", "example.com"},
		{"example.com.", "example.com"},
		{"example.com:8443", "example.com"},
		{" example.com ", "example.com"},
		{"www.example.com", "example.com"},
		{"WWW.Example.com:443", "example.com"},
		{"www.com", "www.com"}, // a host of its own
		{"localhost", "localhost"},
		{"localhost:8080", "localhost"},
		{"my_host.internal", "my_host.internal"},
		{"r3---sn-a.example", "r3---sn-a.example"},
		{"ab--cd.example", "ab--cd.example"},
		{"bücher.de", "xn--bcher-kva.de"},
		{"BÜCHER.de", "xn--bcher-kva.de"},
		{"xn--bcher-kva.de", "xn--bcher-kva.de"},
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1:8080", "127.0.0.1"},
		{"[2001:DB8:0::1]:443", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"2001:db8::1", "2001:db8::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{long, long},
	} {
		got, err := Domain(c.in)
		if err != nil || got != c.want {
			t.Errorf("Domain(%q) = %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

func TestDomainRefuses(t *testing.T) {
	for _, in := range []string{
		"", "   ", ".", "..", "../../etc/passwd", "a/../b", "/", "a/b", `a\b`, "a..b", "-a.com", "a-.com",
		"a b.com", "a\x00b.com", "a\nb.com", "'; DROP TABLE events; --", `"`, "exa'mple.com", "*.example.com",
		"http://example.com", "example.com/path", "user@example.com", "example.com:port", "fe80::1%eth0",
		"a.com\u202e", "\xff\xfe.com", "<script>", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 127) + "a",
		strings.Repeat("x", 1<<20),
	} {
		if got, err := Domain(in); err == nil {
			t.Errorf("Domain(%.60q) = %q, want an error", in, got)
		} else if len(err.Error()) > 500 {
			t.Errorf("Domain(%.60q): an error of %d bytes", in, len(err.Error()))
		}
	}
}

// TestNamesFindOneSite: a site is found by all of its names, also by the next
// process.
func TestNamesFindOneSite(t *testing.T) {
	dir := t.TempDir()
	r, s := open(t, dir)
	site, err := r.Register("www.Example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	if site.ID != "example-com" || site.Zone != "Europe/Berlin" || site.Origin != "caddyfile" || site.Name != "example.com" {
		t.Fatalf("registered as %+v", site)
	}
	if again, err := r.Register("example.com."); err != nil || again.ID != site.ID {
		t.Fatalf("the second time: %+v, %v", again, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, _ = open(t, dir)
	for _, name := range []string{
		"example-com", site.UUID, strings.ToUpper(site.UUID), "example.com", "EXAMPLE.com:8080", "www.example.com", "example.com.",
	} {
		if found, ok := r.Resolve(name); !ok || found.ID != site.ID {
			t.Errorf("Resolve(%q) = %+v, %v", name, found, ok)
		}
	}
	for _, name := range []string{"", "example.org", "sub.example.com", "example", "../example-com"} {
		if found, ok := r.Resolve(name); ok {
			t.Errorf("Resolve(%q) = %+v, want none", name, found)
		}
	}
}

var safe = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// TestIDsAreSafeAndDistinct registers domains whose ids collide.
func TestIDsAreSafeAndDistinct(t *testing.T) {
	r, _ := open(t, t.TempDir())
	long := strings.Repeat("a", 60)
	seen := map[string]string{}
	for _, domain := range []string{
		"a-b.com", "a.b.com", "a.b-com", "2001:db8::1", "::1", "_dmarc.example.com", "bücher.de",
		long + ".com", long + ".org", long + ".net", "__",
	} {
		s, err := r.Register(domain)
		if err != nil {
			t.Fatal(err)
		}
		if !safe.MatchString(s.ID) {
			t.Errorf("%s got the id %q", domain, s.ID)
		}
		if other, ok := seen[s.ID]; ok {
			t.Errorf("%s and %s share the id %q", domain, other, s.ID)
		}
		seen[s.ID] = domain
	}
	if n := len(r.List()); n != len(seen) {
		t.Errorf("the list has %d sites, want %d", n, len(seen))
	}
}

// TestIDIsTaken: a host can't be called like another site's id, since both are
// names of a site.
func TestIDIsTaken(t *testing.T) {
	r, _ := open(t, t.TempDir())
	site, err := r.Register("a-b.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Register(site.ID); err == nil || !strings.Contains(err.Error(), "a-b.com") {
		t.Errorf("registered the id %s as a host: %v", site.ID, err)
	}
	if found, ok := r.Resolve(site.ID); !ok || found.UUID != site.UUID {
		t.Errorf("the id finds %+v, %v", found, ok)
	}
}

func TestZones(t *testing.T) {
	r, s := open(t, t.TempDir())
	site, err := r.Register("example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Add("example.com", Change{TimeZone: ptr("Mars/Olympus")}); err == nil || !strings.Contains(err.Error(), "Mars/Olympus") {
		t.Errorf("a zone that is none: %v", err)
	}
	for _, zone := range []string{"Local", "../../etc/passwd", "/etc/localtime"} {
		if _, err := r.Add("example.com", Change{TimeZone: &zone}); err == nil {
			t.Errorf("zone %q was taken", zone)
		}
	}
	changed, err := r.Add("example.com", Change{TimeZone: ptr("Asia/Kolkata")})
	if err != nil || changed.ID != site.ID || changed.UUID != site.UUID || r.Zone(site.ID) != "Asia/Kolkata" {
		t.Errorf("changed to %+v, %v", changed, err)
	}
	if r.Zone("unknown") != "Europe/Berlin" {
		t.Errorf("the zone of an unknown site is %s", r.Zone("unknown"))
	}
	if _, err := Open(s, "Nowhere"); err == nil {
		t.Error("a default zone that is none was taken")
	}
}

type failing struct{ Store }

func (failing) PutSite(state.Site) error { return errors.New("disk full") }

// TestFailedStoreRegistersNothing: what is not in the store is in no answer.
func TestFailedStoreRegistersNothing(t *testing.T) {
	r, s := open(t, t.TempDir())
	r.store = failing{s}
	if _, err := r.Register("example.com"); err == nil {
		t.Fatal("no error")
	}
	if _, ok := r.Resolve("example.com"); ok || len(r.List()) != 0 {
		t.Error("the site is there although it was not stored")
	}
}

func FuzzDomain(f *testing.F) {
	for _, s := range []string{"example.com", "../x", "[::1]:80", "a\x00", "bücher.de", "www.www.www", "xn--a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		domain, err := Domain(name)
		if err != nil {
			return
		}
		again, err := Domain(domain)
		// Only "www." may be cut once more, and only where it was doubled.
		if err != nil || (again != domain && !strings.HasPrefix(domain, "www.")) {
			t.Fatalf("Domain(%q) = %q, of which it makes %q, %v", name, domain, again, err)
		}
		if id := newID(domain, nil); !safe.MatchString(id) {
			t.Fatalf("the id of %q is %q", name, id)
		}
	})
}

// TestTogetherTheyFitAnEdge: every edge is told of all sites, so that no site
// may grow so far that none is told of any.
func TestTogetherTheyFitAnEdge(t *testing.T) {
	r, _ := open(t, t.TempDir())
	grown := func(n int) Change {
		var links []shared.Link
		for i := range n {
			links = append(links, shared.Link{Slug: fmt.Sprintf("%s-%d", rand.Text(), i), URL: "https://example.com/" + strings.Repeat("a", 1900)})
		}
		return Change{Links: &links}
	}
	var last string
	var err error
	for n := 0; err == nil && n < 40; n++ {
		last = fmt.Sprintf("site-%d.example", n)
		_, err = r.Add(last, grown(maxLinks))
	}
	list, _ := r.Configs()
	told, _ := json.Marshal(list)
	if !errors.Is(err, ErrTooLarge) || len(list) < 10 || len(told) > maxBytes+len(list)+2 {
		t.Fatalf("%d sites of %d bytes: %v", len(list), len(told), err)
	}
	if _, ok := r.Resolve(last); ok {
		t.Errorf("%s is there all the same", last)
	}
	name := "another name"
	if _, err := r.Edit("site-0.example", Change{Name: &name}); err != nil {
		t.Errorf("what grows within the bound: %v", err)
	}
	if _, err := r.Edit("site-0.example", grown(1)); err != nil {
		t.Errorf("what shrinks: %v", err)
	}
	if _, err := r.Add(last, grown(maxLinks)); err != nil {
		t.Errorf("there is room now: %v", err)
	}
}
