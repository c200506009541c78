// Package volume gives a test a small file system of its own: to be filled, and
// to lose its power.
//
// It promises that nothing of it is left behind the test. Mounting needs root
// and, but for a tmpfs, loop devices; where that is not possible the test is
// skipped, and says that what it shows is then not shown.
package volume

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Tmpfs mounts a file system in memory and returns its directory.
func Tmpfs(t testing.TB, size int64) (dir string) {
	t.Helper()
	dir = base(t)
	if err := mountTmpfs(dir, size); err != nil {
		t.Skipf("NOT TESTED: this needs a tmpfs of its own, and mounting one is not possible here: %v", err)
	}
	t.Cleanup(func() { release(t, dir) })
	return dir
}

// Disk is a file system in an image, behind a loop device.
type Disk struct {
	Dir   string // where it is mounted
	image string
}

// New makes a file system of a kind, "ext4" or "ext2", and mounts it.
func New(t testing.TB, kind string, size int64) *Disk {
	t.Helper()
	base := base(t)
	d := &Disk{Dir: filepath.Join(base, "disk"), image: filepath.Join(base, "image")}
	if err := errors.Join(os.Mkdir(d.Dir, 0o700), os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, size)); err != nil {
		t.Fatal(err)
	}
	err := run("mkfs."+kind, "-q", "-F", "-m", "0", d.image)
	if err == nil {
		err = d.mount()
	}
	if err != nil {
		t.Skipf("NOT TESTED: this needs an %s volume of its own, which is not possible here: %v", kind, err)
	}
	t.Cleanup(func() { release(t, d.Dir) })
	return d
}

func (d *Disk) mount() error { return run("mount", "-o", "loop", d.image, d.Dir) }

// Remount mounts what the image has.
func (d *Disk) Remount() error {
	if err := unmount(d.Dir); err != nil {
		return err
	}
	return d.mount()
}

// CutPower drops every write that was not made durable and mounts what is left.
func (d *Disk) CutPower() error {
	if err := Shutdown(d.Dir); err != nil {
		return err
	}
	return d.Remount()
}

// Fill writes a file until not one byte more has room on its volume.
func Fill(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			if !full(err) {
				t.Fatal(err)
			}
			block = block[:len(block)/2]
		}
	}
}

// base is a directory with a short name, since sockets will lie in it.
func base(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "volume-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// release unmounts for good; what a test has left open is its failure.
func release(t testing.TB, dir string) {
	t.Helper()
	if err := unmount(dir); err != nil {
		detach(dir)
		t.Error(err)
	}
}

// unmount waits a little for those that are just ending.
func unmount(dir string) (err error) {
	for range 50 {
		if err = unmountNow(dir); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("%s could not be unmounted, something still uses it: %w", dir, err)
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}
