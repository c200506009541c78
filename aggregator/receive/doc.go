// Package receive is the door that edges deliver to.
//
// It owns the decision about every sequence: accepted, refused one by one,
// lost, or already known; the marks that this follows from; who speaks for an
// edge; and the dead letters. DESIGN.md beside it says why the order of its
// steps is safe and what a crash at each of them leaves behind.
//
// It promises that a batch is answered with 200 only after payload and mark
// are in one fsynced record of the spool, that the sink gets every such record
// once per life of the process, in the order of the spool, and that nothing
// which an edge sends can block the edge's queue for ever.
//
// It refuses what is not authenticated, what exceeds the limits of package
// shared, and sequences out of order.
//
// Steps at which a crash test can end the process: receive.decided (verdicts
// made, nothing written), spool.appended, spool.synced, receive.recorded
// (durable, not yet handed to the sink), receive.ingested (in the sink),
// receive.answering (before the answer is written), deadletter.written (before
// its rename), receive.hello (who speaks is known, nothing answered).
package receive
