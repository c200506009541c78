package shared

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// Wishes are what a request says about being measured.
type Wishes struct {
	DNT, GPC bool // its headers
	OptOut   bool // the cookie that nothing but an explicit opt-out sets
}

// OptOutCookie is the name of the cookie, with the value 1, of somebody who
// asked not to be recorded. It is never stored.
const OptOutCookie = "eider_optout"

// Refuses reports whether a request with these wishes is not recorded at all.
func (p *Privacy) Refuses(w Wishes) bool {
	return w.OptOut || w.DNT && p.DNT == SignalRefuse || w.GPC && p.GPC == SignalRefuse
}

// WithoutIdentity reports whether a request with these wishes is counted
// without a visitor. A signal of a name that is not known counts as the
// default.
func (p *Privacy) WithoutIdentity(w Wishes) bool {
	return p.NoVisitorID || w.OptOut || w.DNT && p.DNT != SignalIgnore || w.GPC && p.GPC != SignalIgnore
}

// Declines says why a request to a site is not recorded, or "" if it is:
// [ResultExcluded] of a site that takes no events any more, [ResultPrivacy]
// where a wish is one to refuse. s is nil for a site that is not known; extra
// is what the proxy's own configuration asks for, or nil.
func (s *SiteConfig) Declines(extra *Privacy, w Wishes) Result {
	if s != nil && s.Archived {
		return ResultExcluded
	}
	if w == (Wishes{}) {
		return ""
	}
	if extra != nil && extra.Refuses(w) || s != nil && s.Privacy.Refuses(w) || w.OptOut {
		return ResultPrivacy
	}
	return ""
}

// WithoutIdentity reports whether a request to a site is counted without a
// visitor, if it is; s and extra are as for [SiteConfig.Declines].
func (s *SiteConfig) WithoutIdentity(extra *Privacy, w Wishes) bool {
	var unset Privacy
	own := &unset
	if s != nil {
		own = &s.Privacy
	}
	return own.WithoutIdentity(w) || extra != nil && extra.WithoutIdentity(w)
}

// Stricter returns what satisfies both p and q, if q is there: every option
// that either sets, the stronger effect of each signal, the patterns of both,
// and ids of the site's own only where both allow them. Query keys are p's.
func (p Privacy) Stricter(q *Privacy) Privacy {
	if q == nil {
		return p
	}
	p.NoVisitorID = p.NoVisitorID || q.NoVisitorID
	p.CountryOnly = p.CountryOnly || q.CountryOnly
	p.HourTimes = p.HourTimes || q.HourTimes
	p.NoVersions = p.NoVersions || q.NoVersions
	p.NoScreen = p.NoScreen || q.NoScreen
	p.ReferrerHostOnly = p.ReferrerHostOnly || q.ReferrerHostOnly
	p.DNT = p.DNT.stronger(q.DNT)
	p.GPC = p.GPC.stronger(q.GPC)
	p.DistinctIDs = p.DistinctIDs && q.DistinctIDs
	p.Redact = slices.Concat(p.Redact, q.Redact)
	return p
}

func (s Signal) stronger(t Signal) Signal {
	if t.strength() > s.strength() {
		return t
	}
	return s
}

func (s Signal) strength() int {
	switch s {
	case SignalIgnore:
		return 0
	case SignalRefuse:
		return 2
	}
	return 1
}

// Check says what is wrong with a site's options, for whoever sets them.
func (p *Privacy) Check() error {
	for name, s := range map[string]Signal{"dnt": p.DNT, "gpc": p.GPC} {
		switch s {
		case "", SignalIgnore, SignalNoIdentity, SignalRefuse:
		default:
			return fmt.Errorf("%s: %q is none of ignore, no_identity and refuse", name, Cut(string(s), MaxShort))
		}
	}
	if len(p.QueryKeys) > MaxQueryKeys {
		return fmt.Errorf("query_keys: %d keys, at most %d", len(p.QueryKeys), MaxQueryKeys)
	}
	for _, k := range p.QueryKeys {
		if !PlainQueryKey(k) {
			return fmt.Errorf("query_keys: %q: a key has 1 to %d letters, digits, dots, - and _", Cut(k, MaxShort), MaxQueryKey)
		}
	}
	if len(p.Redact) > MaxRedact {
		return fmt.Errorf("redact: %d patterns, at most %d", len(p.Redact), MaxRedact)
	}
	for i, pattern := range p.Redact {
		if _, err := CompileRedaction(pattern); err != nil {
			return fmt.Errorf("redact: pattern %d: %w", i+1, err)
		}
	}
	return nil
}

// PlainQueryKey reports whether a key can be one of a site's own: what needs no
// encoding, so that it can carry no text in its name.
func PlainQueryKey(key string) bool {
	if key == "" || len(key) > MaxQueryKey {
		return false
	}
	return strings.IndexFunc(key, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_')
	}) < 0
}

// Redacted stands for what a pattern of [Privacy.Redact] found.
const Redacted = "[redacted]"

// CompileRedaction compiles one pattern of [Privacy.Redact], within bounds:
// counted repetitions can make a program of any size out of a short text.
func CompileRedaction(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, fmt.Errorf("an empty pattern matches everywhere and removes nothing")
	}
	if len(pattern) > MaxRedactPattern {
		return nil, fmt.Errorf("%d bytes, at most %d", len(pattern), MaxRedactPattern)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > MaxRedactSize {
		return nil, fmt.Errorf("repeats too much: compiled it has %d steps, at most %d", len(program.Inst), MaxRedactSize)
	}
	return regexp.Compile(pattern)
}
