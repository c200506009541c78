package aggregator

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestConfig: the environment wins over the file, and every key has a variable.
func TestConfig(t *testing.T) {
	file := write(t, "eider.toml", `
data = "/var/lib/eider"
listen = "127.0.0.1:9000"
hosts = ["stats.example.com"]
edge_token = "from-the-file"
query_memory = 1000
query_timeout = "5s"
`)
	got, err := LoadConfig(file, environment(
		"EIDER_LISTEN", "[::1]:9001", "EIDER_HOSTS", "a.example, b.example", "EIDER_QUERY_TIMEOUT", "1m", "EIDER_INSECURE", "true",
		"EIDER_QUERY_THREADS", "2", "EIDER_SPOOL_MAX_SIZE", "12345", "EIDER_DATA", "",
		"EIDER_SEAL_DUTY", "10",
	))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Data: "/var/lib/eider", Listen: "[::1]:9001", Insecure: true, Hosts: []string{"a.example", "b.example"},
		EdgeToken: "from-the-file", QueryMemory: 1000, QueryThreads: 2, QueryTimeout: Duration(time.Minute), SpoolMaxSize: 12345,
		Seal: true, SealDuty: 10,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSecrets(t *testing.T) {
	secret := write(t, "token", "  s3cret\n")
	file := write(t, "eider.toml", `edge_token = "from-the-file"`)
	for _, c := range []struct {
		what, file string
		env        []string
		want       string
	}{
		{"a file that the environment names", "", []string{"EIDER_EDGE_TOKEN_FILE", secret}, "s3cret"},
		{"it wins over the configuration's own", file, []string{"EIDER_EDGE_TOKEN_FILE", secret}, "s3cret"},
		{"the variable wins over everything", file, []string{"EIDER_EDGE_TOKEN_FILE", secret, "EIDER_EDGE_TOKEN", "direct"}, "direct"},
		{"the configuration names a file", write(t, "eider.toml", `edge_token_file = "`+secret+`"`), nil, "s3cret"},
	} {
		file := c.file
		if file == "" {
			file = write(t, "eider.toml", "")
		}
		got, err := LoadConfig(file, environment(c.env...))
		if err != nil || got.EdgeToken != c.want {
			t.Errorf("%s: %q, %v, want %q", c.what, got.EdgeToken, err, c.want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct{ what, text, variable, value, want string }{
		{"a key that is none", "listn = 1", "", "", "listn"},
		{"no TOML", "listen", "", "", "configuration"},
		{"a wrong number", "", "EIDER_QUERY_MEMORY", "lots", "EIDER_QUERY_MEMORY: must be a number of bytes"},
		{"a wrong truth", "", "EIDER_INSECURE", "maybe", "EIDER_INSECURE: must be true or false"},
		{"a wrong duration", "", "EIDER_QUERY_TIMEOUT", "5", `EIDER_QUERY_TIMEOUT: must be a duration such as "30s"`},
		{"a secret that is not there", "", "EIDER_EDGE_TOKEN_FILE", "/does/not/exist", "edge token"},
		{"an empty secret", "", "EIDER_EDGE_TOKEN_FILE", os.DevNull, "is empty"},
	} {
		_, err := LoadConfig(write(t, "eider.toml", c.text), environment(c.variable, c.value))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.what, err, c.want)
		}
	}
	if _, err := LoadConfig("/does/not/exist.toml", environment()); err == nil {
		t.Error("a file that was named and is not there is no error")
	}
}

// TestListen: what can be reached from a network needs a word of consent.
func TestListen(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:8787": true, "127.9.9.9:1": true, "[::1]:8787": true, "localhost:8787": true,
		"0.0.0.0:8787": false, ":8787": false, "[::]:8787": false, "192.0.2.1:8787": false, "example.com:8787": false,
		"localhost.evil.example:8787": false, "8787": false, "": false,
	} {
		c := Config{Data: "d", Listen: listen}
		if err := c.Check(); (err == nil) != ok {
			t.Errorf("listen %q: %v", listen, err)
		}
		c.Insecure = true
		if err := c.Check(); (err == nil) != (listen != "" && listen != "8787") {
			t.Errorf("listen %q, insecure: %v", listen, err)
		}
	}
}
