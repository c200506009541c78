// Package shared is the contract between an edge and the aggregator.
//
// It owns the vocabulary: what a proxy observes ([Observation]), what is kept
// of it ([Event]), how a run of events is framed ([Header]) and encoded
// ([AppendEvent], [DecodeEvents]), and the limits that every boundary applies.
//
// It promises that an event which [Event.Check] accepts survives the codec
// unchanged, that decoding never panics and never allocates more than its
// input is long, and that an older reader skips fields it does not know.
//
// It refuses dependencies: the standard library only, so that every proxy
// plugin can import it. Compression and the checksum of a whole batch live in
// shared/batch, durability in shared/queue.
package shared
