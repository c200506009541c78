// Package queue is the durable, ordered log between two processes: the edge's
// write-ahead log (Queue) and, with the same engine (Log), the aggregator's
// spool.
//
// It owns one directory. Records are appended to a small Badger directory, the
// active segment; a segment that is full is sealed into one plain file, read
// without being deleted, and removed as a whole once it has been acknowledged.
//
// It promises that what Append returned from survives the death of the process,
// that what Sync returned from survives the loss of power, that positions are
// never used twice for different events, that a damaged or missing record is a
// counted loss with a place of its own in the sequence, and that the books of a
// Queue balance at every moment. A full disk is an error to Append, never the
// end of the process.
//
// It refuses to open what it does not know: a foreign, newer, damaged or
// symlinked directory is an error that names the path, never a fresh start.
// DESIGN.md says how; docs/formats/wal.md has the bytes.
//
// Failpoints: queue.append.begin, queue.append.written, queue.sync.before,
// queue.sync.after, queue.sync.fail (error), queue.rotate.before_open, queue.rotate.opened,
// queue.rotate.switched, queue.seal.copied, queue.seal.renamed,
// queue.seal.disposed, queue.remove.before, queue.remove.after,
// queue.checkpoint.before, queue.checkpoint.after.
package queue
