package enrich

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/registry"
)

// calendar is the aggregator's part: salts by their times.
type calendar []shared.Salt

func (c calendar) Salt(site string, at int64) (shared.Salt, bool) {
	for _, s := range c {
		if s.Site == site && at >= s.From && at < s.Until {
			return s, true
		}
	}
	return shared.Salt{}, false
}

// expected is the identity as the documents define it, with an IPv4 address.
func expected(salt shared.Salt, addr [4]byte, ua string) uint64 {
	mac := hmac.New(sha256.New, salt.Key[:])
	mac.Write([]byte(salt.Site + "\x00\x04" + string(addr[:]) + "\x00\x00\x00\x00" + ua))
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// ask returns the identities of a request.
func ask(k *keyring, addr, ua string, at int64) shared.Event {
	var e shared.Event
	a, _ := netip.ParseAddr(addr)
	k.visitor(&e, a, ua, at, true)
	return e
}

func TestVisitorIsTheKeyedHash(t *testing.T) {
	salt := shared.Salt{Site: "shop", Key: [32]byte{1, 2, 3}, From: 10, Until: 20, Identity: shared.IdentityMonth}
	k := &keyring{salts: calendar{salt}, site: "shop"}
	e := ask(k, "203.0.113.9", "agent", 12)
	if want := expected(salt, [4]byte{203, 0, 113, 9}, "agent"); e.VisitorID != want || e.Identity != "month" || e.PrevVisitorID != 0 {
		t.Errorf("%x %x %q, want %x", e.VisitorID, e.PrevVisitorID, e.Identity, want)
	}
	if e := ask(k, "", "agent", 12); e.VisitorID != 0 || e.Identity != "" {
		t.Error("a visitor without an address")
	}
	if e := ask(k, "203.0.113.9", "agent", 20); e.VisitorID != 0 || e.Identity != "" {
		t.Error("a visitor without a salt")
	}
}

// For two hours after midnight the identity of the day before goes with each
// event, and not a microsecond longer.
func TestTheIdentityBeforeARotation(t *testing.T) {
	const day = 24 * 3600 * 1_000_000
	first := shared.Salt{Site: "shop", Key: [32]byte{1}, From: 0, Until: day, Identity: shared.IdentityDay}
	second := shared.Salt{Site: "shop", Key: [32]byte{2}, From: day, Until: 2 * day, Identity: shared.IdentityDay}
	third := shared.Salt{Site: "shop", Key: [32]byte{3}, From: 2 * day, Until: 3 * day, Identity: shared.IdentityDay}
	addr := [4]byte{203, 0, 113, 9}
	k := &keyring{salts: calendar{first, second, third}, site: "shop"}
	for _, c := range []struct {
		at       int64
		id, prev shared.Salt
	}{
		{day - 1, first, shared.Salt{}},
		{day, second, first},
		{day + shared.PrevIdentityFor - 1, second, first},
		{day + shared.PrevIdentityFor, second, shared.Salt{}},
		{2*day + 1, third, second},
		{1, first, shared.Salt{}}, // late, and nothing is known of the time before
		{2*day - 1, second, shared.Salt{}},
	} {
		e := ask(k, "203.0.113.9", "ua", c.at)
		want := shared.Event{VisitorID: expected(c.id, addr, "ua"), Identity: "day"}
		if c.prev.Site != "" {
			want.PrevVisitorID = expected(c.prev, addr, "ua")
		}
		if d := diff(e, want); d != "" {
			t.Errorf("at %d:\n%s", c.at, d)
		}
	}
}

// The aggregator's salt is taken as soon as it is there, and never without need
// exchanged for a local one.
func TestALocalSaltIsForWhoHasNoOther(t *testing.T) {
	const hour = 3600 * 1_000_000
	midnight := noon - 12*hour
	known := shared.Salt{Site: "shop", Key: [32]byte{7}, From: midnight, Until: midnight + 24*hour, Identity: shared.IdentityDay}
	have := calendar{}
	k := &keyring{salts: &have, local: NewLocalSalts(time.UTC), site: "shop"}
	first := ask(k, "192.0.2.1", "ua", noon)
	if first.VisitorID == 0 || first.Identity != "day+local" {
		t.Fatalf("%+v", first)
	}
	have = calendar{known}
	if e := ask(k, "192.0.2.1", "ua", noon); e.VisitorID != expected(known, [4]byte{192, 0, 2, 1}, "ua") || e.Identity != "day" {
		t.Error("the aggregator's salt is not used")
	}
	next := ask(k, "192.0.2.1", "ua", midnight+24*hour)
	if next.Identity != "day+local" || next.PrevVisitorID != expected(known, [4]byte{192, 0, 2, 1}, "ua") {
		t.Errorf("after the last known salt: %+v", next)
	}
	later := ask(k, "192.0.2.1", "ua", midnight+48*hour)
	if later.PrevVisitorID != next.VisitorID || later.VisitorID == next.VisitorID {
		t.Error("a local salt does not carry a visit over midnight")
	}
	var e shared.Event
	k.visitor(&e, netip.MustParseAddr("192.0.2.1"), "ua", midnight-hour, false)
	if e.VisitorID != 0 || e.Identity != "" {
		t.Error("a local identity in somebody else's past")
	}
}

func TestWhatMakesAVisitor(t *testing.T) {
	local := NewLocalSalts(time.UTC)
	id := func(site, addr, ua string, at time.Time) uint64 {
		e := ask(&keyring{salts: nothing{}, local: local, site: site}, addr, ua, at.UnixMicro())
		if e.Identity != "day+local" {
			t.Errorf("identity %q", e.Identity)
		}
		return e.VisitorID
	}
	morning := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	base := id("example.com", "2001:db8:1:2::1", "ua", morning)
	for _, c := range []struct {
		what string
		same bool
		got  uint64
	}{
		{"later that day", true, id("example.com", "2001:db8:1:2::1", "ua", morning.Add(24*time.Hour-1000))},
		{"another address of the same /64", true, id("example.com", "2001:db8:1:2:3:4:5:6", "ua", morning)},
		{"with a zone", true, id("example.com", "2001:db8:1:2::1%eth0", "ua", morning)},
		{"another /64", false, id("example.com", "2001:db8:1:3::1", "ua", morning)},
		{"another site", false, id("example.org", "2001:db8:1:2::1", "ua", morning)},
		{"another browser", false, id("example.com", "2001:db8:1:2::1", "ub", morning)},
		{"the next day", false, id("example.com", "2001:db8:1:2::1", "ua", morning.Add(24*time.Hour))},
	} {
		if (c.got == base) != c.same {
			t.Errorf("%s: same %v, want %v", c.what, c.got == base, c.same)
		}
	}
	if id("example.com", "192.0.2.1", "ua", morning) != id("example.com", "::ffff:192.0.2.1", "ua", morning) {
		t.Error("IPv4 in IPv6 is another visitor")
	}
	if base != id("example.com", "2001:db8:1:2::1", "ua", morning) {
		t.Error("the day before is forgotten at midnight")
	}
	local = NewLocalSalts(time.UTC)
	if id("example.com", "2001:db8:1:2::1", "ua", morning) == base {
		t.Error("two processes share a salt")
	}
}

// What is not used is let go of within two hours, with every key in it; what is
// used stays the same.
func TestUnusedKeysAreLetGoOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, holder, _ := known(t, shared.Privacy{}, "UTC")
		state := stateWith(shared.Privacy{}, "UTC")
		now := time.Now()
		state.Salts = []shared.Salt{
			{Site: "shop", Key: [32]byte{1}, From: now.Add(-24 * time.Hour).UnixMicro(), Until: now.Add(time.Hour).UnixMicro(), Identity: "month"},
			{Site: "shop", Key: [32]byte{2}, From: now.Add(time.Hour).UnixMicro(), Until: now.Add(900 * time.Hour).UnixMicro(), Identity: "month"},
		}
		holder.Store(registry.NewView(state))
		ask := func(site string) shared.Event {
			o := full()
			o.Site, o.Time = site, time.Now().UnixMicro()
			var dst shared.Event
			e.Enrich(&o, &dst)
			return dst
		}
		keys := func() (n int) {
			e.policies.mu.Lock()
			defer e.policies.mu.Unlock()
			for _, p := range e.policies.all {
				for i := range p.visitors.keyed {
					if p.visitors.keyed[i].mac != nil {
						n++
					}
				}
			}
			return n
		}
		ask("other.example")
		ask("shop")
		time.Sleep(time.Hour + time.Minute)
		first := ask("shop")
		if first.PrevVisitorID == 0 || keys() != 2 {
			t.Fatalf("%+v, %d keys", first, keys())
		}
		for range 5 {
			time.Sleep(time.Hour)
			ask("shop")
		}
		if n := keys(); n != 1 || len(e.policies.all) != 1 {
			t.Errorf("%d keys of %d sites are kept", n, len(e.policies.all))
		}
		if again := ask("shop"); again.VisitorID != first.VisitorID || again.PrevVisitorID != 0 {
			t.Error("a visitor changed")
		}
		time.Sleep(3 * time.Hour)
		if n := keys(); n != 0 || len(e.policies.all) != 0 {
			t.Errorf("%d keys of %d sites without visitors", n, len(e.policies.all))
		}
	})
}

func TestLocalSaltsEnd(t *testing.T) {
	l := NewLocalSalts(time.UTC)
	first, _ := l.Salt("a", noon)
	l.forget(first.Until + keptFor)
	if again, _ := l.Salt("a", noon); again != first {
		t.Error("forgotten too early")
	}
	l.forget(first.Until + keptFor + 1)
	if again, _ := l.Salt("a", noon); again == first {
		t.Error("a salt outlives its day by more than 48 hours")
	}
}

func TestLocalDays(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zone database: ", err)
	}
	l := NewLocalSalts(berlin)
	at := func(s string) shared.Salt {
		tm, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		salt, ok := l.Salt("example.com", tm.UnixMicro())
		if !ok {
			t.Fatal("no salt")
		}
		return salt
	}
	long := at("2026-10-25 12:00") // 25 hours
	if h := time.Duration(long.Until-long.From) * time.Microsecond; h != 25*time.Hour {
		t.Errorf("the day on which summer time ends has %s", h)
	}
	if at("2026-10-25 23:59") != long || at("2026-10-26 00:00") == long {
		t.Error("the day does not end at local midnight")
	}
	at("2026-10-27 00:00") // the third day: the first one's key is gone
	if at("2026-10-25 12:00") == long {
		t.Error("a key outlives its day by more than one")
	}
}

func TestManySitesNeitherGrowNorChange(t *testing.T) {
	e := newEnricher(t)
	visitor := func(site string) uint64 {
		o := shared.Observation{Site: site, ClientIP: netip.MustParseAddr("192.0.2.1"), UserAgent: "ua", Time: noon}
		var dst shared.Event
		e.Enrich(&o, &dst)
		return dst.VisitorID
	}
	first := visitor("first.example")
	for i := range 3 * maxPolicies {
		visitor("s" + time.Duration(i).String())
	}
	if n := len(e.policies.all); n > maxPolicies {
		t.Errorf("%d sites are kept", n)
	}
	if visitor("first.example") != first {
		t.Error("a visitor changed because other sites came")
	}
}
