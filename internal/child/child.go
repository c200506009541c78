// Package child runs a server program as a child process.
//
// It owns the way from start to "it answers", and the way from "please stop"
// to the end of the process. It promises that a child which dies early is
// reported with the end of its output, and that Stop leaves no process behind.
// Children run in a process group of their own: Ctrl-C in a terminal reaches
// the parent alone, which then stops them in the order it needs.
//
// It refuses to restart anything.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Config describes a child.
type Config struct {
	Name   string // for people
	Path   string // of the program
	Args   []string
	Env    []string // whole environment; nil = the parent's
	Dir    string
	Output io.Writer // of both streams; nil = only the end is kept
	// Ready is a URL that answers 2xx as soon as the child serves.
	Ready string
	// Patience is how long that may take; 0 = 30 s.
	Patience time.Duration
}

// Server is a running child.
type Server struct {
	name string
	cmd  *exec.Cmd
	last *tail
	done chan struct{}
}

// Start runs the child and waits until it serves.
func Start(ctx context.Context, c Config) (*Server, error) {
	s := &Server{name: c.Name, last: &tail{next: c.Output}, done: make(chan struct{})}
	s.cmd = exec.Command(c.Path, c.Args...)
	s.cmd.Env, s.cmd.Dir = c.Env, c.Dir
	s.cmd.Stdout, s.cmd.Stderr = s.last, s.last
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.WaitDelay = time.Second // a grandchild may hold the pipe open
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.done)
	}()
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	if err := s.ready(ctx, c.Ready, c.Patience); err != nil {
		_ = s.Stop(time.Second)
		return nil, fmt.Errorf("start %s: %w\n%s", c.Name, err, s.last)
	}
	return s, nil
}

func (s *Server) ready(ctx context.Context, url string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode/100 == 2 {
				return nil
			}
		}
		select {
		case <-s.done:
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("it does not answer at %s: %w", url, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Pid is the process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Done is closed when the child has ended, for whatever reason.
func (s *Server) Done() <-chan struct{} { return s.done }

// Ended says how a child ended and what it said last. It is for a child that
// ended without being asked to.
func (s *Server) Ended() error {
	<-s.done
	return fmt.Errorf("%s ended by itself (%s)\n%s", s.name, s.cmd.ProcessState, s.last)
}

// Stop asks the child to end and waits for it. After grace it is killed, which
// is an error. Stop may be called again, and after the child ended by itself.
func (s *Server) Stop(grace time.Duration) error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
		return nil
	case <-time.After(grace):
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.done
	return fmt.Errorf("%s did not end within %s and was killed", s.name, grace)
}

// FreeAddress returns a loopback address whose port was free a moment ago, for
// children that cannot be given port 0. The port is below those that systems
// draw for outgoing connections, any of which could take it before the child.
func FreeAddress() (string, error) {
	const first, last, tries = 20_000, 32_000, 100
	var err error
	for range tries {
		var l net.Listener
		l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}

// keep is how much of a child's output an error shows.
const keep = 4 << 10

// tail remembers the end of what goes through it.
type tail struct {
	mu   sync.Mutex
	next io.Writer
	last []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	if over := len(t.last) - keep; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	if t.next != nil {
		return t.next.Write(b)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}
