//go:build !failpoint

package failpoint

// Enabled tells whether the build has failpoints.
const Enabled = false

// Hit marks a step.
func Hit(string) {}

// Err marks a step that may be made to fail.
func Err(string) error { return nil }

// Setting returns v.
func Setting(_ string, v int64) int64 { return v }

// Witness records an acknowledged fact for the crash test's oracle.
func Witness(func() string) {}
