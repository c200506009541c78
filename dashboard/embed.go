// Package dashboard owns the single-page application and how it is served.
//
// The source is TypeScript under src; `make dashboard` builds it into dist,
// which is embedded in the binary. The package promises that what it serves
// needs nothing but its own origin: the content security policy forbids inline
// scripts and styles and every other host, and a test proves that the build
// can live with that. It refuses to guess: a path that is not a file of the
// build is 404, because the page keeps its whole state in the query string and
// has no other paths.
package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
)

// The all: prefix takes dist/.gitkeep along, so that a checkout that was never
// built compiles too.
//
//go:embed all:dist
var embedded embed.FS

// Handler serves the embedded dashboard at "/". Where nothing was built, every
// page says how to build it.
func Handler() http.Handler {
	return newHandler(dist())
}

// Built reports whether this binary carries a dashboard.
func Built() bool {
	_, err := fs.Stat(dist(), indexFile)
	return err == nil
}

func dist() fs.FS {
	sub, err := fs.Sub(embedded, "dist")
	if err != nil {
		panic(err) // "dist" is a constant valid path, and fs.Sub fails for nothing else
	}
	return sub
}
