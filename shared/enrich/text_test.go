package enrich

import "testing"

func TestHostnames(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM": "example.com", "www.example.com:443": "example.com", "example.com.": "example.com", "www.example.com.:80": "example.com",
		"[2001:DB8::1]:443": "2001:db8::1", "[::1]": "::1", "2001:db8::1": "2001:db8::1", "localhost:8080": "localhost", "www.com": "www.com", "": "", "[": "[", ":": "",
	} {
		if got := hostname(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLanguages(t *testing.T) {
	for in, want := range map[string]string{
		"de-DE,de;q=0.9": "de-DE", "en": "en", "EN_us;q=0.5": "en-US", "zh-hant-tw": "zh-Hant-TW", "sr-latn": "sr-Latn", "*": "", "": "",
		" fr , en": "fr", "x": "", "e1": "", "de--DE": "", "abcdefghi": "", "es-419": "es-419", "deutsch": "", "en-US\x00": "",
	} {
		if got := language(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestCacheStatuses(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "HIT": "hit", "Hit from cloudfront": "hit", "MISS from a, HIT from b": "hit", "ExampleCache; hit; ttl=30": "hit",
		"Caddy; fwd=uri-miss; stored": "miss", "X; fwd=request": "miss", "X; fwd=bypass": "bypass", "RefreshHit": "", "TCP_MISS": "miss", "white": "", "missing": "", "STALE": "stale",
	} {
		if got := cacheStatus(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
