// Package classify decides what became of a request: its one [shared.Result]
// and the kind of event that it becomes, if any.
//
// It owns the rules of what is a page view. They apply in this order, the
// first that fits decides:
//
//	excluded      the site's own rules say so
//	health_check  a load balancer's or orchestrator's path or user agent
//	unknown_host  the configuration names no such host
//	bot           whatever it asks for; the kind still says what that was
//	upgrade       a WebSocket handshake, or a 101
//	method        anything but GET
//	partial       206 and 416, unless it is the first part of a download
//	redirect      3xx other than 304
//	failed/error  4xx and 5xx: an error if a document was navigated to
//	status        whatever is not 200, 203 or 304 by now
//	download      a file of the closed list, asked for from byte 0
//	feed          by content type, else by well-known path
//	asset         not an HTML document, or asked for as image, style, …
//	fragment      part of a page for htmx, Turbo, RSC and their kin, unless
//	              it is a whole page (htmx boosted, history restore)
//	prefetch      fetched ahead of the reader, who may never see it
//	frame         the inside of another page
//	subrequest    a script's fetch, a worker
//	pageview
//
// What a site's [Switches] turn off ends as switched_off instead.
//
// It promises to be pure and free of allocations, and to do as well as can be
// with partial knowledge: a log knows no request headers and often no content
// type, and unknown means unknown rather than no.
//
// It refuses to know a proxy, to recognise bots (the caller says), and to
// remember anything outside of [Memory].
package classify
