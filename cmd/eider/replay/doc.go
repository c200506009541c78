// Package replay sends an access log through a real Caddy with the module and
// closes the books afterwards.
//
//	log ─ accesslog ─▶ sender ──HTTP──▶ Caddy + eider ──HTTP──▶ origin
//	                     │                  │ queue, ship
//	                     │                  ▼
//	                     └── account ◀── metrics, aggregator's API
//
// It owns the sender, which plays each request as the log has it (client
// address, method, target, referrer, user agent; all logged headers where the
// log is Caddy's), the origin, which answers each with the status, the size
// and the type it had, and the account, which compares what was sent with what
// the module counted and what the aggregator answers.
//
// It promises that requests of one client keep their order, that a response
// altered on its way is noticed, and that the account tells what it could not
// find out instead of guessing. Requests arrive now: their logged times order
// them and are otherwise not kept.
//
// It refuses to replay what HTTP cannot say again (no method, a target that is
// no path, a status below 200): such lines are counted as left out.
package replay
