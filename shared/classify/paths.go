package classify

import (
	"fmt"
	"path"
	"strings"
)

// Paths are compiled patterns of paths, as a site's `exclude` has them.
type Paths []pathRule

type pathRule struct {
	kind pathKind
	text string // lower case, without the stars at its ends
}

type pathKind uint8

const (
	pathExact    pathKind = iota
	pathPrefix            // /admin/*
	pathSuffix            // *.json
	pathContains          // */internal/*
	pathGlob              // /a/*/b, as path.Match has it
)

// CompilePaths reads patterns, which follow Caddy's path matcher: the whole path
// in any case, with * at the start or end (or anywhere) for whatever is there.
func CompilePaths(patterns []string) (Paths, error) {
	rules := make(Paths, 0, len(patterns))
	for _, p := range patterns {
		if p == "" || (p[0] != '/' && p[0] != '*') {
			return nil, fmt.Errorf("%q: a path pattern begins with / or *", p)
		}
		p = strings.ToLower(p)
		inner := strings.TrimSuffix(strings.TrimPrefix(p, "*"), "*")
		rule := pathRule{text: inner}
		switch {
		case strings.ContainsAny(inner, "*?[\\"):
			if _, err := path.Match(p, "/"); err != nil {
				return nil, fmt.Errorf("%q: %w", p, err)
			}
			rule = pathRule{kind: pathGlob, text: p}
		case p == "*" || p[0] == '*' && p[len(p)-1] == '*':
			rule.kind = pathContains
		case p[0] == '*':
			rule.kind = pathSuffix
		case p[len(p)-1] == '*':
			rule.kind = pathPrefix
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// Match reports whether any pattern fits the decoded path. It allocates only
// for paths that are not clean or have capitals where patterns have globs.
func (rules Paths) Match(p string) bool {
	if len(rules) == 0 {
		return false
	}
	if strings.Contains(p, "//") || strings.Contains(p, "/.") {
		p = cleanPath(p) // //admin/x and /x/../admin/ are what they lead to
	}
	for i := range rules {
		if rules[i].match(p) {
			return true
		}
	}
	return false
}

func cleanPath(p string) string {
	cleaned := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && cleaned != "/" {
		cleaned += "/"
	}
	return cleaned
}

func (r *pathRule) match(p string) bool {
	n := len(r.text)
	switch r.kind {
	case pathExact:
		return len(p) == n && strings.EqualFold(p, r.text)
	case pathPrefix:
		return len(p) >= n && strings.EqualFold(p[:n], r.text)
	case pathSuffix:
		return len(p) >= n && strings.EqualFold(p[len(p)-n:], r.text)
	case pathContains:
		for i := 0; i+n <= len(p); i++ {
			if strings.EqualFold(p[i:i+n], r.text) {
				return true
			}
		}
		return false
	}
	ok, _ := path.Match(r.text, strings.ToLower(p)) // compiled: no error
	return ok
}
