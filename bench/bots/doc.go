// Command bots drives labelled traffic through a real Caddy with the module
// and prints who was taken for whom: people against automata, with the reasons.
//
//	go run ./bench/bots -caddy bin/caddy
//
// It owns the clients (a real Chromium in several moods, curl, wget, Go,
// Python, crawlers and feed readers by their published user agents, imitations
// of browsers, scanners) and the account of them. What the module wrote is read
// from its queue after Caddy has stopped, so no aggregator is needed. It
// promises that every loop and every program has an end, and that nothing
// leaves loopback. A program that is missing is said, and its rows are missing.
package main
