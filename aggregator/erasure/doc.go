// Package erasure takes away what somebody asked to be taken away, wherever it
// lies, and sees to it that it does not come back.
//
// It owns the ledger of erasures: what was asked for, in keyed digests that name
// nobody, kept in DATA/erasures beside the state, so that a state from an older
// backup is brought up to it at the next start. It carries an erasure out in one
// order: the ledger first, from when on the lake takes no such row in; then
// segments, those that were set aside, dead letters, and the spool; then the
// entry is done. Every step can be repeated, and is until it has succeeded, also
// by the next start.
//
// It promises that an erasure that was answered is finished, that what comes
// late is left out, and that neither ledger nor logs hold an id. It refuses to
// guess: a request that names nothing, or something that it does not know, is an
// error, never everything.
//
// Steps at which a crash test can end the process: erasure.ledger.writing,
// erasure.ledger.written, erasure.recorded, erasure.lake.done,
// erasure.letters.done, erasure.spool.done, erasure.done.
package erasure
