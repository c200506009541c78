//go:build failpoint

package failpoint

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Enabled tells whether the build has failpoints.
const Enabled = true

type arm struct {
	action string
	at     int
	hits   int
}

var (
	mu   sync.Mutex
	arms = parse(os.Getenv("EIDER_FAILPOINT"))
	// witness is a file that outlives the process: writes to it are in the
	// page cache before the call returns.
	witness = openWitness(os.Getenv("EIDER_WITNESS"))
)

func parse(spec string) map[string]*arm {
	arms := map[string]*arm{}
	for _, part := range strings.Split(spec, ",") {
		name, rest, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			continue
		}
		action, at, _ := strings.Cut(rest, "@")
		n, err := strconv.Atoi(at)
		if err != nil || n < 1 {
			n = 1
		}
		arms[name] = &arm{action: action, at: n}
	}
	return arms
}

func openWitness(path string) *os.File {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString("\n") // the last process may have died within a line
	}
	if err != nil {
		panic(fmt.Sprintf("EIDER_WITNESS: %v", err))
	}
	return f
}

func reach(name string) string {
	mu.Lock()
	defer mu.Unlock()
	a := arms[name]
	if a == nil {
		return ""
	}
	a.hits++
	if a.hits == a.at || (a.action == "error" && a.hits > a.at) {
		return a.action
	}
	return ""
}

// Hit marks a step.
func Hit(name string) { _ = Err(name) }

// Err marks a step that may be made to fail.
func Err(name string) error {
	switch reach(name) {
	case "kill":
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	case "stop":
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	case "error":
		return errors.New("failpoint " + name)
	}
	return nil
}

// Setting returns what EIDER_FAILPOINT_SET="name=number[,…]" says of name, or
// v. It makes rare steps frequent: small segments, short ages.
func Setting(name string, v int64) int64 {
	for part := range strings.SplitSeq(os.Getenv("EIDER_FAILPOINT_SET"), ",") {
		if key, text, ok := strings.Cut(part, "="); ok && key == name {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return n
			}
		}
	}
	return v
}

// Witness records an acknowledged fact for the crash test's oracle. A line
// counts only with the word that ends it: a kill can cut it short.
func Witness(line func() string) {
	if witness == nil {
		return
	}
	if _, err := witness.WriteString(line() + " end\n"); err != nil {
		panic(fmt.Sprintf("EIDER_WITNESS: %v", err))
	}
}
