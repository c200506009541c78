package queue

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// preallocate makes the volume set aside the file's first size bytes, so that
// a later write through a mapping finds its page. The file's length is not
// made smaller.
func preallocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err
	}
}

// The file systems on which an allocation ahead of time is no promise: those
// that copy on write, those on the other side of a network, those that are a
// program we know nothing about.
var unsafeFS = map[int64]string{
	unix.BTRFS_SUPER_MAGIC: "btrfs",
	0x2fc12fc1:             "zfs",
	0xca451a4e:             "bcachefs",
	unix.NFS_SUPER_MAGIC:   "nfs",
	unix.SMB_SUPER_MAGIC:   "smb",
	unix.SMB2_SUPER_MAGIC:  "smb",
	unix.CIFS_SUPER_MAGIC:  "cifs",
	unix.V9FS_MAGIC:        "9p",
	unix.FUSE_SUPER_MAGIC:  "fuse",
}

// probeReserve says why the volume of dir can't be trusted to reserve space;
// an empty reason means that it can.
func probeReserve(dir string) (reason string, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", fmt.Errorf("statfs %s: %w", dir, err)
	}
	if name := unsafeFS[int64(st.Type)]; name != "" {
		return "it is " + name, nil
	}
	// An overlay answers with its own type and the numbers of the layer that is
	// written to; btrfs is the one that has no number of inodes.
	if int64(st.Type) == unix.OVERLAYFS_SUPER_MAGIC && st.Files == 0 {
		return "it is an overlay on a file system that copies on write", nil
	}
	const probe = 256 << 10
	path := filepath.Join(dir, "probe.tmp")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer os.Remove(path)
	defer f.Close()
	switch err := preallocate(f, probe); {
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
		return "it does not support fallocate", nil
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
		return "", nil // a full disk says nothing against it
	case err != nil:
		return "", fmt.Errorf("fallocate %s: %w", path, err)
	}
	var fst unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &fst); err != nil {
		return "", err
	}
	if fst.Blocks*512 < probe {
		return "fallocate sets no blocks aside", nil
	}
	return "", nil
}
