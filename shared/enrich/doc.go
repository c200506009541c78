// Package enrich turns an observation into an event.
//
// It owns what is learnt from one request alone: who asked (bot, browser,
// system, device), where from (country, referrer, source, channel, campaign),
// which visitor, and which parts of a URL may be kept.
//
// It promises that the client's address ends here: it goes into a keyed hash
// and a table of places, and no form of it is written to the event or to a
// log. It promises that an event made of any bytes whatsoever passes
// shared.Event.Check, as long as the proxy's clock shows a possible time. It
// needs no network after New, and no disk to make an event.
//
// It refuses to judge by more than one request: behaviour is the proxy's to see,
// which says so in the observation; asset evidence and beacons are completions,
// and resolved where events are read.
//
// # Order
//
// The rules are applied in a fixed order, and each takes the first answer that
// it finds:
//
//	verdict   no user agent · known agents · listed ones · self-declared ones · not a browser ·
//	          headless by its hints · two soft signs · behaviour · else a likely person
//	client    Client Hints, then the user agent
//	source    utm_source, source, ref, click id, referrer, in-app browser
//	channel   Google Analytics' default channel rules, in their order
package enrich
