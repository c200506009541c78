// Package conduct tells automata by what they do: pages faster than anybody
// reads, mostly what is not there, paths that only a scanner asks for.
//
// It owns a table of what each client asked for lately: numbers under a hash of
// the client's address and user agent, whose key is random and lives in memory
// with the table. It promises bounded memory and one short lock a request,
// whatever is sent; an entry that nothing was heard of for half an hour is
// forgotten, which is less than any identity lives.
//
// It refuses to judge clients by an address that tells nobody apart: behind
// loopback and private addresses stands a proxy, a test or a whole office. And
// it refuses to call anybody too fast who fetches the parts of pages too.
//
// What it says is stored with the event and fixed at the request: what a client
// did before it was recognised stays counted.
package conduct
