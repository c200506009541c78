package conduct

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/eider-analytics/eider/shared"
)

const browser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMicro()

// play sends n requests, one each interval, from the time on that it returns.
type play struct {
	n        int
	interval int64
	path     string
	status   int
	result   shared.Result
	embedded bool
}

func page(n int, interval int64) play {
	return play{n, interval, "/page", 200, shared.ResultPageview, false}
}

func part(n int) play { return play{n, 1000, "/a.css", 200, shared.ResultAsset, true} }

func lost(n int, interval int64) play {
	return play{n, interval, "/gone", 404, shared.ResultError, false}
}

func ask(path string, status int) play {
	return play{1, second, path, status, shared.ResultFailed, false}
}
func broken(n int, path string) play { return play{n, 1000, path, 404, shared.ResultFailed, true} }

func TestConduct(t *testing.T) {
	for _, c := range []struct {
		name  string
		addr  string
		plays []play
		want  string // of the last request
	}{
		{"a reader", "203.0.113.7", []play{page(40, 8*second)}, ""},
		{"a fast reader of pages without parts", "203.0.113.7", []play{page(100, second)}, ""},
		{"a folder of bookmarks", "203.0.113.7", []play{page(19, 10_000)}, ""},
		{"nobody reads this fast", "203.0.113.7", []play{page(20, 10_000)}, "too_fast"},
		{"and it stays one", "203.0.113.7", []play{page(20, 10_000), page(1, 1700*second)}, "too_fast"},
		{"for half an hour", "203.0.113.7", []play{page(20, 10_000), page(1, 1801*second)}, ""},
		{"who fetches parts is no bot", "203.0.113.7", []play{part(1), page(60, 10_000)}, ""},
		{"behind loopback is anybody", "127.0.0.1", []play{page(500, 1000)}, ""},
		{"and behind a private address", "10.0.0.4", []play{page(500, 1000), lost(100, 1000)}, ""},
		{"and behind a provider's network", "100.64.3.2", []play{page(500, 1000)}, ""},
		{"IPv6", "2001:db8::1", []play{page(20, 10_000)}, "too_fast"},
		{"an unknown address", "", []play{page(500, 1000)}, ""},

		{"a few dead links", "203.0.113.7", []play{lost(19, 5*second)}, ""},
		{"nothing but dead links", "203.0.113.7", []play{lost(20, 5*second)}, "errors"},
		{"broken images on every page", "203.0.113.7", []play{page(30, 5*second), lost(29, 5*second)}, ""},
		{"dead links over a day", "203.0.113.7", []play{lost(60, 300*second)}, ""},

		{"a probe", "203.0.113.7", []play{ask("/.env", 404)}, "probe"},
		{"a probe behind loopback", "127.0.0.1", []play{ask("/.env", 404)}, "probe"},
		{"one probe leaves the rest alone", "203.0.113.7", []play{ask("/.env", 404), page(1, second)}, ""},
		{"the same one twice too", "203.0.113.7", []play{ask("/.env", 404), ask("/.env", 404), page(1, second)}, ""},
		{"two probes do not", "203.0.113.7", []play{ask("/.env", 404), ask("/wp-login.php", 404), page(1, second)}, "probe"},
		{"a page with two broken parts", "203.0.113.7", []play{
			page(1, second), broken(1, "/vendor/a.css"), broken(1, "/wp-content/plugins/b.js"), page(1, second),
		}, ""},
		{"a page of broken images", "203.0.113.7", []play{page(1, second), broken(40, "/old.jpg"), page(1, second)}, ""},
		{"guessing images", "203.0.113.7", []play{broken(40, "/1.jpg"), page(1, second)}, "errors"},
		{"no page embeds these", "203.0.113.7", []play{broken(1, "/.env"), broken(1, "/.git/config"), page(1, second)}, "probe"},
		{"but behind loopback", "127.0.0.1", []play{ask("/.env", 404), ask("/wp-login.php", 404), page(1, second)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, at, got := New(), start, ""
			var addr netip.Addr
			if c.addr != "" {
				addr = netip.MustParseAddr(c.addr)
			}
			for _, p := range c.plays {
				for range p.n {
					at += p.interval
					got = table.Observe(&Request{Addr: addr, UserAgent: browser, At: at, Path: p.path, Status: p.status, Result: p.result, Embedded: p.embedded})
				}
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Another browser behind the same address, and another address, are others.
func TestClientsAreToldApart(t *testing.T) {
	table := New()
	addr := netip.MustParseAddr("203.0.113.7")
	for i := range int64(20) {
		table.Observe(&Request{Addr: addr, UserAgent: browser, At: start + i, Status: 200, Result: shared.ResultPageview})
	}
	for _, c := range []struct{ addr, ua, want string }{
		{"203.0.113.7", browser, "too_fast"},
		{"::ffff:203.0.113.7", browser, "too_fast"},
		{"203.0.113.7", browser + " x", ""},
		{"203.0.113.8", browser, ""},
	} {
		if got := table.Observe(&Request{Addr: netip.MustParseAddr(c.addr), UserAgent: c.ua, At: start + 100, Status: 200, Result: shared.ResultPageview}); got != c.want {
			t.Errorf("%s %.12q: %q, want %q", c.addr, c.ua, got, c.want)
		}
	}
}

func TestProbes(t *testing.T) {
	for _, c := range []struct {
		path   string
		status int
		want   bool
	}{
		{"/.env", 404, true},
		{"/.env", 200, true}, // answered with the front page
		{"/app/.env.production", 404, true},
		{"/.GIT/config", 403, true},
		{"/static/../../etc/passwd", 400, true},
		{"/wp-login.php", 404, true},
		{"/blog/WP-Login.php", 404, true},
		{"/wp-login.php", 200, false}, // it is a WordPress
		{"/wp-admin/", 302, false},
		{"/wp-admin/", 401, false}, // somebody forgot the password
		{"/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", 404, true},
		{"/cgi-bin/luci", 404, true},
		{"/", 200, false},
		{"/", 404, false},
		{"", 404, false},
		{"/environment", 404, false},
		{"/.well-known/security.txt", 404, false},
		{"/old-page.php", 404, false},
		{"/robots.txt", 404, false},
		{"/favicon.ico", 404, false},
	} {
		if got := Probes(c.path, c.status); got != c.want {
			t.Errorf("%q answered %d: %v, want %v", c.path, c.status, got, c.want)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	if size := unsafe.Sizeof(Table{}); size > 1<<21 {
		t.Errorf("the table takes %d bytes", size)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	table := New()
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, g))
			for i := range int64(50_000) {
				b := [4]byte{203, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
				table.Observe(&Request{Addr: netip.AddrFrom4(b), UserAgent: fmt.Sprint(r.IntN(9)), At: start + i, Path: "/", Status: 200, Result: shared.ResultPageview})
			}
		})
	}
	wg.Wait()
}

func FuzzProbes(f *testing.F) {
	f.Add("/.env", 404)
	f.Add("//..//", 400)
	f.Fuzz(func(t *testing.T, path string, status int) {
		if Probes(path, status) && !Probes("/x"+path, status) {
			t.Errorf("%q is a probe, but not in a folder", path)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	table := New()
	r := Request{Addr: netip.MustParseAddr("203.0.113.7"), UserAgent: browser, At: start, Path: "/blog/2026/11/post-about-something", Status: 200, Result: shared.ResultPageview}
	b.ReportAllocs()
	for b.Loop() {
		r.At += second
		table.Observe(&r)
	}
}
