package importer

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/child"
	"github.com/eider-analytics/eider/internal/programs"
	"github.com/eider-analytics/eider/shared"
)

// TestAsDocumented types what docs/import.md says, against a real server.
func TestAsDocumented(t *testing.T) {
	eider := filepath.Join(programs.Build(t, programs.Eider), "eider")
	home, addr := t.TempDir(), address(t)
	env := append(os.Environ(), "EIDER_LISTEN="+addr, "EIDER_DATA=data")
	log, err := filepath.Abs(sample)
	if err != nil {
		t.Fatal(err)
	}
	typed := func(home string, env []string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), eider, args...)
		cmd.Dir, cmd.Env = home, env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := typed(home, env, "import", "--site", testSite, log); err == nil || !strings.Contains(out, "eider serve") {
		t.Errorf("without a server: %v\n%s", err, out)
	}
	server, err := child.Start(t.Context(), child.Config{
		Name: "the aggregator", Path: eider, Args: []string{"serve"}, Dir: home, Env: env, Ready: "http://" + addr + "/health/ready",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	}()
	job := filepath.Join(home, "data", "import", "job")
	steps := []struct {
		args string
		want string
		job  bool // is there afterwards
	}{
		{"site add " + testSite, testSite, false},
		{"import --dry-run --site " + testSite + " " + log + "*", "nothing was sent", false},
		{"import --site " + testSite + " " + log + "*", "accepted by the aggregator", true},
		{"import --site " + testSite + " " + log, "imported earlier", true},
		{"import --finish", "", false},
		{"verify", "everything is as it should be", false},
	}
	for _, step := range steps {
		out, err := typed(home, env, strings.Fields(step.args)...)
		if err != nil || !strings.Contains(out, step.want) {
			t.Fatalf("eider %s: %v\n%s", step.args, err, out)
		}
		if _, err := os.Stat(job); (err == nil) != step.job {
			t.Errorf("eider %s: job: %v", step.args, err)
		}
	}
	// From elsewhere, by URL and token; the log counts once wherever it is read.
	token, err := os.ReadFile(filepath.Join(home, "data", "edge_token"))
	if err != nil {
		t.Fatal(err)
	}
	away := t.TempDir()
	remote := []string{"import", "--aggregator", "http://" + addr, "--site", testSite, log}
	if out, err := typed(away, append(os.Environ(), "EIDER_EDGE_TOKEN=wrong"), remote...); err == nil || !strings.Contains(out, "EIDER_EDGE_TOKEN") {
		t.Errorf("with a wrong token: %v\n%s", err, out)
	}
	out, err := typed(away, append(os.Environ(), "EIDER_EDGE_TOKEN="+strings.TrimSpace(string(token))), remote...)
	if err != nil || !strings.Contains(out, "imported earlier                        10000") {
		t.Errorf("from elsewhere: %v\n%s", err, out)
	}
	views(t, addr)
}

// views compares the API's books with what the log has.
func views(t *testing.T, addr string) {
	t.Helper()
	want, _, _ := expected(t)
	res, err := http.Get("http://" + addr + "/api/stats/accounting?period=all&site_id=" + testSite)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var books struct {
		Requests  uint64                   `json:"requests"`
		Results   map[shared.Result]uint64 `json:"results"`
		Pageviews struct {
			Recorded     uint64 `json:"recorded"`
			Reclassified uint64 `json:"reclassified"`
			People       uint64 `json:"people"`
		} `json:"pageviews"`
	}
	if err := json.NewDecoder(res.Body).Decode(&books); err != nil {
		t.Fatal(err)
	}
	if p := books.Pageviews; books.Requests != 10_000 || p.Recorded != want[shared.ResultPageview] || p.People != p.Recorded-p.Reclassified {
		t.Errorf("%+v", books)
	}
	for result, n := range want {
		if books.Results[result] != n {
			t.Errorf("%s: the API answers %d, the log has %d", result, books.Results[result], n)
		}
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
