// Package turns decides which statement of a question runs next.
//
// It owns the order of everything that DuckDB is asked. There are two classes,
// each with slots of its own and a waiting line of its own: the light one
// (overview, realtime, tables) and the heavy one (funnels, exports, SQL, long
// ranges). Neither can take a slot of the other, so that no number of heavy
// statements keeps an overview waiting, and no number of overviews starves a
// heavy one.
//
// Within a class sites share the time evenly, and within a site its clients
// (start-time fair queueing, Goyal, Vin and Cheng, SIGCOMM 1996): each site and
// each of its clients has an account of the time that its statements took, and
// the smallest account is next, its oldest statement first. A statement is
// charged what it is expected to take when it begins, and what it really took
// when it has ended, so that a wrong guess is a loan and not a theft. Who comes
// back after a pause begins with the account of whoever began last: what was not
// used is not saved up.
//
// It promises that a slot is never idle while somebody waits for it; that what
// two who always wait are given differs by no more than what one statement of
// each takes, for each slot; that a waiting line is bounded, and that where it is full the newest statement
// of whoever waits for most is refused, with the time after which to come back;
// and that waiting ends with its context.
//
// It refuses to know what a statement is, or to end one that runs.
package turns
