package crash

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one real server under test. It is started again and again with
// the same arguments; its environment says which failpoint is armed.
type process struct {
	name  string
	path  string
	args  []string
	env   []string
	ready string // URL that answers 2xx once it serves
	log   string // file that its output is appended to

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the present cmd has ended
}

// start runs the process with the failpoint armed ("" = none) and waits until
// it serves. It may die before: that is no error where a failpoint is armed.
func (p *process) start(ctx context.Context, armed string) error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	fmt.Fprintf(out, "--- start %s, armed %q\n", p.name, armed)
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append(append(os.Environ(), p.env...), "EIDER_FAILPOINT="+armed)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	p.mu.Lock()
	p.cmd, p.done = cmd, done
	p.mu.Unlock()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		select {
		case <-done:
			if armed != "" {
				return nil
			}
			return fmt.Errorf("%s ended by itself: %s\n%s", p.name, cmd.ProcessState, tail(p.log))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
		if answers(p.ready) {
			return nil
		}
	}
	return fmt.Errorf("%s does not answer at %s\n%s", p.name, p.ready, tail(p.log))
}

// ended waits up to d for the process to die by itself.
func (p *process) ended(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

// alive reports whether the process runs.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends sig and waits for the end, at most d.
func (p *process) signal(sig syscall.Signal, d time.Duration) error {
	if !p.alive() {
		return nil
	}
	if err := p.cmd.Process.Signal(sig); err != nil && p.alive() {
		return err
	}
	if !p.ended(d) {
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within %s of signal %s\n%s", p.name, d, sig, tail(p.log))
	}
	return nil
}

func (p *process) kill() error { return p.signal(syscall.SIGKILL, 10*time.Second) }

// stop asks for an orderly end, which has ten seconds.
func (p *process) stop() error { return p.signal(syscall.SIGTERM, 10*time.Second) }

var probe = &http.Client{Timeout: 2 * time.Second}

func answers(url string) bool {
	resp, err := probe.Get(url)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode/100 == 2
}

func get(url string) ([]byte, error) {
	resp, err := probe.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, b)
	}
	return b, err
}

// tail is the end of a log, for an error message.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	return "  | " + strings.ReplaceAll(string(bytes.Join(lines, []byte("\n"))), "\n", "\n  | ")
}
