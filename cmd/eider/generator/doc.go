// Package generator fills a new data directory with made-up traffic, for
// benchmarks: events as a Caddy or the beacon record them, through the real
// registry and the real lake.
//
// It owns the distributions that the traffic is drawn from (tables.go, and the
// columns of them in columns.go), which are declared: the account at the end says
// of each column how many bits of surprise it was to have, and how many it got.
//
//	budget of a site's day ─▶ visits, bots ─▶ rows, compact ─▶ by time ─▶ events ─▶ lake.Ingest
//
// It promises that one seed gives the same rows, that a day of all sites is what
// is in memory at a time, and that it knows by construction what a right answer
// is: [Expected] is counted from visits as they were planned, not from rows.
//
// It refuses a directory in which there is anything, and to draw what the rules
// of docs/formats/completions.md would count differently from how it was meant:
// visits end within two hours after midnight, and pauses are never near the
// half hour that ends a visit.
package generator
