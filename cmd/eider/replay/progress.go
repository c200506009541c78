package replay

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

const barWidth = 32

// progress draws a bar over itself on a terminal and writes a line every few
// seconds elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	total    uint64 // 0 = not known
	began    time.Time
}

// watch runs until ctx ends, and leaves the last state on the screen.
func (p *progress) watch(ctx context.Context, done func() uint64) {
	every := 5 * time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.show(done())
			if p.terminal {
				_, _ = fmt.Fprintln(p.w)
			}
			return
		case <-tick.C:
			p.show(done())
		}
	}
}

func (p *progress) show(n uint64) {
	text := p.line(n, time.Since(p.began))
	if p.terminal {
		_, _ = fmt.Fprintf(p.w, "\r%s\x1b[K", text)
		return
	}
	_, _ = fmt.Fprintln(p.w, text)
}

// line is the state after n requests.
func (p *progress) line(n uint64, took time.Duration) string {
	rate := 0.0
	if took > 0 {
		rate = float64(n) / took.Seconds()
	}
	if p.total == 0 {
		return fmt.Sprintf("%d requests, %.0f/s", n, rate)
	}
	share := min(float64(n)/float64(p.total), 1)
	bar := ""
	if p.terminal {
		full := int(share * barWidth)
		bar = "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] "
	}
	return fmt.Sprintf("%s%3.0f %%  %d of %d requests, %.0f/s", bar, share*100, n, p.total, rate)
}
