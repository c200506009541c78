package sqlbox

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	sysOpen   = 0 // there is openat alone
)

var alsoForbidden []uint32
