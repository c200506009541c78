package shared

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestReadSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if _, err := ReadSecretFile(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is missing: %v", err)
	}
	for content, want := range map[string]string{"a b\r\n": "a b", "x": "x", "": "", " \n": ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecretFile(path)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
}
