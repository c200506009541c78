// Package handover moves events between two processes of one machine: a proxy
// that must not own files, and the collector that owns the queue.
//
//	proxy: Buffer ── ship, over a unix socket ──▶ collector: Server ──▶ queue (WAL) ──▶ aggregator
//
// It speaks the same protocol as an edge and an aggregator do, so the
// [Buffer] is shipped by package ship, and the [Server] keeps one mark for each
// life of a proxy: what is repeated after a broken connection counts once.
//
// It promises that an event is acknowledged to the proxy only once it is
// written to the collector's queue, and durable where that syncs always; that
// what is sent again is in the queue once, whatever became of the answer, the
// process or a sync; that the proxy's drops stand in the collector's books, and
// that neither side ever holds more than its bound.
//
// It refuses to survive the proxy: what is in the Buffer when its process ends
// is gone, as the ring is.
package handover
