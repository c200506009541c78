package ops

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrInUse means that another process owns the data directory.
var ErrInUse = errors.New("in use by another eider")

// Lock is the ownership of a data directory. It ends with the process at the
// latest.
type Lock struct{ file *os.File }

// LockName is the file in the data directory that is locked; it holds the
// owner's process id, for people.
const LockName = "eider.lock"

// LockData takes ownership of a data directory, which is created if it does
// not exist. The error wraps ErrInUse if somebody else has it.
func LockData(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	path := filepath.Join(dir, LockName)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of the data directory: %w", err)
	}
	if err := lockFile(file); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s: %w%s: stop it, or choose another directory with --data", dir, ErrInUse, owner(path))
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	// The number is for people; a lock without it is a lock all the same.
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return &Lock{file}, nil
}

// Release gives the directory up. The file stays: to remove it would let two
// processes lock two files of one name.
func (l *Lock) Release() error { return l.file.Close() }

func owner(path string) string {
	b, err := os.ReadFile(path)
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || convErr != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

// lockFile takes the lock without waiting. The kernel gives it back when the
// process ends, however it ends.
func lockFile(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
