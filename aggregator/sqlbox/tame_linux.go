package sqlbox

import (
	"os/exec"
	"syscall"
)

// tame makes a child one that Ctrl-C in a terminal does not reach. Its limits end one
// whose parent was killed.
func tame(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
