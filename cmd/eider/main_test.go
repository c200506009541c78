package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// eider runs the command line as a shell would.
func eider(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Chdir(t.TempDir()) // no eider.toml of whoever runs the tests
	root := rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

// TestOperatorCommands work on a data directory that no server runs on.
func TestOperatorCommands(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		args []string
		want string // in the output, or in the error
		ok   bool
	}{
		{[]string{"version"}, "eider ", true},
		{[]string{"verify", "--data", data}, "nothing to verify", false}, // and makes none, as the next line tells
		{[]string{"verify", "--data", data}, "nothing to verify", false},
		{[]string{"site", "list", "--data", data}, "DOMAINS", true},
		{[]string{"site", "add", "www.example.com", "--zone", "Europe/Berlin", "--data", data}, "example.com is the site example-com in the time zone Europe/Berlin", true},
		{[]string{"site", "add", "example.com", "--data", data}, "time zone Europe/Berlin", true},
		{[]string{"site", "list", "--data", data}, "example-com  example.com  Europe/Berlin  operator", true},
		{[]string{"site", "add", "../evil", "--data", data}, "not a host name", false},
		{[]string{"site", "add", "a.example", "--zone", "Mars", "--data", data}, "there is no time zone", false},
		{[]string{"site", "add"}, "accepts 1 arg", false},
		{[]string{"verify", "--data", data}, "everything is as it should be", true},
		{[]string{"verify", "--json", "--data", data}, `"problems": []`, true},
		{[]string{"serve", "--listen", "0.0.0.0:0", "--data", data}, "--insecure", false},
		{[]string{"serve", "--config", "/does/not/exist.toml"}, "read configuration", false},
		{[]string{"nonsense"}, "unknown command", false},
	} {
		out, err := eider(t, c.args...)
		if (err == nil) != c.ok {
			t.Errorf("eider %s: %v", strings.Join(c.args, " "), err)
			continue
		}
		if err != nil {
			out = err.Error()
		}
		if !strings.Contains(out, c.want) {
			t.Errorf("eider %s says\n%s\nwant %q in it", strings.Join(c.args, " "), out, c.want)
		}
	}
}
