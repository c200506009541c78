// Package importer brings the history of a site in from access logs.
//
// It owns the way of a log's line to an event:
//
//	source ─▶ blocks of lines ─▶ parsed, in parallel ─▶ judge, in order ─▶ frames ─▶ POST /v1/batches
//
// An import is an edge: one for each log, found again by a digest of the log's
// start, and the sequence of an event follows from the number of its line. Lines
// that make no event take their sequence as blanks, so the numbering follows from
// the file alone, whatever the rules of this or a later version make of a line. How far a
// log has come is the ordinary mark of the receiver: that makes an import
// resumable after any interruption, idempotent, and right for a log that has
// grown.
//
// It promises that a log is judged by the rules of the proxy (packages classify
// and enrich), that each line counts once, that the frames of a line are the
// same bytes in every attempt of one job, and that nothing of a line but the
// event leaves the process: no address is stored, sent or logged.
//
// It refuses to guess: a log without hosts needs the site's name, days that have
// live events need to be said to be wanted.
package importer
