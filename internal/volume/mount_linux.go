package volume

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func mountTmpfs(dir string, size int64) error {
	return unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
}

// unmountNow is nil where nothing is mounted.
func unmountNow(dir string) error {
	if err := unix.Unmount(dir, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

func detach(dir string) { _ = unix.Unmount(dir, unix.MNT_DETACH) }

func full(err error) bool { return errors.Is(err, unix.ENOSPC) }

// Ext4's ioctl for tests of exactly this: the file system goes down at once,
// without writing its journal. What no fsync has covered is gone.
const (
	ioctlShutdown   = 0x8004587d // _IOR('X', 125, __u32)
	shutdownNoFlush = 2
)

// Shutdown is a loss of power of the ext4 volume that is mounted at dir:
// nothing is written to it from now on.
func Shutdown(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ioctlShutdown, shutdownNoFlush); err != nil {
		return fmt.Errorf("shut the file system down: %w", err)
	}
	return nil
}
