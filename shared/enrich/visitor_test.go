package enrich

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// oneSalt is the aggregator's part: a fixed key.
type oneSalt struct{ key [32]byte }

func (s oneSalt) Salt(_ string, at int64) (Salt, bool) {
	return Salt{Key: s.key, From: at, Until: at + 1, Identity: "day"}, at > 0
}

func TestVisitorIsTheKeyedHash(t *testing.T) {
	s := oneSalt{key: [32]byte{1, 2, 3}}
	h := newHashers(s)
	got, identity := h.visitor("example.com", netip.MustParseAddr("203.0.113.9"), "agent", 7)
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte("example.com\x00\x04\xcb\x00\x71\x09\x00\x00\x00\x00agent"))
	if want := binary.BigEndian.Uint64(mac.Sum(nil)); got != want || identity != "day" {
		t.Errorf("%x %q, want %x", got, identity, want)
	}
	if id, identity := h.visitor("example.com", netip.Addr{}, "agent", 7); id != 0 || identity != "" {
		t.Error("a visitor without an address")
	}
	if id, _ := h.visitor("example.com", netip.MustParseAddr("203.0.113.9"), "agent", 0); id != 0 {
		t.Error("a visitor without a salt")
	}
}

func TestWhatMakesAVisitor(t *testing.T) {
	h := newHashers(NewLocalSalts(time.UTC))
	id := func(site, addr, ua string, at time.Time) uint64 {
		v, identity := h.visitor(site, netip.MustParseAddr(addr), ua, at.UnixMicro())
		if identity != "day+local" {
			t.Errorf("identity %q", identity)
		}
		return v
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
	if other := newHashers(NewLocalSalts(time.UTC)); func() uint64 {
		v, _ := other.visitor("example.com", netip.MustParseAddr("2001:db8:1:2::1"), "ua", morning.UnixMicro())
		return v
	}() == base {
		t.Error("two processes share a salt")
	}
}

func TestLocalDays(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zone database: ", err)
	}
	l := NewLocalSalts(berlin)
	at := func(s string) Salt {
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
	h := newHashers(NewLocalSalts(time.UTC))
	addr := netip.MustParseAddr("192.0.2.1")
	first, _ := h.visitor("first.example", addr, "ua", noon)
	for i := range 3 * maxHashers {
		h.visitor("s"+string(rune('a'+i%26))+time.Duration(i).String(), addr, "ua", noon)
	}
	if len(h.bySite) > maxHashers {
		t.Errorf("%d sites are kept", len(h.bySite))
	}
	if again, _ := h.visitor("first.example", addr, "ua", noon); again != first {
		t.Error("a visitor changed because other sites came")
	}
}
