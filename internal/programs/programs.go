// Package programs builds the real caddy and eider for tests.
//
// It promises that a test runs what the tree says now: Go's build cache, not
// this package, decides what is up to date. Both are put into bin/test, so that
// the tests of several packages link them once. It refuses to be used outside
// of tests.
package programs

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

const module = "github.com/eider-analytics/eider"

// Root is the folder of the project.
func Root(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("this binary does not know where its sources are")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// The programs.
const (
	Caddy     = "caddy"
	Eider     = "eider"
	Collector = "eider-collector"
)

// Build builds the named programs and returns their folder.
func Build(tb testing.TB, names ...string) string {
	tb.Helper()
	root := Root(tb)
	dir := filepath.Join(root, "bin", "test")
	for _, name := range names {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), module+"/cmd/"+name)
		build.Dir = root
		build.Env = append(os.Environ(), "CGO_ENABLED=1")
		if name != Eider {
			build.Env = append(build.Env, "CGO_ENABLED=0") // they promise to need no cgo
		}
		if out, err := build.CombinedOutput(); err != nil {
			tb.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return dir
}

// Run runs a program to its end and returns what it said.
func Run(path string, args ...string) ([]byte, error) {
	return exec.Command(path, args...).CombinedOutput()
}
