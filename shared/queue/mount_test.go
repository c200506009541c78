//go:build linux

package queue

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// mountTmpfs and mountExt4 give a test a small volume of its own. Where that
// is not allowed the test is skipped, and says so: what it shows is then not
// shown.
func mountTmpfs(t *testing.T, size int64) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("NOT TESTED: a full volume needs a tmpfs of its own, and mounting one is not possible here: %v", err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// mountExt4 returns a function that mounts the same image again.
func mountExt4(t *testing.T, size int64) (dir string, remount func()) {
	t.Helper()
	dir = t.TempDir()
	image := filepath.Join(t.TempDir(), "ext4.img")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range [][]string{{"mkfs.ext4", "-q", "-F", "-m", "0", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Skipf("NOT TESTED: this needs an ext4 volume of its own, and %s is not possible here: %v: %s", cmd[0], err, out)
		}
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir, func() {
		t.Helper()
		unmount(t, dir)
		if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
			t.Fatalf("mount again: %v: %s", err, out)
		}
	}
}

func unmount(t *testing.T, dir string) {
	t.Helper()
	for range 50 {
		err := unix.Unmount(dir, 0)
		if err == nil || errors.Is(err, unix.EINVAL) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = unix.Unmount(dir, unix.MNT_DETACH)
	t.Errorf("%s could not be unmounted: something still uses it", dir)
}

// process is a running role with its pipes.
type process struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, in, bufio.NewScanner(out)}
	t.Cleanup(func() {
		_ = p.in.Close()
		_ = p.Process.Kill()
		_ = p.Wait()
	})
	return p
}

// expect reads the next line and fails with the process's end if there is none.
func (p *process) expect(t *testing.T, prefix string) {
	t.Helper()
	if !p.out.Scan() {
		t.Fatalf("the process ended instead of saying %q: %v", prefix, p.Wait())
	}
	t.Log(p.out.Text())
	if !strings.HasPrefix(p.out.Text(), prefix) {
		t.Fatalf("got %q, want %q", p.out.Text(), prefix)
	}
}

func (p *process) say(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		t.Fatalf("the process is gone: %v (%v)", err, p.Wait())
	}
}
