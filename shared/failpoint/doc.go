// Package failpoint names the steps at which a crash test kills the process.
//
// Without the build tag `failpoint` every call is empty and inlined away. With
// it, the environment variable EIDER_FAILPOINT="name=action@n[,…]" arms steps:
// at the n-th time the step is reached (1 where @n is left out) the action
// happens: `kill` sends SIGKILL to the process itself, `stop` sends SIGSTOP,
// `error` makes Err return an error from then on. EIDER_FAILPOINT_SET replaces
// settings, so that rare steps become frequent.
package failpoint
