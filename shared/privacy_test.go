package shared

import "testing"

func TestDeclines(t *testing.T) {
	strict := Presets["strict"]
	plain := &SiteConfig{}
	archived := &SiteConfig{Archived: true}
	refuses := &SiteConfig{Privacy: Privacy{DNT: SignalRefuse, GPC: SignalIgnore}}
	for _, c := range []struct {
		name      string
		site      *SiteConfig
		extra     *Privacy
		wishes    Wishes
		want      Result
		anonymous bool // if it is recorded
	}{
		{"nothing is known or asked", nil, nil, Wishes{}, "", false},
		{"DNT, unknown site", nil, nil, Wishes{DNT: true}, "", true},
		{"opt-out, unknown site", nil, nil, Wishes{OptOut: true}, ResultPrivacy, true},
		{"strict, unknown site", nil, &strict, Wishes{}, "", true},
		{"strict refuses, unknown site", nil, &strict, Wishes{GPC: true}, ResultPrivacy, true},
		{"GPC, default", plain, nil, Wishes{GPC: true}, "", true},
		{"opt-out, default", plain, nil, Wishes{OptOut: true}, ResultPrivacy, true},
		{"archived", archived, nil, Wishes{}, ResultExcluded, false},
		{"archived and opted out", archived, nil, Wishes{OptOut: true}, ResultExcluded, true},
		{"DNT refused", refuses, nil, Wishes{DNT: true}, ResultPrivacy, true},
		{"GPC ignored", refuses, nil, Wishes{GPC: true}, "", false},
		{"GPC ignored, but not by the proxy", refuses, &Privacy{}, Wishes{GPC: true}, "", true},
	} {
		if got := c.site.Declines(c.extra, c.wishes); got != c.want {
			t.Errorf("%s: declines %q, want %q", c.name, got, c.want)
		}
		if got := c.site.WithoutIdentity(c.extra, c.wishes); got != c.anonymous {
			t.Errorf("%s: without identity %v", c.name, got)
		}
	}
}

// The stricter of two is stricter than either, in both orders.
func TestStricterIsStricterThanEither(t *testing.T) {
	signals := []Signal{"", SignalIgnore, SignalNoIdentity, SignalRefuse, "unknown"}
	all := []Wishes{{}, {DNT: true}, {GPC: true}, {DNT: true, GPC: true}, {OptOut: true}}
	for _, a := range signals {
		for _, b := range signals {
			p, q := Privacy{DNT: a, GPC: b, NoScreen: true}, Privacy{DNT: b, GPC: a, HourTimes: true}
			for _, both := range []Privacy{p.Stricter(&q), q.Stricter(&p)} {
				if !both.NoScreen || !both.HourTimes {
					t.Errorf("%+v", both)
				}
				for _, w := range all {
					if (p.Refuses(w) || q.Refuses(w)) != both.Refuses(w) {
						t.Errorf("%q %q %+v: refuses %v", a, b, w, both.Refuses(w))
					}
					if (p.WithoutIdentity(w) || q.WithoutIdentity(w)) != both.WithoutIdentity(w) {
						t.Errorf("%q %q %+v: without identity %v", a, b, w, both.WithoutIdentity(w))
					}
				}
			}
		}
	}
	p := Privacy{CountryOnly: true}
	if got := p.Stricter(nil); !got.CountryOnly || got.NoScreen {
		t.Errorf("%+v", got)
	}
}
