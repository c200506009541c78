// Package ship delivers an edge's queue to the aggregator.
//
// It owns the conversation: who says what when, how fast, and how long to wait
// after a failure. It holds no state that matters: everything it knows is in
// the queue (what is acknowledged) or comes from the aggregator (what is
// expected), so that it can be killed and started at any point.
//
// It promises to send the frames of the queue as they are, in order, one
// request at a time, and to acknowledge to the queue only what the aggregator
// has said is durable. It promises that no answer and no silence of the
// aggregator stops the queue for ever, and that catching up after an outage
// leaves the machine to its own work.
//
// It refuses to follow redirects, to send the token anywhere but to the
// configured origin, and to take any answer for an acknowledgement that is not
// one of what it sent.
//
// Steps at which a crash test can end the process: ship.sending (before a
// request), ship.answered (the answer is there, nothing done with it),
// ship.acknowledged (the queue has the acknowledgement).
package ship
