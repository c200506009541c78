// Package lake turns accepted events into Parquet files that anyone can read,
// and says which files, together, are the events of this moment.
//
// It owns the files below its directory: durable segments, one for each site and
// local day that a commit touches, and unsynced micro-segments that make events
// queryable within a second of their acknowledgement.
//
// It promises that a [Snapshot] shows each of its events in exactly one file,
// that files stay while a snapshot holds them, and that a segment is listed, the
// marks it covers move, and the spool may be trimmed, in one transaction of
// package state. It needs no durability of its own before that: the spool has
// every event, and what a crash leaves is replayed from there. DESIGN.md goes
// through the crash points.
//
// It refuses to lose or to invent: on a full volume it keeps what it has,
// retries, and makes Ingest wait. It does not decide what an event is, nor which
// site it belongs to.
//
// Steps at which a crash test can end the process: lake.parquet.writing,
// lake.renamed, lake.commit.before, lake.commit.after, lake.trim.before,
// lake.hot.removed, lake.revise.writing, lake.exchange.before,
// lake.exchange.after, lake.erase.writing, lake.erase.before, lake.erase.after,
// lake.seal.written, lake.seal.renamed, lake.seal.before, lake.seal.after.
package lake
