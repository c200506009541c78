// Command caddybuild builds Caddy from xcaddy.json, the manifest that says
// which Caddy and which modules belong together.
//
// cmd/caddy and go.mod are what is compiled; caddybuild makes sure that they
// say the same as the manifest, and refuses to build something else.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

const (
	caddy    = "github.com/caddyserver/caddy/v2"
	manifest = "xcaddy.json"
	program  = "./cmd/caddy"
)

// Manifest is xcaddy.json.
type Manifest struct {
	CaddyVersion string   `json:"caddy_version"`
	Plugins      []Plugin `json:"plugins"`
}

// Plugin is one module that is plugged in.
type Plugin struct {
	Module  string `json:"module"`            // import path of the package
	Version string `json:"version,omitempty"` // empty for this project's own
}

func main() {
	out := flag.String("o", "bin/caddy", "file to write")
	check := flag.Bool("check", false, "compare only, build nothing")
	flag.Parse()
	if err := run(*out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "caddybuild:", err)
		os.Exit(1)
	}
}

func run(out string, checkOnly bool) error {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", manifest, err)
	}
	if err := checkVersions(m); err != nil {
		return err
	}
	if err := checkImports(m, program+"/main.go"); err != nil {
		return err
	}
	if checkOnly {
		return nil
	}
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, program)
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // the module promises to need no cgo
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	return build.Run()
}

// checkVersions compares the manifest with go.mod.
func checkVersions(m Manifest) error {
	want := map[string]string{caddy: m.CaddyVersion}
	for _, p := range m.Plugins {
		if p.Version != "" {
			want[p.Module] = p.Version
		}
	}
	for path, version := range want {
		out, err := exec.Command("go", "list", "-f", "{{with .Module}}{{.Version}}{{end}}", path).Output()
		if err != nil {
			return fmt.Errorf("%s names %s, which go.mod does not have: go get %s@%s", manifest, path, path, version)
		}
		if got := strings.TrimSpace(string(out)); got != version {
			return fmt.Errorf("%s wants %s %s, go.mod has %s: change one of them", manifest, path, version, got)
		}
	}
	return nil
}

// checkImports compares the manifest with what the program plugs in.
func checkImports(m Manifest, file string) error {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	want := []string{caddy + "/cmd", caddy + "/modules/standard"}
	for _, p := range m.Plugins {
		want = append(want, p.Module)
	}
	var got []string
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		got = append(got, path)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Errorf("%s imports %v, %s wants %v: change one of them", file, got, manifest, want)
	}
	return nil
}
