package main

import (
	"os"
	"strings"
	"testing"
)

// TestManifestIsTrue: xcaddy.json, go.mod and cmd/caddy say the same.
func TestManifestIsTrue(t *testing.T) {
	t.Chdir("../..")
	if err := run("", true); err != nil {
		t.Error(err)
	}
}

func TestOtherManifestsAreRefused(t *testing.T) {
	t.Chdir("../..")
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]Manifest{
		"another Caddy":         {CaddyVersion: "v2.0.0", Plugins: []Plugin{{Module: "github.com/eider-analytics/eider/caddymodule"}}},
		"a plugin too many":     {CaddyVersion: "v2.11.9", Plugins: []Plugin{{Module: "github.com/eider-analytics/eider/caddymodule"}, {Module: "github.com/spf13/cobra", Version: "v0.0.1"}}},
		"a plugin go.mod lacks": {CaddyVersion: "v2.11.9", Plugins: []Plugin{{Module: "example.com/no/such/module", Version: "v1.0.0"}}},
		"without our module":    {CaddyVersion: "v2.11.9"},
	} {
		err := checkVersions(m)
		if err == nil {
			err = checkImports(m, program+"/main.go")
		}
		if err == nil || !strings.Contains(err.Error(), manifest) {
			t.Errorf("%s: got %v, want what disagrees with %s\n%s", name, err, manifest, text)
		}
	}
}
