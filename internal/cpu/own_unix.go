//go:build unix

package cpu

import (
	"syscall"
	"time"
)

// Own is the CPU time, user and system, that this process has used so far; 0
// where the system does not say.
func Own() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
