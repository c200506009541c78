//go:build linux && !amd64 && !arm64

package sqlbox

const auditArch, sysOpen = 0, 0

var alsoForbidden []uint32
