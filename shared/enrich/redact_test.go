package enrich

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

func TestRedaction(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"/", "/"},
		{"/blog/how-we-made-the-dashboard-fast-in-2026", "/blog/how-we-made-the-dashboard-fast-in-2026"},
		{"/2026/11/22/a-very-long-title-of-a-post-about-nothing-in-particular.html", "/2026/11/22/a-very-long-title-of-a-post-about-nothing-in-particular.html"},
		{"/p/iphone15-pro-max-256gb-vs-galaxy-s24-ultra-512gb", "/p/iphone15-pro-max-256gb-vs-galaxy-s24-ultra-512gb"},
		{"/wiki/InternationalConferenceOnMachineLearning2026", "/wiki/InternationalConferenceOnMachineLearning2026"},
		{"/presentations/logstash-monitorama-2013/images/kibana-dashboard3.png", "/presentations/logstash-monitorama-2013/images/kibana-dashboard3.png"},
		{"/watch/dQw4w9WgXcQ", "/watch/dQw4w9WgXcQ"},
		{"/posts/507f1f77bcf86cd799439011", "/posts/507f1f77bcf86cd799439011"}, // a database's id, the page's name
		{"/@angular/core@17.3.0/x", "/@angular/core@17.3.0/x"},
		{"/@user", "/@user"},
		{"/wiki/What?", "/wiki/What?"},
		{"/wiki/What?#a=", "/wiki/What"},
		{"/rock&roll=life;v=1", "/rock&roll=life;v=1"},
		{"/100%/a=b", "/100%/a=b"},
		{"/cars;color=red;doors=4/2019", "/cars;color=red;doors=4/2019"},
		{"/a;session/b;=", "/a;session/b;="}, // no value

		{"/cart;jsessionid=node01abc.w1", "/cart"},
		{"/cart;JSESSIONID=1A2B;v=2/pay;PhpSessId=x;sid=/done", "/cart;v=2/pay/done"},
		{"/api;v=1;access_token=a=b", "/api;v=1"},
		{";sid=1", ""},

		{"/reset?token=SECRET", "/reset"}, // decoded from %3F
		{"/reset?x&token[a]=SECRET", "/reset"},
		{"/reset%3ftoken%3DSECRET", "/reset"}, // encoded twice
		{"/app#access_token=SECRET", "/app"},

		{"/u/joe.bloggs+tag@example.co.uk/settings", "/u/[email]/settings"},
		{"/u/joe%40example.org.", "/u/[email]."},
		{"/a@example.org,b@example.org", "/[email],[email]"},
		{"/u/jürgen@bücher.example", "/u/[email]"},
		{"/reset/8f14e45fceea167a5a36dedd4bea2543", "/reset/[token]"},
		{"/reset/550e8400-e29b-41d4-a716-446655440000/go", "/reset/[token]/go"},
		{"/invite/pX27zsMN2ViQKta1bGfLmVJE", "/invite/[token]"},
		{"/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", "/t/[token].[token].[token]"},
	} {
		if got := redactPath(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestLongTextsCostNoMoreThanTheyAreLong(t *testing.T) {
	for _, part := range []string{"%40", "@", "a@", "a@b.", "9f", "aB3", "-", "é", "?", "?a", "%3f", "&a.", "a=", ";", ";sid="} {
		text := strings.Repeat(part, 1<<20/len(part))
		start := time.Now()
		redactEmails(text)
		redactTokens(text)
		cutQuery(text, "?#&;")
		dropSessions(text)
		// A quadratic walk over a MiB takes minutes.
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%q repeated took %s", part, d)
		}
	}
	long := "/" + strings.Repeat("a/", shared.MaxPath) + "joe@example.org"
	if got := redactPath(long); len(got) > maxRawPath || strings.Contains(got, "joe") {
		t.Errorf("%d bytes are left: …%s", len(got), got[len(got)-20:])
	}
}

// How many of truly random tokens are recognised: the promise is "nearly all",
// and this says what that means.
func TestRandomTokensAreRecognised(t *testing.T) {
	const n = 5000
	for _, c := range []struct {
		what  string
		bytes int
		make  func([]byte) string
		least float64
	}{
		{"16 bytes in hexadecimal", 16, hex.EncodeToString, 0.99},
		{"32 bytes in hexadecimal", 32, hex.EncodeToString, 0.999},
		{"15 bytes in base64", 15, base64.RawURLEncoding.EncodeToString, 0.90},
		{"32 bytes in base64", 32, base64.RawURLEncoding.EncodeToString, 0.995},
		{"20 bytes in base32", 20, base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString, 0.90},
	} {
		found := 0
		b := make([]byte, c.bytes)
		for range n {
			_, _ = rand.Read(b)
			if token := c.make(b); strings.Contains(redactPath("/x/"+token), redactedToken) {
				found++
			}
		}
		if share := float64(found) / n; share < c.least {
			t.Errorf("%s: %.4f recognised, want %.4f", c.what, share, c.least)
		}
	}
}
