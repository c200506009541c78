//go:build linux

package cpu

import (
	"os"
	"testing"
	"time"
)

// The two ways agree about a process that works, and of one that is not there
// nothing is said.
func TestTwoWays(t *testing.T) {
	before, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	own := Own()
	for n := 0; Own()-own < 100*time.Millisecond; n++ {
		_ = n * n
	}
	after, err := Of(os.Getpid())
	if used := after - before; err != nil || used < 50*time.Millisecond || used > 10*time.Second {
		t.Errorf("%v of at least 100 ms: %v", used, err)
	}
	if _, err := Of(1 << 22); err == nil {
		t.Error("a process that can't be has used something")
	}
}
