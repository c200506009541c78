//go:build failpoint

package crash

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// step is a failpoint, how often it may be passed before the kill, and what
// the traffic must be like for it to be passed at all.
type step struct {
	name   string
	hits   int
	padded bool // long paths, so that segments of the queue fill
}

func (s step) options() options {
	if s.padded {
		return options{pad: 1500}
	}
	return options{}
}

var edgeSteps = []step{
	{name: "queue.append.begin", hits: 8},
	{name: "queue.append.written", hits: 8},
	{name: "queue.sync.before", hits: 3},
	{name: "queue.sync.after", hits: 3},
	{name: "queue.rotate.before_open", hits: 1, padded: true},
	{name: "queue.rotate.opened", hits: 1, padded: true},
	{name: "queue.rotate.switched", hits: 1, padded: true},
	{name: "queue.seal.copied", hits: 1, padded: true},
	{name: "queue.seal.renamed", hits: 1, padded: true},
	{name: "queue.seal.disposed", hits: 1, padded: true},
	{name: "queue.remove.before", hits: 1, padded: true},
	{name: "queue.remove.after", hits: 1, padded: true},
	{name: "queue.checkpoint.before", hits: 3},
	{name: "queue.checkpoint.after", hits: 3},
	{name: "ship.sending", hits: 3},
	{name: "ship.answered", hits: 3},
	{name: "ship.acknowledged", hits: 3},
}

var aggregatorSteps = []step{
	{name: "receive.hello", hits: 1},
	{name: "receive.decided", hits: 3},
	{name: "receive.recorded", hits: 3},
	{name: "receive.answering", hits: 3},
	{name: "receive.ingested", hits: 3},
	{name: "spool.appended", hits: 3},
	{name: "spool.synced", hits: 3},
	{name: "spool.trimmed", hits: 1},
	{name: "lake.parquet.writing", hits: 2},
	{name: "lake.renamed", hits: 1},
	{name: "lake.commit.before", hits: 1},
	{name: "lake.commit.after", hits: 1},
	{name: "lake.trim.before", hits: 1},
	{name: "lake.hot.removed", hits: 1},
	{name: "state.commit.before", hits: 1},
	{name: "state.commit.after", hits: 1},
}

// elsewhere are steps that this campaign does not reach, each with the test
// that does.
var elsewhere = map[string]string{
	"queue.sync.fail":      "shared/queue: a failing fsync, by error instead of kill",
	"state.commit.staged":  "aggregator/state: needs a thousand segments in one commit",
	"deadletter.written":   "aggregator/receive: needs a batch that no edge makes",
	"lake.revise.writing":  "aggregator/lake: needs an operator who judges history anew",
	"lake.exchange.before": "aggregator/lake: likewise",
	"lake.exchange.after":  "aggregator/lake: likewise",

	"lake.seal.written": "aggregator/lake: needs a day that ended hours ago",
	"lake.seal.renamed": "aggregator/lake: likewise",
	"lake.seal.before":  "aggregator/lake: likewise",
	"lake.seal.after":   "aggregator/lake: likewise",

	"lake.erase.writing":     "aggregator/lake and aggregator/erasure: needs somebody who erases",
	"lake.erase.before":      "aggregator/lake and aggregator/erasure: likewise",
	"lake.erase.after":       "aggregator/lake and aggregator/erasure: likewise",
	"erasure.recorded":       "aggregator/erasure: likewise",
	"erasure.ledger.writing": "aggregator/erasure: likewise",
	"erasure.ledger.written": "aggregator/erasure: likewise",
	"erasure.letters.done":   "aggregator/erasure: likewise",
	"erasure.lake.done":      "aggregator/erasure: likewise",
	"erasure.spool.done":     "aggregator/erasure: likewise",
	"erasure.done":           "aggregator/erasure: likewise",
}

// TestEveryFailpointIsCovered reads the source: a step that nobody kills at is
// a step that nobody has thought about.
func TestEveryFailpointIsCovered(t *testing.T) {
	known := map[string]bool{}
	for _, s := range append(append([]step{}, edgeSteps...), aggregatorSteps...) {
		known[s.name] = true
	}
	for name := range elsewhere {
		known[name] = true
	}
	found := map[string]bool{}
	call := regexp.MustCompile(`failpoint\.(?:Hit|Err)\("([^"]+)"\)`)
	for _, root := range []string{"../../shared", "../../aggregator", "../../caddymodule"} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			for _, m := range call.FindAllStringSubmatch(string(b), -1) {
				found[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range found {
		if !known[name] {
			t.Errorf("no trial kills at %s: add it to the steps", name)
		}
	}
	for name := range known {
		if !found[name] {
			t.Errorf("step %s is in the list but not in the source", name)
		}
	}
}
