package importer

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

const barWidth = 32

// progress draws a bar over itself on a terminal, and writes a line every few
// seconds elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	total    int64 // bytes of all logs; 0 = not known
	began    time.Time

	what  atomic.Pointer[string]
	bytes atomic.Int64 // of logs that are done
	now   atomic.Pointer[source]
	lines atomic.Uint64
}

// watch runs until ctx ends.
func (p *progress) watch(ctx context.Context) {
	every := 5 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if p.terminal {
				_, _ = fmt.Fprint(p.w, "\r\x1b[K")
			}
			return
		case <-tick.C:
			p.show()
		}
	}
}

func (p *progress) show() {
	read := p.bytes.Load()
	if s := p.now.Load(); s != nil {
		read += s.read.Load()
	}
	text := p.text(read, p.lines.Load(), time.Since(p.began))
	if p.terminal {
		_, _ = fmt.Fprintf(p.w, "\r%s\x1b[K", text)
		return
	}
	_, _ = fmt.Fprintln(p.w, text)
}

// text is the state after so many bytes and lines.
func (p *progress) text(read int64, lines uint64, took time.Duration) string {
	rate := 0.0
	if took > 0 {
		rate = float64(lines) / took.Seconds()
	}
	what := ""
	if s := p.what.Load(); s != nil {
		what = *s + "  "
	}
	if p.total == 0 {
		return fmt.Sprintf("%s%d lines, %.0f/s", what, lines, rate)
	}
	share := min(float64(read)/float64(p.total), 1)
	bar := ""
	if p.terminal {
		full := int(share * barWidth)
		bar = "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] "
	}
	return fmt.Sprintf("%s%s%3.0f %%  %d lines, %.0f/s", what, bar, share*100, lines, rate)
}
