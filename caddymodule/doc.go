// Package caddymodule records web analytics inside of Caddy: the app module
// `eider` (what an edge has one of: queue, aggregator, token) and the handler
// http.handlers.eider (what a site has: its name, what to leave out).
//
// The way of one request:
//
//	Handler.ServeHTTP ── excluded, health check, unknown host: counted, done
//	   │ next, behind a responseWriter that notes status, type, bytes, time
//	   ▼
//	classify ── one result, counted by site
//	   ▼ if the result is recorded
//	ring ── one clone of the strings, one try-send; full = a counted drop
//	   ▼ recorder goroutine
//	enrich ── the address dies here ── queue (WAL) ── ship ── aggregator
//
// It owns what a configuration says and what outlives it: the runtime (ring,
// recorder, enricher, queue, shipper) lives in a usage pool by its queue
// directory, so that a reload shares it instead of opening the queue twice.
//
// It promises that a visitor's request is never harmed: nothing on its path
// waits for disk or network, a panic of ours is caught and counted, a panic or
// an error of the next handler passes through unchanged, and without
// aggregator or with a full volume the site serves as before while drops are
// counted. Every request that a handler sees has exactly one result.
//
// It refuses to judge a client's address itself (Caddy's client_ip is the only
// one it knows), and to make a site of a host that no configuration names.
package caddymodule
