package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// xcaddyVersion is the release that the README's command was tried with.
const xcaddyVersion = "v0.4.5"

const ourModule = "github.com/eider-analytics/eider"

// A real xcaddy, given what xcaddy.json says, builds the Caddy that this
// directory builds: the same version with the same modules, without cgo and
// without the aggregator's engines.
func TestXcaddyBuildsTheSameCaddy(t *testing.T) {
	if testing.Short() {
		t.Skip("builds Caddy twice")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	manifest := readManifest(t, root)
	tmp := t.TempDir()
	xcaddy := buildXcaddy(t, tmp)
	warmCache(t, tmp, root, manifest)

	args := []string{"build", manifest.CaddyVersion, "--output", filepath.Join(tmp, "by-xcaddy")}
	for _, p := range manifest.Plugins {
		args = append(args, "--with", p.Module)
	}
	// The module is not published from this tree: it is replaced, and only the
	// cache may be asked for it, since some proxies answer for an unknown
	// module with something else than "not found".
	args = append(args, "--replace", ourModule+"="+root)
	proxy := "file://" + filepath.ToSlash(strings.TrimSpace(command(t, root, nil, "go", "env", "GOMODCACHE"))) + "/cache/download"
	env := []string{"GOPROXY=" + proxy, "GOSUMDB=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0"}
	t.Logf("xcaddy %s with %v", strings.Join(args, " "), env)
	command(t, tmp, env, xcaddy, args...)
	command(t, root, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags", "-w -s", "-tags", "nobadger,nomysql,nopgx",
		"-o", filepath.Join(tmp, "by-go"), "./cmd/caddy")

	byXcaddy, byGo := describe(t, filepath.Join(tmp, "by-xcaddy")), describe(t, filepath.Join(tmp, "by-go"))
	if byXcaddy.modules != byGo.modules {
		t.Errorf("xcaddy's has modules\n%s\nours has\n%s", byXcaddy.modules, byGo.modules)
	}
	for _, id := range []string{"eider", "http.handlers.eider", "admin.api.eider"} {
		if !slices.Contains(strings.Fields(byXcaddy.modules), id) {
			t.Errorf("xcaddy's Caddy has no module %s", id)
		}
	}
	for name, b := range map[string]binary{"xcaddy's": byXcaddy, "ours": byGo} {
		if !strings.Contains(b.build, "\tgithub.com/caddyserver/caddy/v2\t"+manifest.CaddyVersion) {
			t.Errorf("%s is not built from Caddy %s", name, manifest.CaddyVersion)
		}
		if !strings.Contains(b.build, "CGO_ENABLED=0") {
			t.Errorf("%s is built with cgo", name)
		}
		for _, heavy := range []string{"duckdb", "apache/arrow", "parquet"} {
			if strings.Contains(b.build, heavy) {
				t.Errorf("%s contains %s", name, heavy)
			}
		}
	}
	t.Logf("both are Caddy %s with the additional modules\n%s", manifest.CaddyVersion, byGo.modules)
}

type manifest struct {
	CaddyVersion string `json:"caddy_version"`
	Plugins      []struct {
		Module string `json:"module"`
	} `json:"plugins"`
}

func readManifest(t *testing.T, root string) (m manifest) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "xcaddy.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &m); err != nil || m.CaddyVersion == "" || len(m.Plugins) == 0 {
		t.Fatalf("xcaddy.json: %v %+v", err, m)
	}
	return m
}

// buildXcaddy builds the tool through a module of its own: `go install
// …@version` also asks for the list of versions, which some proxies refuse.
func buildXcaddy(t *testing.T, tmp string) string {
	t.Helper()
	dir := filepath.Join(tmp, "tool")
	writeModule(t, dir, "xcaddytool", "github.com/caddyserver/xcaddy "+xcaddyVersion)
	if out, err := run(dir, nil, "go", "get", "github.com/caddyserver/xcaddy/cmd/xcaddy@"+xcaddyVersion); err != nil {
		t.Skipf("NOT TESTED: xcaddy %s can't be had: %v\n%s", xcaddyVersion, err, out)
	}
	bin := filepath.Join(tmp, "xcaddy")
	command(t, dir, nil, "go", "build", "-o", bin, "github.com/caddyserver/xcaddy/cmd/xcaddy")
	return bin
}

// warmCache fetches what xcaddy will look at, step by step as it does, since
// the versions that it comes across are not only those of our go.mod. Our
// module is required and replaced here, so that nobody is asked for it.
func warmCache(t *testing.T, tmp, root string, m manifest) {
	t.Helper()
	dir := filepath.Join(tmp, "warm")
	caddy := "github.com/caddyserver/caddy/v2"
	writeModule(t, dir, "warm", caddy+" "+m.CaddyVersion)
	text := "package main\n\nimport (\n\tcaddycmd \"" + caddy + "/cmd\"\n\t_ \"" + caddy + "/modules/standard\"\n"
	for _, p := range m.Plugins {
		text += "\t_ \"" + p.Module + "\"\n"
	}
	text += ")\n\nfunc main() { caddycmd.Main() }\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"get", caddy + "@" + m.CaddyVersion},
		{"mod", "edit", "-require", ourModule + "@v0.0.0", "-replace", ourModule + "=" + root},
		{"get", "."},
	} {
		if out, err := run(dir, []string{"GOFLAGS=-mod=mod"}, "go", args...); err != nil {
			t.Skipf("NOT TESTED: what Caddy %s needs can't be had: %v\n%s", m.CaddyVersion, err, out)
		}
	}
}

func writeModule(t *testing.T, dir, name, require string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "module " + name + "\n\ngo 1.26\n\nrequire " + require + "\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

type binary struct{ modules, build string }

func describe(t *testing.T, path string) binary {
	t.Helper()
	return binary{modules: command(t, ".", nil, path, "list-modules", "--skip-standard"), build: command(t, ".", nil, "go", "version", "-m", path)}
}

func run(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	out, err := run(dir, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}
