package child

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is its own child: the variable says what it plays.
const role = "EIDER_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "dies":
		fmt.Println("the port is taken")
		os.Exit(3)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		serve()
	case "serves":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		go serve()
		<-stop
	case "silent":
		select {}
	}
}

func serve() {
	_ = http.ListenAndServe(os.Getenv("ADDR"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

func start(t *testing.T, as string) (*Server, error) {
	t.Helper()
	addr, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return Start(t.Context(), Config{
		Name: "the child", Path: os.Args[0], Env: append(os.Environ(), role+"="+as, "ADDR="+addr),
		Ready: "http://" + addr, Patience: 5 * time.Second,
	})
}

func TestStopsWhenAsked(t *testing.T) {
	s, err := start(t, "serves")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(5 * time.Second); err != nil {
		t.Error(err)
	}
	if err := s.Stop(5 * time.Second); err != nil {
		t.Error("a second Stop:", err)
	}
	if err := syscall.Kill(s.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", s.Pid(), err)
	}
}

func TestKillsTheDeaf(t *testing.T) {
	s, err := start(t, "deaf")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(100 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("got %v, want that it was killed", err)
	}
	if err := syscall.Kill(s.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", s.Pid(), err)
	}
}

func TestSaysWhyAChildDied(t *testing.T) {
	if _, err := start(t, "dies"); err == nil || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("got %v, want the child's last words", err)
	}
}

func TestGivesUpOnTheSilent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, Config{Name: "the child", Path: os.Args[0], Env: append(os.Environ(), role+"=silent"), Ready: "http://127.0.0.1:1"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestMissingProgram(t *testing.T) {
	_, err := Start(t.Context(), Config{Name: "the child", Path: "/nonexistent/program"})
	var missing *exec.Error
	if !errors.As(err, &missing) && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the program is missing", err)
	}
}
