// Package beacon understands what browsers, trackers and servers send: Eider's
// own beacon, Mallard's and Plausible's events, Umami's protocol, and batches
// of servers.
//
// It owns the dialects (each parser makes [Message]s), the beacon script, and
// the [Intake]: the http.Handler behind every collection endpoint, mounted by
// the Caddy module below a site's script path, by the aggregator and by the
// collector.
//
//	POST ──▶ Intake: caps, buckets, origin ──▶ dialect ──▶ []Message
//	                                                          │ site, enrichment (the address ends here)
//	                                                          ▼
//	                        answer ◀── written ── Log.AddWait ── []shared.Event
//
// It promises that a message is answered as taken only once its event is
// written to the log behind it; that nothing that is sent makes it fail (no
// panic, no 5xx but 503 with Retry-After where the log can't be written); that
// what is over a limit is cut or refused as the contracts say, and counted.
//
// It refuses to believe what a sender says of somebody else (address, user
// agent, time) without an API key or a trusted peer, and to create sites.
package beacon
