package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"unsafe"
)

// volume is a file system of its own: small, so that it can be filled, and
// behind a loop device, so that its power can be cut.
type volume struct {
	image, dir string
	mounted    bool
}

// newVolume makes an ext4 file system of the given size below base and mounts
// it. It needs root and loop devices; the error says what is missing.
func newVolume(base, name string, megabytes int) (*volume, error) {
	v := &volume{image: filepath.Join(base, name+".img"), dir: filepath.Join(base, name)}
	f, err := os.Create(v.image)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(int64(megabytes) << 20); err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return nil, err
	}
	if err := run("mkfs.ext4", "-q", "-F", "-m", "0", v.image); err != nil {
		return nil, err
	}
	return v, v.mount()
}

func (v *volume) mount() error {
	if err := run("mount", "-o", "loop", v.image, v.dir); err != nil {
		return err
	}
	v.mounted = true
	return nil
}

func (v *volume) unmount() error {
	if !v.mounted {
		return nil
	}
	if err := run("umount", v.dir); err != nil {
		return err
	}
	v.mounted = false
	return nil
}

// Ext4's ioctl for tests of exactly this: the file system goes down at once,
// without writing its journal. What no fsync has covered is gone.
const (
	ioctlShutdown   = 0x8004587d // _IOR('X', 125, __u32)
	shutdownNoFlush = uint32(2)
)

// cutPower drops every write that was not made durable, then mounts what the
// disk has.
func (v *volume) cutPower() error {
	d, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	how := shutdownNoFlush
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, d.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&how)))
	_ = d.Close()
	if errno != 0 {
		return fmt.Errorf("shut the file system down: %w", errno)
	}
	if err := v.unmount(); err != nil {
		return err
	}
	return v.mount()
}

// filler is another process that writes to a volume as fast as it can until
// it is full, and keeps it full until it is told to stop.
type filler struct {
	cmd  *exec.Cmd
	file string
}

func startFiller(dir string) (*filler, error) {
	f := &filler{file: filepath.Join(dir, "filler")}
	// Appends for ever: whatever is freed is taken again at once.
	f.cmd = exec.Command("sh", "-c", `while :; do dd if=/dev/zero bs=64k count=4096 >>"$0" 2>/dev/null; done`, f.file)
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return f, f.cmd.Start()
}

// stop ends the filler and frees what it took.
func (f *filler) stop() error {
	_ = syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
	_ = f.cmd.Wait()
	return os.Remove(f.file)
}

// free is the room on the volume of dir in bytes.
func free(dir string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return -1
	}
	return int64(s.Bavail) * s.Bsize
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
