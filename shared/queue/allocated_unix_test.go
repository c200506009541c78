//go:build unix

package queue

import (
	"os"
	"syscall"
)

// allocated is what the volume has given to a file.
func allocated(fi os.FileInfo) int64 { return fi.Sys().(*syscall.Stat_t).Blocks * 512 }
