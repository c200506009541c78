// Command bots drives labelled traffic through a real Caddy with the module
// and prints who was taken for whom: people against automata, with the reasons.
//
//	go run ./bench/bots -caddy bin/caddy -eider bin/eider
//
// It owns the clients (a real Chromium in several moods, curl, wget, Go,
// Python, crawlers and feed readers by their published user agents, imitations
// of browsers, scanners) and the account of them. What the module wrote is read
// on its way to a real aggregator, whose books must close: every request is in
// them, with the result that its label says, and people's page views are made
// of what was sent.
//
// It promises that every loop and every program has an end, and that nothing
// leaves loopback. A program that is missing is said, and its rows are missing.
package main
