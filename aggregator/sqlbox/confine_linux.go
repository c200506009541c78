package sqlbox

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// slack is what of the address space is not DuckDB's memory: Go's heap, stacks
// and arenas of threads that are yet to start, what the allocator holds back.
const slack = 1 << 30

// limit bounds what the process may take, before it reads anything that it was
// not given. It stops what DuckDB's own limits do not see.
func limit(j *job) error {
	seconds := uint64(j.Time/time.Second+5) * uint64(j.Threads+1)
	limits := map[int]uint64{
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_CPU:    seconds,
		unix.RLIMIT_FSIZE:  uint64(j.MaxBytes) + 1<<20,
		unix.RLIMIT_NOFILE: uint64(2*len(j.Relations.Files)*(j.Threads+1) + 256),
	}
	if !raceEnabled { // the detector's own memory is most of the address space
		size, err := addressSpace()
		if err != nil {
			return err
		}
		limits[unix.RLIMIT_AS] = size + uint64(j.Memory) + slack
	}
	for which, most := range limits {
		var now unix.Rlimit
		if err := unix.Getrlimit(which, &now); err != nil {
			return err
		}
		most = min(most, now.Max)
		if err := unix.Setrlimit(which, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	return nil
}

// addressSpace is how much of it is taken, in bytes.
func addressSpace() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var pages uint64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return 0, err
	}
	return pages * uint64(os.Getpagesize()), nil
}

// confine takes from all of the process's threads what it needs no more: every
// file but these, which it may read; the network; other processes; and, where
// the kernel knows no Landlock, at least everything that writes.
func confine(files []string) error {
	if err := landlock.V7.BestEffort().Restrict(landlock.ROFiles(files...)); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return filterCalls()
}

// The system calls that a query has no use for. Opening is looked at more
// closely: to read is allowed.
var forbidden = []uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_SENDTO, unix.SYS_SENDMSG,
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD,
	unix.SYS_OPENAT2, unix.SYS_TRUNCATE, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_MKNODAT,
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_SETXATTR, unix.SYS_UTIMENSAT,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT,
	unix.SYS_BPF, unix.SYS_IO_URING_SETUP, unix.SYS_PERF_EVENT_OPEN, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_MEMFD_CREATE,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_KILL,
}

// Offsets in what a filter sees of a call.
const (
	callNumber = 0
	callArch   = 4
	callArgs   = 16
)

// otherNumbers is where the numbers of another calling convention begin.
const otherNumbers = 0x4000_0000

// filterCalls makes the forbidden calls fail, in every thread. Architectures that
// it has no numbers for are left to Landlock.
func filterCalls() error {
	if auditArch == 0 {
		return nil
	}
	var p []unix.SockFilter
	add := func(code uint16, k uint32, yes, no uint8) {
		p = append(p, unix.SockFilter{Code: code, Jt: yes, Jf: no, K: k})
	}
	const load, equal, set, answer = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	refused := func(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }
	add(load, callArch, 0, 0)
	add(equal, auditArch, 1, 0)
	add(answer, unix.SECCOMP_RET_KILL_PROCESS, 0, 0)
	add(load, callNumber, 0, 0)
	add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, otherNumbers, 0, 1)
	add(answer, refused(unix.EPERM), 0, 0)
	for _, n := range append(forbidden, alsoForbidden...) {
		add(equal, n, 0, 1)
		add(answer, refused(unix.EPERM), 0, 0)
	}
	// The arguments of this one are behind a pointer; libraries know the older one.
	add(equal, unix.SYS_CLONE3, 0, 1)
	add(answer, refused(unix.ENOSYS), 0, 0)
	const writes = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC
	masked := func(n, arg, mask uint32, refuseIfSet bool) {
		add(equal, n, 0, 4)
		add(load, callArgs+8*arg, 0, 0)
		if refuseIfSet {
			add(set, mask, 0, 1)
		} else {
			add(set, mask, 1, 0)
		}
		add(answer, refused(unix.EPERM), 0, 0)
		add(answer, unix.SECCOMP_RET_ALLOW, 0, 0)
	}
	masked(unix.SYS_OPENAT, 2, writes, true)
	masked(unix.SYS_CLONE, 0, unix.CLONE_THREAD, false) // threads, but no processes
	if sysOpen != 0 {
		masked(sysOpen, 1, writes, true)
	}
	add(answer, unix.SECCOMP_RET_ALLOW, 0, 0)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	program := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 && !errors.Is(errno, unix.ENOSYS) && !errors.Is(errno, unix.EINVAL) { // a kernel without it
		return fmt.Errorf("filter of system calls: %w", errno)
	}
	return nil
}
