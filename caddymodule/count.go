package caddymodule

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eider-analytics/eider/shared/classify"
)

// readCount reads the names and what they are switched to.
func readCount(count map[string]bool) (s classify.Switches, err error) {
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if err := s.Set(name, count[name]); err != nil {
			return 0, err
		}
	}
	return s, nil
}

// maxScriptPath bounds the path of the script; longer ones are mistakes.
const maxScriptPath = 100

// scriptPath says what is wrong with the path of the script and its endpoints.
func scriptPath(p string) error {
	if len(p) < 2 || len(p) > maxScriptPath || p[0] != '/' || path.Clean(p) != p || strings.ContainsAny(p, "*?#%{}\\ \t") {
		return fmt.Errorf("script %q: want a path like /e, without wildcard and slash at its end", p)
	}
	return nil
}
