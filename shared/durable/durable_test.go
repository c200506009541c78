package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eider-analytics/eider/shared/durable"
)

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, content := range []string{"old", "new"} {
		before, _ := os.ReadFile(path)
		err := durable.Replace(path, []byte(content), func() {
			now, _ := os.ReadFile(path)
			next, err := os.ReadFile(path + ".tmp")
			if err != nil || string(next) != content || string(now) != string(before) {
				t.Errorf("before it has its name: %q beside %q, %v", next, now, err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, _ := os.Stat(path)
		if err != nil || string(got) != content || info.Mode().Perm() != 0o600 {
			t.Errorf("%q, %v, %v", got, info.Mode(), err)
		}
	}
	// What can't get its name leaves nothing.
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.MkdirAll(filepath.Join(taken, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(taken, []byte("x"), nil); err == nil {
		t.Error("a directory was replaced")
	}
	if _, err := os.Stat(taken + ".tmp"); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
}
