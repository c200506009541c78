// Package salts owns the secrets that identities are made of, and their end.
//
// It owns the salt of each site and period (a day or a month of the site's own
// calendar), the key that signs Umami's tokens, and the one file in which they
// survive a restart. docs/formats/salts.md describes the file.
//
// It promises that a site's periods follow each other without gap or overlap,
// that there is a salt for the next one long before it begins, and that 48
// hours after a period's end its salt is overwritten in the file and dropped
// from memory: from then on nobody can recompute an identity of that period.
// It promises that a changed zone or kind of period touches only the time to
// come.
//
// It refuses to keep the secrets anywhere else: they are in no log, no error,
// no other store, and so in no backup of one. A file that is lost or damaged is
// not repaired: identities begin anew, and whoever opens it is told.
package salts
