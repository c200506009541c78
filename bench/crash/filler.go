package crash

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

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
