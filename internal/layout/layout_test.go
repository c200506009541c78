package layout

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the repository's.
const root = "../.."

// folders at the top, and what each is for. A new one is a decision.
var folders = map[string]string{
	"caddymodule": "the Caddy app and handler",
	"shared":      "the contract between edge and aggregator, and what both are made of",
	"aggregator":  "everything behind the wire",
	"dashboard":   "the single-page application and its embedding",
	"cmd":         "the three programs, and what their command lines share",
	"examples":    "each one runs in a test",
	"docs":        "formats, decisions, operation, privacy",
	"bench":       "benchmarks and crash tests of whole processes",
	"internal":    "what several tests and tools need and nobody may import: starting processes, these rules",
	"tools":       "programs that build and check the repository",
}

// made by builds and runs, and ignored by git.
var generated = []string{"bin", "data", "node_modules"}

func TestFolders(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !e.IsDir() || strings.HasPrefix(name, ".") || slices.Contains(generated, name) {
			continue
		}
		if _, ok := folders[name]; !ok {
			t.Errorf("folder %s is not one of %v", name, slices.Sorted(maps.Keys(folders)))
		}
	}
	for name := range folders {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("folder %s: %v", name, err)
		}
	}
}

// watch looks at every Go file, so that `go test` does not answer from its
// cache after one has changed: it cannot know what the go command reads.
func watch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || slices.Contains(generated, d.Name())):
			return filepath.SkipDir
		case filepath.Ext(path) == ".go":
			_, err = os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				err = nil // removed while we looked
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImportRules(t *testing.T) {
	watch(t)
	for _, tags := range []string{"", "failpoint"} {
		g, err := Load(root, tags)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range Rules {
			t.Run(r.Name+"/tags="+tags, func(t *testing.T) {
				for _, pattern := range slices.Concat(r.From, r.Except) {
					if len(g.Own(pattern)) == 0 {
						t.Errorf("no package matches %q: was it renamed?", pattern)
					}
				}
				broken, checked := r.Check(g)
				for _, way := range broken {
					t.Errorf("%s\n  because %s:\n    %s", r.Name, r.Why, way)
				}
				t.Logf("%d packages", checked)
			})
		}
	}
}

// The rules are of no use if they cannot be broken.
func TestABrokenRuleIsSeen(t *testing.T) {
	rule := func(name string) *Rule {
		for i := range Rules {
			if Rules[i].Name == name {
				return &Rules[i]
			}
		}
		t.Fatalf("no rule %q", name)
		return nil
	}
	graph := func(packages ...Package) Graph {
		g := Graph{}
		for _, p := range packages {
			g[p.ImportPath] = &p
		}
		return g
	}
	at := func(rel string, imports ...string) Package {
		return Package{ImportPath: Module + "/" + rel, Imports: imports}
	}
	cgo := Package{ImportPath: "example.net/c", CgoFiles: []string{"c.go"}}
	libc := Package{ImportPath: "net", Standard: true, CgoFiles: []string{"cgo.go"}}
	badger := Package{ImportPath: "github.com/dgraph-io/badger/v4"}
	duck := Package{ImportPath: "github.com/duckdb/duckdb-go/v2"}
	for _, c := range []struct {
		rule   string
		g      Graph
		broken bool
	}{
		{"the contract needs only the standard library", graph(at("shared", "net"), libc), false},
		{"the contract needs only the standard library", graph(at("shared", cgo.ImportPath), cgo), true},
		{"shared knows neither side", graph(at("shared/ship", Module+"/shared"), at("shared", Module+"/aggregator/state"), at("aggregator/state")), true},
		{"the Caddy module knows nothing of the aggregator", graph(at("caddymodule", Module+"/shared"), at("shared")), false},
		{"the Caddy module knows nothing of the aggregator", graph(at("cmd/caddy", Module+"/caddymodule"), at("caddymodule", Module+"/aggregator"), at("aggregator")), true},
		{"no cgo in a proxy", graph(at("caddymodule", "net"), libc), false},
		{"no cgo in a proxy", graph(at("caddymodule", "example.net/b"), Package{ImportPath: "example.net/b", Imports: []string{cgo.ImportPath}}, cgo), true},
		{"no engine in a proxy", graph(at("shared/enrich", duck.ImportPath), duck), true},
		{"no engine in a proxy", graph(at("shared/enrich", "github.com/duckdbish/x"), Package{ImportPath: "github.com/duckdbish/x"}), false},
		{"Badger behind two doors", graph(at("shared/queue", badger.ImportPath), badger), false},
		{"Badger behind two doors", graph(at("shared/ship", Module+"/shared/queue"), at("shared/queue", badger.ImportPath), badger), false},
		{"Badger behind two doors", graph(at("aggregator/spool", badger.ImportPath), badger), true},
		{"Badger behind two doors", graph(Package{ImportPath: Module + "/shared/ship", XTestImports: []string{badger.ImportPath}}), true},
		{"DuckDB behind one door", graph(at("aggregator/stats", Module+"/aggregator/duck"), at("aggregator/duck", duck.ImportPath), duck), false},
		{"DuckDB behind one door", graph(at("aggregator/stats", duck.ImportPath), duck), true},
		{"taking events in needs no DuckDB", graph(at("aggregator/lake", Module+"/aggregator/duck"), at("aggregator/duck", duck.ImportPath), duck), true},
	} {
		broken, checked := rule(c.rule).Check(c.g)
		if (len(broken) > 0) != c.broken || checked == 0 && c.broken {
			t.Errorf("%s: broken %v (%d checked), want %v", c.rule, broken, checked, c.broken)
		}
	}
}
