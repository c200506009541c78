package enrich

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// moduleFile reads a file of a module that go.mod names, and fetches the module
// where it is not there yet. The test is skipped where that is not possible.
func moduleFile(t *testing.T, module, name string) []byte {
	t.Helper()
	out, err := exec.Command("go", "mod", "download", "-json", module).Output()
	var m struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &m); jsonErr != nil || m.Dir == "" {
		t.Skipf("SKIPPED: the module %s is not in the module cache and could not be fetched: %v %s", module, err, m.Error)
	}
	b, err := os.ReadFile(filepath.Join(m.Dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lines are the lines of a file that are not empty.
func lines(b []byte) []string {
	var list []string
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if line := strings.TrimSpace(s.Text()); line != "" {
			list = append(list, line)
		}
	}
	return list
}
