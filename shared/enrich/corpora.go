//go:build corpora

package enrich

// The modules whose lists and test data the tests read: imported here so that
// go.mod keeps them, and behind a tag so that no program contains them.
import (
	_ "github.com/medama-io/go-useragent"
	_ "github.com/monperrus/crawler-user-agents"
	_ "github.com/x-way/crawlerdetect"
	_ "zgo.at/isbot"
)
