package beacon

import (
	"net/http/httptest"
	"testing"
)

func TestClientAddress(t *testing.T) {
	p, err := ParseProxies([]string{"127.0.0.1", "10.0.0.0/8", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		peer string
		xff  []string
		want string
	}{
		{"192.0.2.1:5000", nil, "192.0.2.1"},
		{"192.0.2.1:5000", []string{"198.51.100.7"}, "192.0.2.1"},
		{"127.0.0.1:5000", []string{"198.51.100.7"}, "198.51.100.7"},
		{"[::1]:5000", []string{"6.6.6.6, 198.51.100.7, 10.1.1.1"}, "198.51.100.7"},
		{"127.0.0.1:5000", []string{"6.6.6.6, 198.51.100.7", "10.1.1.1 , 10.2.2.2"}, "198.51.100.7"},
		{"127.0.0.1:5000", []string{"10.9.9.9"}, "10.9.9.9"},
		{"127.0.0.1:5000", []string{"198.51.100.7, nonsense"}, "127.0.0.1"},
		{"127.0.0.1:5000", []string{"198.51.100.7, nonsense, 10.1.1.1"}, "10.1.1.1"},
		{"127.0.0.1:5000", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{"127.0.0.1:5000", nil, "127.0.0.1"},
		{"[::ffff:127.0.0.1]:5000", []string{"198.51.100.7:80"}, "198.51.100.7"},
		{"@", []string{"198.51.100.7"}, "198.51.100.7"},
		{"@", nil, "invalid IP"},
		{"nonsense", []string{"198.51.100.7"}, "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-For"] = c.xff
		if got := p.ClientIP(r).String(); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.peer, c.xff, got, c.want)
		}
	}
	for _, bad := range []string{"", "10.0.0.0/40", "host.example", "fe80::1%eth0"} {
		if _, err := ParseProxies([]string{bad}); err == nil {
			t.Errorf("%q is a network", bad)
		}
	}
	p, _ = ParseProxies(nil)
	r := httptest.NewRequest("GET", "/", nil)
	for peer, want := range map[string]bool{"127.3.4.5:1": true, "[::1]:1": true, "10.0.0.1:1": false, "@": true} {
		if r.RemoteAddr = peer; p.Trusted(r) != want {
			t.Errorf("%s: trusted %v", peer, !want)
		}
	}
}
