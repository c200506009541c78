package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write the golden files anew")

// separator parts a Caddyfile from what it adapts to: JSON, or the text of the
// error.
const separator = "----------\n"

func TestCaddyfilesAdaptToWhatIsWrittenDown(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(text), separator)
			got := adapt(t, input)
			if *update {
				if err := os.WriteFile(file, []byte(input+separator+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("adapts to\n%s\nwant\n%s", got, want)
			}
			if !strings.HasPrefix(got, "error: ") {
				loads(t, got)
			}
		})
	}
}

// adapt returns the JSON of a Caddyfile, or its error.
func adapt(t testing.TB, input string) string {
	t.Helper()
	out, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	for _, w := range warnings {
		t.Errorf("warning: %s", w)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return pretty.String() + "\n"
}

// loads checks that a configuration can be provisioned: nothing is opened by
// that.
func loads(t *testing.T, config string) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("EIDER_EDGE_TOKEN", "token")
	dir := t.TempDir()
	config = strings.ReplaceAll(config, "/var/lib/eider", dir)
	for _, file := range []string{"GeoLite2-City.mmdb", "crawlers.json"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var cfg caddy.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&cfg); err != nil {
		t.Errorf("does not load: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "queue")); err == nil {
		t.Error("validating made the queue's directory")
	}
}

// Caddy strips what JSON does not know; a typing error in our modules must be
// one that is told.
func TestUnknownJSONFieldsAreRefused(t *testing.T) {
	for _, config := range []string{
		`{"apps":{"eider":{"agregator":"http://127.0.0.1:1"}}}`,
		`{"apps":{"eider":{"queue":{"directory":"x"}}}}`,
		`{"apps":{"http":{"servers":{"s":{"routes":[{"handle":[{"handler":"eider","sites":["a"]}]}]}}}}}`,
	} {
		var cfg caddy.Config
		if err := json.Unmarshal([]byte(config), &cfg); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&cfg); err == nil || !strings.Contains(err.Error(), "unknown field") {
			t.Errorf("%s: %v", config, err)
		}
	}
}
