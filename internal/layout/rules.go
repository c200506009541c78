package layout

import (
	"fmt"
	"strings"
)

// Rule forbids imports, and says why.
type Rule struct {
	Name string
	Why  string
	// From are the packages that the rule is about, as patterns below the
	// module. Each pattern must match a package: a rule about nothing holds
	// nothing.
	From []string
	// Except are packages of From that may.
	Except []string
	// Direct looks only at the package's own imports, its tests' included;
	// otherwise at everything that ends up in a program that imports it.
	Direct bool
	// Bad recognises what may not be imported.
	Bad func(*Package) bool
}

// Rules are the module's.
var Rules = []Rule{
	{
		Name: "the contract needs only the standard library",
		Why:  "every proxy plugin imports it; Yaegi interprets nothing but the standard library",
		From: []string{"shared"},
		Bad:  func(p *Package) bool { return !p.Standard },
	},
	{
		Name: "shared knows neither side",
		Why:  "edge and aggregator are built, deployed and updated apart; what both need must stand alone",
		From: []string{"shared/..."},
		Bad:  own("caddymodule/...", "aggregator/...", "cmd/...", "dashboard/..."),
	},
	{
		Name: "the Caddy module knows nothing of the aggregator",
		Why:  "they speak HTTP; a type shared by import would have to be the same version on both machines",
		From: []string{"caddymodule/...", "cmd/caddy"},
		Bad:  own("aggregator/...", "dashboard/...", "cmd/eider/..."),
	},
	{
		Name: "the aggregator knows nothing of Caddy",
		Why:  "other proxies send to it too, and Caddy's tree of dependencies is large",
		From: []string{"aggregator/...", "cmd/eider"},
		Bad:  either(own("caddymodule/..."), path("github.com/caddyserver")),
	},
	{
		Name: "no engine in a proxy",
		Why:  "a Caddy with the module must stay a small, static binary that anybody can build with xcaddy",
		From: []string{"caddymodule/...", "cmd/caddy", "cmd/eider-collector", "shared/..."},
		Bad: path("github.com/duckdb", "github.com/marcboeker/go-duckdb", "github.com/apache/arrow-go",
			"github.com/apache/arrow", "github.com/parquet-go"),
	},
	{
		Name: "no cgo in a proxy",
		Why:  "cgo needs a C compiler at xcaddy's side and the same libc at the target's",
		From: []string{"caddymodule/...", "cmd/caddy", "cmd/eider-collector", "shared/..."},
		Bad:  func(p *Package) bool { return !p.Standard && len(p.CgoFiles) > 0 },
	},
	{
		Name:   "Badger behind two doors",
		Why:    "its hazards (full disks, options that may never change, mapped writes) are handled in these two places and nowhere else",
		From:   []string{"..."},
		Except: []string{"shared/queue", "aggregator/state"},
		Direct: true,
		Bad:    path("github.com/dgraph-io/badger"),
	},
	{
		Name:   "DuckDB behind one door",
		Why:    "its locks on the outside (memory, threads, no external access, no extensions) are set in one place",
		From:   []string{"..."},
		Except: []string{"aggregator/duck"},
		Direct: true,
		Bad:    path("github.com/duckdb", "github.com/marcboeker/go-duckdb"),
	},
	{
		Name: "taking events in needs no DuckDB",
		Why:  "a collector is these packages without questions and without cgo; and an engine that fails must not stop the intake",
		From: []string{"aggregator/receive", "aggregator/spool", "aggregator/state", "aggregator/lake"},
		Bad:  either(path("github.com/duckdb"), own("aggregator/duck", "aggregator/stats", "aggregator/api")),
	},
}

// Check returns each way in which the rule is broken, and how many packages it
// was held against.
func (r *Rule) Check(g Graph) (broken []string, checked int) {
	for _, p := range g.Own(r.From...) {
		rel := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, Module), "/")
		if matches(rel, r.Except) {
			continue
		}
		checked++
		if !r.Direct {
			if way := g.Way(p.ImportPath, r.Bad, nil); way != nil {
				broken = append(broken, strings.Join(way, "\n    imports "))
			}
			continue
		}
		for _, list := range [][]string{p.Imports, p.TestImports, p.XTestImports} {
			for _, path := range list {
				imported := g[path]
				if imported == nil {
					imported = &Package{ImportPath: path} // of a test only
				}
				if r.Bad(imported) {
					broken = append(broken, fmt.Sprintf("%s\n    imports %s", p.ImportPath, path))
				}
			}
		}
	}
	return broken, checked
}

// own recognises packages of the module by pattern.
func own(patterns ...string) func(*Package) bool {
	return func(p *Package) bool {
		rel, ok := strings.CutPrefix(p.ImportPath, Module+"/")
		return ok && matches(rel, patterns)
	}
}

// path recognises packages by the beginning of their path, in whole elements.
func path(prefixes ...string) func(*Package) bool {
	return func(p *Package) bool {
		for _, prefix := range prefixes {
			if p.ImportPath == prefix || strings.HasPrefix(p.ImportPath, prefix+"/") {
				return true
			}
		}
		return false
	}
}

func either(a, b func(*Package) bool) func(*Package) bool {
	return func(p *Package) bool { return a(p) || b(p) }
}
