// Package examples holds a test for each example: the configuration must be
// valid, and must serve and count a real request.
package examples

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/programs"
)

// environment keeps Caddy's own files out of the home folder.
func environment(t *testing.T) []string {
	dir := t.TempDir()
	return append(os.Environ(), "EIDER_EDGE_TOKEN=a-token-for-the-examples", "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "EIDER_DEMO_DATA="+dir)
}

func TestEveryCaddyfileIsValid(t *testing.T) {
	bin := programs.Build(t, programs.Caddy)
	files, err := filepath.Glob("*/Caddyfile")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d Caddyfiles (%v), want at least two", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Dir(file), func(t *testing.T) {
			validate := exec.Command(filepath.Join(bin, "caddy"), "validate", "--config", file, "--adapter", "caddyfile")
			validate.Env = environment(t)
			out, err := validate.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.Contains(string(out), "not formatted") {
				t.Errorf("not as caddy fmt has it:\n%s", out)
			}
		})
	}
}

// TestMinimal runs the README's Caddyfile with other addresses: example.com
// and its certificate belong to somebody else.
func TestMinimal(t *testing.T) {
	text, err := os.ReadFile("minimal/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 10 {
		t.Errorf("the ten-line Caddyfile has %d lines", n)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), string(text)) {
		t.Error("the README shows another Caddyfile than examples/minimal")
	}

	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<h1>the app</h1>")
	}))
	defer app.Close()
	site, admin := address(t), address(t)
	config := string(text)
	for from, to := range map[string]string{
		"{\n\teider": "{\n\tadmin " + admin + "\n\tpersist_config off\n\teider", "\nexample.com {": "\nhttp://example.com:" + port(t, site) + " {\n\tbind 127.0.0.1",
		"127.0.0.1:3000": strings.TrimPrefix(app.URL, "http://"), "127.0.0.1:8787": "127.0.0.1:1",
	} {
		if !strings.Contains(config, from) {
			t.Fatalf("the Caddyfile has no %q any more", from)
		}
		config = strings.Replace(config, from, to, 1)
	}
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	caddy, err := child.Start(t.Context(), child.Config{
		Name: "Caddy", Path: filepath.Join(programs.Build(t, programs.Caddy), "caddy"), Args: []string{"run", "--config", file, "--adapter", "caddyfile"},
		Env: environment(t), Ready: "http://" + admin + "/config/",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := caddy.Stop(15 * time.Second); err != nil {
			t.Error(err)
		}
	}()
	if body := get(t, "http://"+site+"/", "example.com"); body != "<h1>the app</h1>" {
		t.Errorf("the site says %q", body)
	}
	want := `eider_edge_requests_total{result="pageview",site="example.com"} 1`
	if metrics := get(t, "http://"+admin+"/metrics", ""); !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
}

func address(t *testing.T) string {
	t.Helper()
	addr, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func get(t *testing.T, url, host string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
