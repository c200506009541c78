// Package api is the aggregator's face to browsers and programs.
//
// It owns the routes, who may ask (until there are accounts: whoever reaches
// the loopback address by an own name), and how answers and errors look on the
// wire. Every answer about a site carries an ETag that stands for the files it
// was made of, so that a dashboard that asks every second costs next to nothing
// while nothing happens.
//
// It promises that a web page of another origin can neither read nor trigger
// anything here, also by a name that it makes point at this machine (DNS
// rebinding), and that errors say what to change. It refuses to know how
// numbers are made (package stats) and what edges send (package receive, whose
// handler it mounts without these checks: edges bring a token).
package api
