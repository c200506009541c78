// Package ops is how the aggregator is run: health, metrics, the lock on the
// data directory and the socket for operator commands.
//
// It promises that one process at a time owns a data directory, and that
// health says "degraded" before anything is lost. It refuses to decide
// anything: it reads what the other packages report. The socket is as private
// as the data directory itself (mode 0600), so it asks for no password.
package ops
