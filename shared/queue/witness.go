package queue

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/eider-analytics/eider/shared"
)

// witness is the line that a crash test reads to learn what the queue had
// acknowledged as written:
//
//	written <edge> <epoch> <first> <last> <seq>=<escaped pathname> …
//
// Events without a path, which complete others, are left out.
func witness(h *shared.Header, raw []byte) string {
	var line strings.Builder
	fmt.Fprintf(&line, "written %s %s %d %d", h.Edge, h.Epoch, h.FirstSeq, h.LastSeq())
	_ = shared.DecodeEvents(h, raw, func(_ uint64, e *shared.Event, err error) {
		if err == nil && e.Pathname != "" {
			fmt.Fprintf(&line, " %d=%s", e.Seq, url.PathEscape(e.Pathname))
		}
	})
	return line.String()
}
