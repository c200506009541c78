// Package state is the aggregator's own store: a small Badger directory that
// says what is true.
//
// It owns the manifest (which Parquet segments are live, how far the spool is
// covered by them), the marks (how far each edge's epoch was accepted), what is
// known of each edge, the spans that are incomplete, and the sites. Nothing
// else in the aggregator decides any of these.
//
// It promises that [State.Commit] is one step: after a crash at any point
// either all of it is there or none of it, and that what it returned nil for
// survives power loss. It promises to notice when the store on disk is older
// than what was committed to it, as Badger replays a damaged log up to the
// damage without an error.
//
// It refuses to guess: a directory that is locked, damaged, from a newer
// version, or has no room for its own log is an error that names the path and
// what to do, never a fresh start. Callers see typed methods, never keys.
//
// Steps at which a crash test can end the process: state.commit.staged,
// state.commit.before, state.commit.after.
package state
