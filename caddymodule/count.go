package caddymodule

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/eider-analytics/eider/shared/classify"
)

// counted is what `count` has decided.
type counted struct {
	switches   classify.Switches
	noEvidence bool
}

// countEvidence is the name of the one switch that is ours: the rules do not
// know of it.
const countEvidence = "evidence"

// readCount reads the names and what they are switched to.
func readCount(count map[string]bool) (c counted, err error) {
	for _, name := range slices.Sorted(maps.Keys(count)) {
		on := count[name]
		if name == countEvidence {
			c.noEvidence = !on
			continue
		}
		if err := c.switches.Set(name, on); err != nil {
			return counted{}, fmt.Errorf("%w or %s", err, countEvidence)
		}
	}
	return c, nil
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
