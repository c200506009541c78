// Package collector is an edge without a proxy: the collection endpoints, the
// queue and the shipping, as a small process of its own.
//
//	browsers, servers ── HTTP ──▶ beacon.Intake ─┐
//	a local Caddy ── unix socket ─▶ handover ────┼──▶ queue (WAL) ──▶ ship ──▶ aggregator
//	                                             └── 202 once written
//	registry.Client ◀── GET /v1/edge ── aggregator: sites, salts
//
// It owns the wiring and the life cycle, nothing else. It promises that several
// of it behind a load balancer count as one (visitors are hashed with the
// aggregator's salts), that what it answered as taken survives its end, and that
// it serves while the aggregator is away. It refuses to answer questions: there
// is no DuckDB, no dashboard, and no cgo in it.
package collector
