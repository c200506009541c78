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
	data, made := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "made")
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
		{[]string{"site", "edit", "example.com", "--domains", "example.com,shop.example.com", "--name", "Shop", "--preset", "cnil", "--no-screen=false", "--gpc", "ignore", "--redact", "/u/[0-9]{1,9}", "--redact", "a,b", "--query-keys", "page,q", "--data", data}, "the site example-com is changed", true},
		{[]string{"site", "list", "--data", data}, "example.com,shop.example.com  Europe/Berlin  operator  day       dnt=\"refuse\" gpc=\"ignore\" no_versions query_keys=[\"page\",\"q\"] redact=[\"/u/[0-9]{1,9}\",\"a,b\"] referrer_host_only", true},
		{[]string{"site", "edit", "example.com", "--redact", "", "--identity", "month", "--allowed-domains", "*.example.com", "--data", data}, "is changed", true},
		{[]string{"site", "list", "--json", "--data", data}, `"allowed_domains": [
      "*.example.com"
    ],
    "identity": "month"`, true},
		{[]string{"site", "edit", "example.com", "--link", "go=https://x.example/a?b=c", "--link", "px", "--data", data}, "is changed", true},
		{[]string{"site", "list", "--json", "--data", data}, `"url": "https://x.example/a?b=c"`, true},
		{[]string{"site", "edit", "example.com", "--link", "go=nowhere", "--data", data}, "begins with http", false},
		{[]string{"site", "edit", "example.com", "--link", "", "--data", data}, "is changed", true},
		{[]string{"site", "edit", "example.com", "--redact", "([", "--data", data}, "missing closing", false},
		{[]string{"site", "edit", "nobody.example", "--data", data}, "there is no such site", false},
		{[]string{"site", "snippet", "shop.example.com", "--data", data}, `<script defer src="/e/e.js" data-site="example.com"></script>`, true},
		{[]string{"site", "snippet", "example.com", "--at", "https://stats.example.com", "--data", data}, `src="https://stats.example.com/e.js"`, true},
		{[]string{"site", "archive", "example.com", "--data", data}, "is archived", true},
		{[]string{"site", "list", "--data", data}, "operator, archived", true},
		{[]string{"site", "edit", "example.com", "--archived=false", "--data", data}, "is changed", true},
		{[]string{"key", "list", "--data", data}, "EXPIRES", true},
		{[]string{"key", "add", "--edge", "shop", "--sites", "example.com", "--data", data}, "is for edge shop, sites: example-com, expires: never", true},
		{[]string{"key", "add", "--scope", "ingest,stats:read", "--name", "backend", "--expires", "90d", "--data", data}, "\neider_", true},
		{[]string{"key", "add", "--data", data}, "say what it is for", false},
		{[]string{"key", "add", "--edge", "shop", "--sites", "nobody.example", "--data", data}, "there is no site", false},
		{[]string{"key", "list", "--data", data}, "backend  ingest,stats:read  all ", true},
		{[]string{"key", "revoke", "12345678", "--data", data}, "there is no such key", false},
		{[]string{"verify", "--data", data}, "everything is as it should be", true},
		{[]string{"verify", "--json", "--data", data}, `"problems": []`, true},
		{[]string{"sql", "--site", "example.com", "SELECT 1", "--data", data}, "no server runs on this data directory", false},
		{[]string{"sql", "SELECT 1", "--data", data}, `required flag(s) "site"`, false},
		{[]string{"sql", "--site", "example.com", "--data", data}, "give a statement", false},
		{[]string{"sql", "--site", "example.com", "--format", "xml", "SELECT 1", "--data", data}, "format must be one of", false},
		{[]string{"sql", "--site", "example.com", "--file", "x.sql", "SELECT 1", "--data", data}, "not both", false},
		{[]string{"erase", "--site", "example.com", "--data", data}, "start_date: say what to erase", false},
		{[]string{"erase", "--everything", "--data", data}, "say which site", false},
		{[]string{"erase", "--site", "nobody.example", "--everything", "--data", data}, "there is no site of this name", false},
		{[]string{"erase", "--site", "example.com", "--visitor", "seven", "--data", data}, "visitor_id: it is a number", false},
		{[]string{"erase", "--site", "example.com", "--visitor", "7", "--dry-run", "--data", data}, "0 events would be erased", true},
		{[]string{"erase", "--list", "--json", "--data", data}, "[]", true},
		{[]string{"erase", "--site", "example.com", "--visitor", "7", "--from", "2026-11-01", "--to", "2026-11-02", "--data", data}, ", done\n", true},
		{[]string{"erase", "--list", "--data", data}, "example-com  visitor  2026-10-31T23:00:00Z  2026-11-02T23:00:00Z", true},
		{[]string{"erase", "--list", "--everything", "--data", data}, "stand alone", false},
		{[]string{"erase", "--forget", "none", "--data", data}, "there is no such erasure", false},
		{[]string{"verify", "--data", data}, "everything is as it should be", true},
		{[]string{"serve", "--listen", "0.0.0.0:0", "--data", data}, "--insecure", false},
		{[]string{"serve", "--config", "/does/not/exist.toml"}, "read configuration", false},
		{[]string{"bench", "generate", "--data", data}, "is not empty", false},
		{[]string{"bench", "generate", "--events", "many", "--data", made}, `"many" is not a number of events`, false},
		{[]string{"bench", "generate", "--days", "0", "--data", made}, "days: want 1 to", false},
		{[]string{"verify", "--data", made}, "nothing to verify", false}, // what was refused has made none
		{[]string{"bench", "generate", "--events", "2k", "--days", "3", "--expect", filepath.Join(made, "expected.json"), "--data", made}, "2000 rows of 1 sites and 3 days", true},
		{[]string{"verify", "--data", made}, "everything is as it should be", true},
		{[]string{"site", "list", "--data", made}, "site-1-example  site-1.example  Europe/Berlin", true},
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

// TestAKeyIsRevoked by what the list shows of it.
func TestAKeyIsRevoked(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	out, err := eider(t, "key", "add", "--edge", "shop", "--data", data)
	if err != nil {
		t.Fatal(err)
	}
	prefix := "eider_" + strings.Split(out, "_")[1][:8]
	if out, err := eider(t, "key", "revoke", prefix, "--data", data); err != nil || !strings.Contains(out, "is revoked") {
		t.Errorf("revoked: %s, %v", out, err)
	}
	if out, err := eider(t, "key", "list", "--data", data); err != nil || strings.Contains(out, prefix) {
		t.Errorf("it is still there: %s, %v", out, err)
	}
}
