package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/eider-analytics/eider/shared"
)

// farEnd is an aggregator behind a bad line.
type farEnd struct {
	mu       sync.Mutex
	rand     *rand.Rand
	failRate float64
	state    shared.EdgeState
	raw      []byte // answered instead of the state
	status   int    // answered instead of 200
	header   http.Header
	asked    []time.Time
	full     int // answers with a body
	reported map[string]uint64
	token    string
}

// virtual is when the time of a bubble begins, µs since 1970.
const virtual = 946_684_800_000_000

func newFarEnd(t *testing.T) *farEnd {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	f := &farEnd{rand: rand.New(rand.NewPCG(seed, 1)), reported: map[string]uint64{}, header: http.Header{}, token: "edge-token"}
	f.state = shared.EdgeState{
		Version: "1",
		Sites: []shared.SiteConfig{{
			ID: "example-com", UUID: "0190aaaa-0000-7000-8000-000000000001", Name: "Example", Domains: []string{"example.com"},
			TimeZone: "Europe/Berlin", Identity: shared.IdentityDay, Privacy: shared.Privacy{CountryOnly: true},
		}},
		Salts: []shared.Salt{
			{Site: "example-com", Key: [32]byte(bytes.Repeat([]byte{0xA7}, 32)), From: virtual + 1000, Until: virtual + 2000, Identity: shared.IdentityDay},
			{Site: "example-com", Key: [32]byte(bytes.Repeat([]byte{0xB8}, 32)), From: virtual + 2000, Until: virtual + 3000, Identity: shared.IdentityDay},
		},
		SigningKey: bytes.Repeat([]byte{0xC9}, 32),
	}
	return f
}

func (f *farEnd) set(change func(*farEnd)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// asks is how often it was asked so far.
func (f *farEnd) asks() (n int) {
	f.set(func(f *farEnd) { n = len(f.asked) })
	return n
}

func (f *farEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, time.Now())
	answer := func(status int, body []byte) (*http.Response, error) {
		h := f.header.Clone()
		if status == http.StatusOK {
			h.Set("ETag", `"`+f.state.Version+`"`)
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	}
	switch {
	case r.URL.Path != shared.PathEdge || r.Header.Get("Authorization") != "Bearer "+f.token:
		return answer(http.StatusUnauthorized, nil)
	case f.rand.Float64() < f.failRate:
		switch f.rand.IntN(3) {
		case 0:
			return nil, errors.New("connection reset")
		case 1:
			return answer(http.StatusServiceUnavailable, nil)
		default:
			return answer(http.StatusOK, []byte(`{"version":"1","sites":[`))
		}
	case f.status != 0:
		return answer(f.status, f.raw)
	case f.raw != nil:
		return answer(http.StatusOK, f.raw)
	}
	if r.Method == http.MethodPost {
		var report shared.EdgeReport
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			return answer(http.StatusBadRequest, nil)
		}
		for _, h := range report.UnknownHosts {
			f.reported[h.Host] += h.Requests
		}
	}
	if r.Header.Get("If-None-Match") == `"`+f.state.Version+`"` {
		return answer(http.StatusNotModified, nil)
	}
	f.full++
	b, err := json.Marshal(f.state)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, b)
}

// start runs a client on the far end, in the bubble of virtual time.
func start(t *testing.T, f *farEnd, change func(*ClientConfig)) (*Client, *Holder, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	holder := new(Holder)
	cfg := ClientConfig{URL: "https://stats.example/base", Token: f.token, Holder: holder, Transport: prefixed{f}, Logger: zap.New(core)}
	if change != nil {
		change(&cfg)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
	})
	return c, holder, logs
}

// prefixed takes the aggregator's own path off, as a proxy before it does.
type prefixed struct{ *farEnd }

func (p prefixed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/base")
	return p.farEnd.RoundTrip(r)
}

// Whoever knows that there may be news need not wait for the next question.
// TestAFullRegistryIsTaken: as many sites as the aggregator has at most, with
// long names, in the hours after a rotation.
func TestAFullRegistryIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarEnd(t)
		const sites = 10_000
		site, salts := f.state.Sites[0], f.state.Salts
		f.state.Sites, f.state.Salts, f.state.TokenKeys = nil, nil, map[string]shared.Secret{}
		for i := range sites {
			site.ID = fmt.Sprintf("%s-%05d", strings.Repeat("a", 50), i)
			site.Domains = []string{strings.Repeat("b.", 80) + site.ID + ".example", "other." + site.ID + ".example"}
			site.Privacy.Redact = []string{strings.Repeat("[0-9]+", 100)}
			f.state.Sites = append(f.state.Sites, site)
			f.state.TokenKeys[site.ID] = shared.Secret{1}
			for _, from := range []int64{1000, 2000, 3000} {
				salt := salts[0]
				salt.Site, salt.From, salt.Until = site.ID, virtual+from, virtual+from+1000
				f.state.Salts = append(f.state.Salts, salt)
			}
		}
		c, holder, _ := start(t, f, nil)
		synctest.Wait()
		if n := len(holder.Load().Sites()); n != sites {
			t.Errorf("%d sites: %s", n, c.Status().Trouble)
		}
	})
}

func TestNewsCanBeAskedForAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarEnd(t)
		c, _, _ := start(t, f, nil)
		synctest.Wait()
		if len(f.asked) != 1 {
			t.Fatalf("asked %d times", len(f.asked))
		}
		c.AskSoon()
		c.AskSoon()
		synctest.Wait()
		if n := len(f.asked); n != 2 && n != 3 || f.asked[n-1] != f.asked[0] {
			t.Errorf("asked at %v", f.asked)
		}
		n := len(f.asked)
		time.Sleep(pollEvery / 2)
		synctest.Wait()
		if len(f.asked) != n {
			t.Errorf("asked %d times more in half of the pace", len(f.asked)-n)
		}
	})
}

// A change is known within ten seconds, however often that happens, and an
// unchanged registry is not sent again.
func TestChangesAreKnownWithinTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarEnd(t)
		_, holder, _ := start(t, f, nil)
		synctest.Wait()
		if s := holder.Site("WWW.example.com:443"); s == nil || s.ID != "example-com" || !s.Privacy.CountryOnly {
			t.Fatalf("site %+v", s)
		}
		if _, ok := holder.Salt("example-com", virtual+1500); !ok || !signs(holder.Load()) {
			t.Fatal("no salt or key")
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if f.full != 1 {
			t.Errorf("an unchanged registry was sent %d times", f.full)
		}
		for i := range 20 {
			f.set(func(f *farEnd) {
				f.state.Version = fmt.Sprint("v", i)
				f.state.Sites = append([]shared.SiteConfig(nil), f.state.Sites...)
				f.state.Sites[0].Archived = i%2 == 0
			})
			time.Sleep(10 * time.Second)
			if holder.Site("example.com").Archived != (i%2 == 0) {
				t.Fatalf("change %d is not known", i)
			}
		}
	})
}

// On a line that fails two times of three nothing is lost: not the view that
// was there, not the hosts to report.
func TestABadLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarEnd(t)
		hosts := new(Hosts)
		c, holder, logs := start(t, f, func(cfg *ClientConfig) { cfg.Hosts = hosts })
		synctest.Wait()
		f.set(func(f *farEnd) { f.failRate = 0.66 })
		for range 200 {
			hosts.Seen("New.Example.org:8443")
			hosts.Seen("other.example.net")
			time.Sleep(time.Second)
			if holder.Site("example.com") == nil {
				t.Fatal("a failure took the sites away")
			}
		}
		f.set(func(f *farEnd) { f.failRate = 0 })
		time.Sleep(time.Minute)
		synctest.Wait()
		if f.reported["new.example.org"] != 200 || f.reported["other.example.net"] != 200 || len(f.reported) != 2 {
			t.Errorf("reported %v", f.reported)
		}
		if s := c.Status(); s.Trouble != "" || time.Since(s.ReachedAt) > 10*time.Second {
			t.Errorf("status %+v", s)
		}
		for _, l := range logs.All() {
			if text := fmt.Sprint(l.Message, l.ContextMap()); strings.Contains(text, "stats.example") || strings.Contains(text, f.token) {
				t.Errorf("logged: %s", text)
			}
		}
	})
}

// An aggregator that is never reached again keeps no salt alive: 48 hours after
// its period it is gone, and the sites are not.
func TestSaltsEndWithoutTheAggregator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarEnd(t)
		now := time.Now()
		for i := range f.state.Salts {
			f.state.Salts[i].From = now.Add(time.Duration(i) * 24 * time.Hour).UnixMicro()
			f.state.Salts[i].Until = now.Add(time.Duration(i+1) * 24 * time.Hour).UnixMicro()
		}
		_, holder, _ := start(t, f, nil)
		synctest.Wait()
		f.set(func(f *farEnd) { f.failRate = 1 })
		time.Sleep(2 * time.Minute) // it looks when it asks
		for hours := range 100 {
			want := 0
			for i := range 2 {
				if hours < 24*(i+1)+48 {
					want++
				}
			}
			synctest.Wait()
			if n := len(holder.Load().State().Salts); n != want {
				t.Fatalf("after %d hours %d salts, want %d", hours, n, want)
			}
			if holder.Site("example.com") == nil || !signs(holder.Load()) {
				t.Fatal("more than salts is gone")
			}
			time.Sleep(time.Hour)
		}
	})
}

// A clock that was wrong for a moment costs the salts, and its end brings them
// back, although the aggregator's have not changed.
func TestSaltsComeBackAfterAWrongClock(t *testing.T) {
	f := newFarEnd(t)
	now := time.Now().UnixMicro()
	f.state.Salts = f.state.Salts[:1]
	f.state.Salts[0].From, f.state.Salts[0].Until = now-1e9, now+1e9
	holder := new(Holder)
	c, err := NewClient(ClientConfig{URL: "https://stats.example/base", Token: f.token, Holder: holder, Transport: prefixed{f}})
	if err != nil {
		t.Fatal(err)
	}
	const year = 365 * 24 * 3600 * 1_000_000
	for i, at := range []struct {
		clock int64
		want  int
	}{{now, 1}, {now + year, 0}, {now + year, 0}, {now, 1}, {now, 1}} {
		if err := c.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.forget(at.clock)
		if n := len(holder.Load().State().Salts); n != at.want {
			t.Errorf("step %d: %d salts, want %d", i, n, at.want)
		}
	}
}

// While it fails it asks at most once in 15 seconds or so, and at once again
// after the outage, within the half minute.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarEnd(t)
		f.failRate = 1
		c, holder, logs := start(t, f, nil)
		time.Sleep(time.Hour)
		if n := f.asks(); n < 120 || n > 260 {
			t.Errorf("asked %d times in an hour of failures", n)
		}
		if c.Status().Trouble == "" || !c.Status().ReachedAt.IsZero() {
			t.Errorf("status %+v", c.Status())
		}
		f.set(func(f *farEnd) { f.failRate = 0 })
		time.Sleep(maxBackoff)
		if holder.Site("example.com") == nil {
			t.Error("not reached after the outage")
		}
		f.set(func(f *farEnd) { f.token = "another" })
		before := f.asks()
		warnings := logs.FilterLevelExact(zap.WarnLevel).Len()
		time.Sleep(time.Hour)
		if n := f.asks() - before; n < 55 || n > 125 {
			t.Errorf("asked %d times in an hour with a wrong token", n)
		}
		if n := logs.FilterLevelExact(zap.WarnLevel).Len() - warnings; n != 1 {
			t.Errorf("%d warnings of one trouble", n)
		}
		f.set(func(f *farEnd) { f.token, f.status, f.header = "edge-token", 429, http.Header{"Retry-After": {"120"}} })
		time.Sleep(2 * time.Minute)
		before = f.asks()
		time.Sleep(time.Hour)
		if n := f.asks() - before; n < 26 || n > 31 {
			t.Errorf("asked %d times in an hour of Retry-After: 120", n)
		}
	})
}

func signs(v *View) bool {
	_, ok := v.TokenKey("example-com")
	return ok
}

// TestTokenKeys: whoever knows a site signs its tokens alike, whether all sites
// are theirs or some; and with some, nothing else can be signed.
func TestTokenKeys(t *testing.T) {
	master := bytes.Repeat([]byte{0xC9}, 32)
	all := NewView(&shared.EdgeState{SigningKey: master})
	some := NewView(&shared.EdgeState{TokenKeys: map[string]shared.Secret{"a": shared.TokenKey(master, "a")}})
	want, ok1 := all.TokenKey("a")
	got, ok2 := some.TokenKey("a")
	if !ok1 || !ok2 || got != want {
		t.Errorf("two who know a site sign differently: %v, %v", ok1, ok2)
	}
	if other, ok := all.TokenKey("b"); !ok || other == want {
		t.Error("two sites have one key")
	}
	if _, ok := some.TokenKey("b"); ok {
		t.Error("who knows one site signs for another")
	}
	if _, ok := NewView(&shared.EdgeState{}).TokenKey("a"); ok {
		t.Error("a key of nothing")
	}
}

func TestHostileAnswers(t *testing.T) {
	good := newFarEnd(t).state
	with := func(change func(*shared.EdgeState)) []byte {
		s := good
		s.Sites = append([]shared.SiteConfig(nil), good.Sites...)
		s.Salts = append([]shared.Salt(nil), good.Salts...)
		change(&s)
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, raw := range map[string][]byte{
		"html":           []byte("<!doctype html><title>login</title>"),
		"empty":          {},
		"null in sites":  []byte(`{"sites":[null]}`),
		"huge":           append(with(func(*shared.EdgeState) {}), bytes.Repeat([]byte(" "), maxAnswer)...),
		"types":          []byte(`{"sites":{"a":1},"salts":"x"}`),
		"a path as id":   with(func(s *shared.EdgeState) { s.Sites[0].ID = "../../etc" }),
		"a site twice":   with(func(s *shared.EdgeState) { s.Sites = append(s.Sites, s.Sites[0]) }),
		"control":        with(func(s *shared.EdgeState) { s.Sites[0].Domains = []string{"a\x00b"} }),
		"many domains":   with(func(s *shared.EdgeState) { s.Sites[0].Domains = make([]string, maxSiteNames+1) }),
		"many salts":     with(func(s *shared.EdgeState) { s.Salts = make([]shared.Salt, maxSaltsPerSite+1) }),
		"no key":         with(func(s *shared.EdgeState) { s.Salts[0].Key = [32]byte{} }),
		"eternal salt":   with(func(s *shared.EdgeState) { s.Salts[0].Until = 1 << 62 }),
		"backward salt":  with(func(s *shared.EdgeState) { s.Salts[0].Until = 1 }),
		"overflow":       with(func(s *shared.EdgeState) { s.Salts[0].From = -1 << 63; s.Salts[0].Until = 1<<63 - 1 }),
		"identity":       with(func(s *shared.EdgeState) { s.Salts[0].Identity = strings.Repeat("x", 200) }),
		"foreign salt":   with(func(s *shared.EdgeState) { s.Salts[0].Site = "A B" }),
		"signing key":    with(func(s *shared.EdgeState) { s.SigningKey = make([]byte, maxSigningKey+1) }),
		"many tokens":    with(func(s *shared.EdgeState) { s.TokenKeys = map[string]shared.Secret{"a": {1}, "b": {1}, "c": {1}} }),
		"foreign token":  with(func(s *shared.EdgeState) { s.TokenKeys = map[string]shared.Secret{"A B": {1}} }),
		"empty token":    with(func(s *shared.EdgeState) { s.TokenKeys = map[string]shared.Secret{"a": {}} }),
		"short salt key": []byte(`{"salts":[{"site":"a","key":[1,2],"from":1,"until":2,"identity":"day"}]}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarEnd(t)
				c, holder, logs := start(t, f, nil)
				synctest.Wait()
				before := holder.Load()
				f.set(func(f *farEnd) { f.raw = raw; f.state.Version = "2" })
				time.Sleep(20 * time.Second)
				if name == "short salt key" {
					// JSON fills what is missing with zeros: weak, but the
					// authenticated aggregator's own doing.
					return
				}
				if holder.Load() != before || c.Status().Trouble == "" {
					t.Errorf("taken; status %+v", c.Status())
				}
				for _, l := range logs.All() {
					if strings.Contains(fmt.Sprint(l.ContextMap()), "167") { // a byte of the salt
						t.Errorf("logged: %v", l.ContextMap())
					}
				}
				f.set(func(f *farEnd) { f.raw = nil })
				time.Sleep(slowBackoff + time.Second)
				if holder.Load() == before {
					t.Error("no recovery")
				}
			})
		})
	}
}

// What is kept for the next start has the sites and no secret in any form.
func TestSitesAreKeptAndSecretsAreNot(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sites.json")
	synctest.Test(t, func(t *testing.T) {
		f := newFarEnd(t)
		start(t, f, func(c *ClientConfig) { c.File = file })
		synctest.Wait()
	})
	var all []byte
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if len(entries) != 1 || !bytes.Contains(all, []byte("example.com")) {
		t.Fatalf("kept %d files: %s", len(entries), all)
	}
	for _, secret := range []byte{0xA7, 0xB8, 0xC9} {
		raw := bytes.Repeat([]byte{secret}, 32)
		list, _ := json.Marshal([32]byte(raw))
		for _, form := range [][]byte{raw[:8], []byte(hex.EncodeToString(raw[:8])), []byte(base64.StdEncoding.EncodeToString(raw)[:10]), list[1:20]} {
			if bytes.Contains(all, form) {
				t.Errorf("a secret is kept as %q", form)
			}
		}
	}

	t.Run("the next start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFarEnd(t)
			f.failRate = 1
			_, holder, _ := start(t, f, func(c *ClientConfig) { c.File = file })
			if s := holder.Site("example.com"); s == nil || !s.Privacy.CountryOnly {
				t.Error("the kept sites are not known")
			}
			if _, ok := holder.Salt("example-com", virtual+1500); ok {
				t.Error("a salt survived")
			}
			f.set(func(f *farEnd) { f.failRate = 0 })
			time.Sleep(10 * time.Second)
			if _, ok := holder.Salt("example-com", virtual+1500); !ok {
				t.Error("the kept version stood for the secrets")
			}
		})
	})

	for name, content := range map[string]string{"cut": `{"sites":[{"id":"exam`, "foreign": `{"sites":[{"id":"../x"}]}`, "garbage": "\x00\xff"} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				f := newFarEnd(t)
				_, holder, logs := start(t, f, func(c *ClientConfig) { c.File = file })
				if logs.FilterLevelExact(zap.WarnLevel).Len() != 1 {
					t.Errorf("logs %v", logs.All())
				}
				synctest.Wait()
				if holder.Site("example.com") == nil {
					t.Error("not reached")
				}
			})
			if b, _ := os.ReadFile(file); !bytes.Contains(b, []byte("example.com")) {
				t.Errorf("the file was not replaced: %q", b)
			}
		})
	}
}

func TestAFileThatCannotBeWrittenDoesNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarEnd(t)
		_, holder, logs := start(t, f, func(c *ClientConfig) { c.File = "/nonexistent/dir/sites.json" })
		time.Sleep(time.Minute)
		if holder.Site("example.com") == nil || logs.FilterLevelExact(zap.WarnLevel).Len() != 1 {
			t.Errorf("logs %v", logs.All())
		}
	})
}

func TestHostsAreBoundedAndPlausible(t *testing.T) {
	h := new(Hosts)
	for _, bad := range []string{"", "localhost", "192.0.2.1", "[2001:db8::1]:443", "a b.example", "-x.example", "a..b.example", "host.example/path", "ex\x00.example", strings.Repeat("a", 260) + ".example", "über.example"} {
		h.Seen(bad)
	}
	if got := h.take(); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
	for i := range 10 * shared.MaxUnknownHosts {
		h.Seen(fmt.Sprintf("h%d.example", i))
		h.Seen("h0.example")
	}
	got := h.take()
	if len(got) != shared.MaxUnknownHosts || got[0].Host != "h0.example" || got[0].Requests != 10*shared.MaxUnknownHosts+1 || got[0].LastSeen == 0 {
		t.Errorf("%d hosts, first %+v", len(got), got[0])
	}
	if len(h.take()) != 0 {
		t.Error("reported twice")
	}
	h.Add(got)
	h.Add(got)
	if again := h.take(); len(again) != len(got) || again[1].Requests != 2 {
		t.Errorf("put back: %v", again[:2])
	}
	h.Add([]shared.UnknownHost{{Host: "../etc", Requests: 1}, {Host: "UPPER.example", Requests: 1}})
	if made := h.take(); len(made) != 0 {
		t.Errorf("somebody else's are taken as they are: %v", made)
	}
	var none *Hosts
	none.Seen("a.example")
	if none.take() != nil {
		t.Error("nil keeps hosts")
	}
}

func TestClientConfig(t *testing.T) {
	for _, c := range []ClientConfig{
		{URL: "stats.example", Token: "t"},
		{URL: "ftp://stats.example", Token: "t"},
		{URL: "https://stats.example?x=y", Token: "t"},
		{URL: "https://stats.example"},
		{URL: "https://user:secret@ex ample/", Token: "t"},
	} {
		if _, err := NewClient(c); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", c.URL, err)
		}
	}
}
