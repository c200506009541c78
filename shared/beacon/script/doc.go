// Package script is the beacon: the script that pages may load, and the handler
// that serves it.
//
// It owns the sources, written to be read; and what is served of them: the base
// alone or with parts, chosen by the query (?outbound&files), each minified
// once, when it is first asked for. Nothing of it is generated beforehand, and
// no tool but Go is needed: a Caddy is built with this package by xcaddy.
//
// It promises a base of at most 1 KB and at most 3 KB with every part, gzipped;
// that the script neither throws into the page nor delays a link, sets no
// cookie and stores nothing but somebody's wish not to be counted. What it
// sends is read by package beacon; docs/formats/beacon.md describes it.
//
// It refuses to know where it is mounted: the script finds its endpoint from
// its own address.
package script
