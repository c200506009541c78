// Package accesslog reads the access logs of web servers, one request at a time.
//
// It owns four notations: the combined log format of Apache and nginx (the
// common format is its beginning, Traefik's common format goes on behind it),
// the JSON access logs of Caddy and of Traefik, and W3C's extended format as IIS
// and CloudFront write it. Each line is recognised by itself, so that a file may
// hold several; only the columns of a W3C log are named above its lines (see
// [Notation]). A stream packed by gzip or zstd is recognised by its magic.
//
// It promises that a [Parser] never panics, never keeps more than one line of
// at most [MaxLine] bytes in memory, and goes on behind a line that it cannot
// read. A line that ends in the middle of a quoted field, as a full disk or a
// rotation leaves it, is a request all the same where the status is there.
//
// It refuses to judge: whether a request is a page view is decided by package
// classify. It drops the authenticated user's name that both notations carry,
// and its errors never quote the line, because lines hold addresses and
// tokens.
package accesslog
