// Package evidence remembers, in a fixed amount of memory, who was shown a
// page, so that a later request for a page's part can say something about the
// earlier one: that a person's browser was there, or that a page which was
// fetched ahead has been seen.
//
// It owns two tables. One holds visitors that were shown a page and, once they
// have fetched a style, script, font or image, that they did. The other holds
// pages that were fetched ahead and not yet seen.
//
// It promises constant memory whatever clients do, no lock on the way of a
// request that changes nothing, and that nothing is remembered longer than an
// identity lives: a key is a hash under a seed that one site has for one
// period, which ends with the period of the site's identities and after a day
// at the latest. The seed is then dropped, and with it every way to tell whom
// an entry was about. Nothing is ever written.
//
// It refuses to be exact. Where visitors are more than places, those that were
// seen longest ago are forgotten: a forgotten visitor may be proved twice, or
// not at all. Readers take both for what they are, since a second proof says
// what the first did.
package evidence
