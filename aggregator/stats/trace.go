package stats

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/eider-analytics/eider/aggregator/lake"
)

// Trace gathers where the statements of a question found their answers.
type Trace struct {
	mu    sync.Mutex
	lines []string
}

type traceKey struct{}

// WithTrace lets the statements that are asked with the context be noted.
func WithTrace(ctx context.Context, t *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// String lists the statements: the tier, how many rollups of days were read, and
// how many files and rows of events.
//
//	rollup; days=22; files=1; rows=3051, events; files=4; rows=91177
func (t *Trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, ", ")
}

// note adds a statement to the context's trace, if it has one.
func note(ctx context.Context, files []lake.File, s *statement) {
	t, ok := ctx.Value(traceKey{}).(*Trace)
	if !ok {
		return
	}
	line := "events"
	if len(s.rollups) > 0 {
		line = fmt.Sprintf("rollup; days=%d", len(s.rollups))
	}
	rows := int64(0)
	for i := range files {
		rows += files[i].Rows
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf("%s; files=%d; rows=%d", line, len(files), rows))
}
