// Package layout holds the rules of who may import whom, as a test.
//
// A rule that is only written down is broken within a year: one import of a
// convenient function makes every Caddy with the module need a C compiler. The
// reason stands beside each rule, for whoever meets it as a failure.
package layout
