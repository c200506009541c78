package stats

import (
	"strconv"
	"time"

	"github.com/eider-analytics/eider/aggregator/duck"
)

// builder gathers the arguments of one SQL text. They are numbered, so that
// parts can be compiled in any order and one argument can stand in several
// places.
type builder struct{ args []any }

// arg adds a value and returns its placeholder. Nothing that comes from outside
// enters SQL by any other way.
func (b *builder) arg(value any) string {
	b.args = append(b.args, value)
	return "$" + strconv.Itoa(duck.FirstArg+len(b.args)-1)
}

// statement is compiled SQL with its arguments, and the times that it looks at.
type statement struct {
	text     string
	args     []any
	from, to int64 // µs since 1970, to excluded: rows outside are not asked for
	// first and last are the span of the question's visits: it is the same for all
	// statements about one range. Not set, it is from and to.
	first, last int64
	// spans are parts of it outside of which no rows matter but those around them;
	// nil = it is one.
	spans   [][2]int64
	rollups []string // files of the relation rollup_files
	zone    *time.Location
	now     bool // about the present
	raw     bool // of events as they are
	fill    bool // asks for what a completing row adds
}

// more are the relations that the statement has beside events.
func (s *statement) more() []duck.Relation {
	if s.rollups == nil {
		return nil
	}
	return []duck.Relation{{Name: "rollup_files", Files: s.rollups}}
}
