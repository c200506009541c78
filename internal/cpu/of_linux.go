package cpu

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Of returns the CPU time, user and system, that all threads of a process
// have used so far, those that ended included.
//
// It reads the process's CPU clock, in nanoseconds: the fields of
// /proc/PID/stat tick in hundredths of a second, and /proc/PID/schedstat is of
// one thread. A clock's id is made of the process id as clock_getcpuclockid(3)
// does (CPUCLOCK_SCHED).
func Of(pid int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}
