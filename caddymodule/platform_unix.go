//go:build unix

package caddymodule

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// errQuota is a volume that has no room for this user.
var errQuota error = syscall.EDQUOT

// writable reports whether this user may make files in a directory.
func writable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
