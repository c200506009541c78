//go:build !linux

package sqlbox

import "os/exec"

func tame(*exec.Cmd) {}
