//go:build linux

package queue

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

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
