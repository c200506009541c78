package classify

import (
	"fmt"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// Switches are what a site decides about what is counted. The zero value is
// the default: everything but frames.
type Switches uint8

// The switches, each away from the default.
const (
	NoErrors Switches = 1 << iota
	NoDownloads
	NoFeeds
	NoBots
	NoPrefetches
	NoSoftNavigations
	CountFrames
	// NoEvidence: no visitor is remembered from one request to the next. The rules
	// here do not ask for it.
	NoEvidence
)

// switches names them as a configuration does. on is what is set when the name
// is switched on, which for all but one is the default.
var switches = [...]struct {
	name string
	bit  Switches
	on   bool
}{
	{"errors", NoErrors, false},
	{"downloads", NoDownloads, false},
	{"feeds", NoFeeds, false},
	{"bots", NoBots, false},
	{"prefetches", NoPrefetches, false},
	{"soft_navigations", NoSoftNavigations, false},
	{"frames", CountFrames, true},
	{"evidence", NoEvidence, false},
}

// Set switches what has the name on or off. The error lists the names.
func (s *Switches) Set(name string, on bool) error {
	names := make([]string, 0, len(switches))
	for _, sw := range switches {
		if sw.name != name {
			names = append(names, sw.name)
			continue
		}
		if on == sw.on {
			*s |= sw.bit
		} else {
			*s &^= sw.bit
		}
		return nil
	}
	last := len(names) - 1
	return fmt.Errorf("count %q: want one of %s or %s", name, strings.Join(names[:last], ", "), names[last])
}

// off reports whether requests with this result are not to be recorded.
func (s Switches) off(result shared.Result) bool {
	if s == 0 {
		return false
	}
	switch result {
	case shared.ResultError:
		return s&NoErrors != 0
	case shared.ResultDownload:
		return s&NoDownloads != 0
	case shared.ResultFeed:
		return s&NoFeeds != 0
	case shared.ResultBot:
		return s&NoBots != 0
	case shared.ResultPrefetch:
		return s&NoPrefetches != 0
	}
	return false
}
