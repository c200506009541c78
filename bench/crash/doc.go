// Package crash kills Eider and counts what is left.
//
// It owns the campaign behind `make crash`: a real Caddy with the module, a
// real aggregator, traffic with a unique path for every request, and faults:
// SIGKILL at named steps and at random, lost power, full volumes, torn files,
// and a network that duplicates, reorders, cuts and replays.
//
// The oracle is by ids, not by sums. A build with the tag `failpoint` writes
// down each event that the WAL has acknowledged (the witness). Afterwards
// every witnessed path must be counted exactly once, no path twice, and what
// was answered but never reached the WAL must be within the promised bound.
//
// It refuses to run without that tag: an ordinary build has no witness.
package crash
