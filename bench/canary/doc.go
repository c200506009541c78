// Package canary plants what must not stay (addresses, whole user agents,
// cookies, tokens, query values that nobody listed) in everything that a client
// can send to a real Caddy and a real aggregator, and looks for it in every byte
// that they leave behind. It is a test; there is nothing here to import.
package canary
