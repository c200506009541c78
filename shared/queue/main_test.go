package queue

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// roles are what the test binary does when a test starts it again as another
// process.
var roles = map[string]func(dir string) error{}

const roleEnv = "EIDER_QUEUE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		run, ok := roles[role]
		if !ok {
			fmt.Fprintln(os.Stderr, "no such role:", role)
			os.Exit(2)
		}
		if err := run(os.Getenv(roleEnv + "_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// as returns a command that runs this test binary in a role.
func as(t testing.TB, role, dir string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), roleEnv+"="+role, roleEnv+"_DIR="+dir), env...)
	cmd.Stderr = os.Stderr
	return cmd
}
