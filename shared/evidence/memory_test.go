package evidence

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	hour = 60 * minute
	noon = int64(1_800_000_000 * 1_000_000)
	ua   = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
)

// calendar is a site whose identity ends at a time that the test moves.
type calendar struct {
	until int64
	mark  uint64
	none  bool
	asked int
}

func (c *calendar) identity(string, int64) (Identity, bool) {
	c.asked++
	return Identity{Until: c.until, Mark: c.mark}, !c.none
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestAVisitorIsProvedOnce(t *testing.T) {
	c := &calendar{until: noon + hour}
	s := New(c.identity).Site("a")
	at := func(minutes int64) Visitor { return s.Visitor(addr("192.0.2.1"), ua, noon+minutes*minute) }
	if at(0).FetchedPart() {
		t.Fatal("proved without having been shown a page")
	}
	at(1).Saw("/")
	for i, want := range []bool{true, false, false} {
		if got := at(2).FetchedPart(); got != want {
			t.Fatalf("part %d: %v, want %v", i, got, want)
		}
	}
	at(3).Saw("/other")
	if at(4).FetchedPart() {
		t.Error("proved again by another page")
	}
}

func TestWhoIsAnother(t *testing.T) {
	c := &calendar{until: noon + hour}
	m := New(c.identity)
	a, b := m.Site("a"), m.Site("b")
	for _, v := range []struct {
		what string
		one  Visitor
		two  Visitor
		same bool
	}{
		{"itself", a.Visitor(addr("192.0.2.1"), ua, noon), a.Visitor(addr("192.0.2.1"), ua, noon), true},
		{"an address in IPv6's clothes", a.Visitor(addr("192.0.2.1"), ua, noon), a.Visitor(addr("::ffff:192.0.2.1"), ua, noon), true},
		{"another address of the same /64", a.Visitor(addr("2001:db8:0:1::1"), ua, noon), a.Visitor(addr("2001:db8:0:1:ffff::2"), ua, noon), true},
		{"the /64 beside it", a.Visitor(addr("2001:db8:0:1::1"), ua, noon), a.Visitor(addr("2001:db8:0:2::1"), ua, noon), false},
		{"another address", a.Visitor(addr("192.0.2.1"), ua, noon), a.Visitor(addr("192.0.2.2"), ua, noon), false},
		{"another browser", a.Visitor(addr("192.0.2.1"), ua, noon), a.Visitor(addr("192.0.2.1"), ua+"x", noon), false},
		{"another site", a.Visitor(addr("192.0.2.1"), ua, noon), b.Visitor(addr("192.0.2.1"), ua, noon), false},
		{"another table", a.Visitor(addr("192.0.2.1"), ua, noon), New(c.identity).Site("a").Visitor(addr("192.0.2.1"), ua, noon), false},
	} {
		if same := v.one.key == v.two.key; same != v.same {
			t.Errorf("%s: the same is %v", v.what, same)
		}
	}
	var nobody Visitor
	nobody.Saw("/")
	nobody.FetchedAhead("/", 1)
	if _, ok := nobody.Showed("/"); ok || nobody.FetchedPart() || a.Visitor(netip.Addr{}, ua, noon) != nobody {
		t.Error("nobody is remembered")
	}
}

// Nothing outlives the identity: neither at its end, nor when the salt is
// exchanged before, nor after a day where identities live for a month.
func TestNothingOutlivesTheIdentity(t *testing.T) {
	for name, test := range map[string]struct {
		until  int64
		change func(*calendar)
		after  int64
		kept   bool
	}{
		"within the period":         {noon + hour, func(*calendar) {}, hour - 1, true},
		"at midnight":               {noon + hour, func(c *calendar) { c.until += 24 * hour }, hour, false},
		"another salt":              {noon + hour, func(c *calendar) { c.mark++ }, 6_000_000, false},
		"another salt, too early":   {noon + hour, func(c *calendar) { c.mark++ }, 4_000_000, true},
		"no salt any more":          {noon + hour, func(c *calendar) { c.none = true }, 6_000_000, false},
		"a month, the same day":     {noon + 700*hour, func(*calendar) {}, 24*hour - 1, true},
		"a month, after a day":      {noon + 700*hour, func(*calendar) {}, 24 * hour, false},
		"the clock is set far back": {noon + hour, func(*calendar) {}, -30 * hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &calendar{until: test.until}
			s := New(c.identity).Site("a")
			v := s.Visitor(addr("192.0.2.1"), ua, noon)
			v.Saw("/")
			v.FetchedAhead("/next", 7)
			test.change(c)
			for at := noon + minute; test.kept && at < noon+test.after; at += hour {
				s.Visitor(addr("192.0.2.9"), ua, at) // a busy site
			}
			v = s.Visitor(addr("192.0.2.1"), ua, noon+test.after)
			if kept := v.FetchedPart(); kept != test.kept {
				t.Errorf("still known: %v, want %v", kept, test.kept)
			}
			if _, kept := v.Showed("/next"); kept && !test.kept {
				t.Error("the page fetched ahead is still known")
			}
		})
	}
}

func TestTheIdentityIsAskedForRarely(t *testing.T) {
	c := &calendar{until: noon + hour}
	s := New(c.identity).Site("a")
	for i := range int64(10_000) {
		s.Visitor(addr("192.0.2.1"), ua, noon+i*1000) // ten seconds
	}
	if c.asked > 3 {
		t.Errorf("asked %d times in ten seconds", c.asked)
	}
	c.none = true
	c.asked = 0
	for i := range int64(10_000) {
		s.Visitor(addr("192.0.2.1"), ua, noon+20*1_000_000+i*1000)
	}
	if c.asked > 3 {
		t.Errorf("asked %d times in ten seconds without an identity", c.asked)
	}
}

func TestAPageFetchedAhead(t *testing.T) {
	c := &calendar{until: noon + 10*hour}
	s := New(c.identity).Site("a")
	at := func(minutes int64) Visitor { return s.Visitor(addr("192.0.2.1"), ua, noon+minutes*minute) }
	other := s.Visitor(addr("192.0.2.2"), ua, noon)
	shows := func(v Visitor, target string, want uint64) {
		t.Helper()
		if id, ok := v.Showed(target); id != want || ok != (want != 0) {
			t.Errorf("%s: %d %v, want %d", target, id, ok, want)
		}
	}
	shows(at(0), "/a", 0)
	at(0).FetchedAhead("/a", 11)
	at(0).FetchedAhead("/b?x=1", 12)
	shows(other, "/a", 0) // of somebody else
	shows(at(1), "/b", 0)
	shows(at(1), "/b?x=1", 12)
	shows(at(1), "/b?x=1", 0) // once
	if at(1).FetchedPart() {
		t.Error("an activation proves by itself; evidence is not due any more")
	}
	at(2).FetchedAhead("/a", 13) // again: the later one is in the browser's memory
	shows(at(3), "/a", 13)

	at(4).FetchedAhead("/a", 14)
	at(5).Saw("/a") // asked for after all
	shows(at(6), "/a", 0)

	at(7).FetchedAhead("/late", 15)
	shows(at(7+PendingFor+1), "/late", 0)
	at(40).FetchedAhead("/just", 16)
	shows(at(40+PendingFor), "/just", 16)
}

// More visitors than there is room for cost the oldest their place, and no
// memory.
func TestFullTables(t *testing.T) {
	c := &calendar{until: noon + 20*hour}
	s := New(c.identity).Site("a")
	visitor := func(i int, at int64) Visitor { return s.Visitor(addr("192.0.2.1"), fmt.Sprint(ua, i), at) }
	const many = 4 * buckets * ways
	for i := range many {
		visitor(i, noon+int64(i)*1000).Saw("/") // nine minutes
	}
	recent := 0
	for i := many - 1000; i < many; i++ {
		if visitor(i, noon+10*minute).FetchedPart() {
			recent++
		}
	}
	if recent < 990 {
		t.Errorf("%d of the last 1000 visitors are known", recent)
	}
	for i := range 10 * pending {
		visitor(i, noon).FetchedAhead("/", uint64(i)+1)
	}
	kept := 0
	for i := range 10 * pending {
		if id, ok := visitor(i, noon).Showed("/"); ok {
			kept++
			if id != uint64(i)+1 {
				t.Fatalf("page %d has the view id of %d", i+1, id)
			}
		}
	}
	if kept > pending || kept < pending*9/10 {
		t.Errorf("%d pages wait in %d places", kept, pending)
	}
}

// A naive memory without bounds gives the same answers while all fit.
func TestAgainstANaiveMemory(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := &calendar{until: noon + 20*hour}
	s := New(c.identity).Site("a")
	type page struct {
		visitor int
		target  string
	}
	type waiting struct {
		id uint64
		at int64
	}
	seen, proved, pages := map[int]bool{}, map[int]bool{}, map[page]waiting{}
	for step := range 100_000 {
		now := noon + int64(step)*hour/10_000
		who, target := r.IntN(20), fmt.Sprint("/", r.IntN(3))
		v := s.Visitor(netip.AddrFrom4([4]byte{192, 0, byte(who >> 8), byte(who)}), ua, now)
		p := page{who, target}
		switch r.IntN(4) {
		case 0:
			v.Saw(target)
			seen[who] = true
			delete(pages, p)
		case 1:
			if got, want := v.FetchedPart(), seen[who] && !proved[who]; got != want {
				t.Fatalf("step %d: visitor %d proved %v, want %v", step, who, got, want)
			}
			proved[who] = proved[who] || seen[who]
		case 2:
			v.FetchedAhead(target, uint64(step)+1)
			pages[p] = waiting{uint64(step) + 1, now / minute}
		case 3:
			w, want := pages[p]
			want = want && now/minute-w.at <= PendingFor
			id, got := v.Showed(target)
			if got != want || got && id != w.id {
				t.Fatalf("step %d: page %v shown %v %d, want %v %d", step, p, got, id, want, w.id)
			}
			delete(pages, p)
			if want {
				seen[who], proved[who] = true, true
			}
		}
	}
}

// Of many requests at once, one proves, and one activates.
func TestOneOfManyAtOnce(t *testing.T) {
	c := &calendar{until: noon + hour}
	s := New(c.identity).Site("a")
	s.Visitor(addr("192.0.2.1"), ua, noon) // the calendar is not made for many
	for i := range 200 {
		v := s.Visitor(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), ua, noon)
		v.Saw("/")
		v.FetchedAhead("/next", 5)
		var proofs, activations atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if v.FetchedPart() {
					proofs.Add(1)
				}
			})
			all.Go(func() {
				if _, ok := v.Showed("/next"); ok {
					activations.Add(1)
				}
			})
		}
		all.Wait()
		if proofs.Load() > 1 || activations.Load() != 1 {
			t.Fatalf("%d proofs, %d activations", proofs.Load(), activations.Load())
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	c := &calendar{until: noon + hour}
	s := New(c.identity).Site("a")
	ip := addr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() {
		v := s.Visitor(ip, ua, noon)
		v.FetchedAhead("/page", 1)
		v.Showed("/page")
		v.Saw("/page")
		v.FetchedPart()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPartOfAProvedVisitor(b *testing.B) {
	c := &calendar{until: noon + hour}
	s := New(c.identity).Site("a")
	ip := addr("192.0.2.1")
	v := s.Visitor(ip, ua, noon)
	v.Saw("/")
	v.FetchedPart()
	b.ReportAllocs()
	for b.Loop() {
		v := s.Visitor(ip, ua, noon)
		v.Showed("/page")
		v.FetchedPart()
	}
}
