package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Module is the import path that all packages of this repository begin with.
const Module = "github.com/eider-analytics/eider"

// Package is what the rules need to know of a package.
type Package struct {
	ImportPath   string
	Standard     bool // of the standard library
	Imports      []string
	TestImports  []string
	XTestImports []string
	CgoFiles     []string
}

// Graph is every package of the module and all that they import, by path.
type Graph map[string]*Package

// Load asks the go command for the packages of the module that root is in,
// under the build tags. Packages that do not compile at the moment are there
// with what could be read of them.
func Load(root, tags string) (Graph, error) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-tags", tags,
		"-json=ImportPath,Standard,Imports,TestImports,XTestImports,CgoFiles", "./...")
	cmd.Dir = root
	// A file with `import "C"` is only listed as such where cgo is on.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, problems.String())
	}
	g := Graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return g, nil
		case err != nil:
			return nil, fmt.Errorf("read go list: %w", err)
		}
		g[p.ImportPath] = &p
	}
}

// Own returns the module's packages, sorted, that match one of the patterns: a
// path below the module, or a path and everything below it ("shared/...").
func (g Graph) Own(patterns ...string) []*Package {
	var own []*Package
	for path, p := range g {
		rel, ok := strings.CutPrefix(path, Module)
		if ok && matches(strings.TrimPrefix(rel, "/"), patterns) {
			own = append(own, p)
		}
	}
	slices.SortFunc(own, func(a, b *Package) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	return own
}

func matches(path string, patterns []string) bool {
	for _, p := range patterns {
		if base, ok := strings.CutSuffix(p, "..."); ok {
			base = strings.TrimSuffix(base, "/")
			if base == "" || path == base || strings.HasPrefix(path, base+"/") {
				return true
			}
		} else if path == p {
			return true
		}
	}
	return false
}

// Way returns how from reaches the first package that bad accepts, as a chain
// of imports, or nil. It does not look behind what stop accepts.
func (g Graph) Way(from string, bad, stop func(*Package) bool) []string {
	parent := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		p := g[queue[0]]
		if p == nil {
			continue // "C", "unsafe"
		}
		if p.ImportPath != from && bad(p) {
			var way []string
			for at := p.ImportPath; at != ""; at = parent[at] {
				way = append(way, at)
			}
			slices.Reverse(way)
			return way
		}
		if stop != nil && stop(p) {
			continue
		}
		for _, next := range p.Imports {
			if _, seen := parent[next]; !seen {
				parent[next] = p.ImportPath
				queue = append(queue, next)
			}
		}
	}
	return nil
}
