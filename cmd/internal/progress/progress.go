// Package progress shows how far a long command has come.
//
// It promises that nothing is written any more once it was stopped. It refuses
// to know what is counted: the command says where it is whenever it is asked.
package progress

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

const barWidth = 32

// Display is where progress is shown, and how.
type Display struct {
	W        io.Writer
	Terminal bool // a bar that is drawn over itself; else a line every few seconds
	Stays    bool // at the end the last state is shown, and stays on the terminal
	Began    time.Time
	State    func() State // is called from another goroutine
}

// State is how far a command has come.
type State struct {
	Doing string // "" = it does one thing only
	// Share of the work that is done, 0 to 1; negative = not known.
	Share float64
	Count uint64
	Of    string // what is counted: "lines", "of 200 requests"
}

// Share is the part that is done of a total; 0 = the total is not known.
func Share(done, total uint64) float64 {
	if total == 0 {
		return -1
	}
	return min(float64(done)/float64(total), 1)
}

// Show shows the state until ctx ends or stop is called, which waits for the
// last of it.
func (d *Display) Show(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); d.watch(ctx) }()
	return func() { cancel(); <-done }
}

func (d *Display) watch(ctx context.Context) {
	every := 5 * time.Second
	if d.Terminal {
		every = 100 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			d.end()
			return
		case <-tick.C:
			d.write()
		}
	}
}

// end leaves the cursor at the beginning of a line.
func (d *Display) end() {
	if d.Stays {
		d.write()
	}
	switch {
	case d.Terminal && d.Stays:
		_, _ = fmt.Fprintln(d.W)
	case d.Terminal:
		_, _ = fmt.Fprint(d.W, "\r\x1b[K")
	}
}

func (d *Display) write() {
	text := d.text(d.State(), time.Since(d.Began))
	if d.Terminal {
		_, _ = fmt.Fprintf(d.W, "\r%s\x1b[K", text)
		return
	}
	_, _ = fmt.Fprintln(d.W, text)
}

// text is a state that was reached in this time.
func (d *Display) text(s State, took time.Duration) string {
	var b strings.Builder
	if s.Doing != "" {
		b.WriteString(s.Doing + "  ")
	}
	if s.Share >= 0 {
		if d.Terminal {
			full := int(s.Share * barWidth)
			b.WriteString("[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] ")
		}
		fmt.Fprintf(&b, "%3.0f %%  ", s.Share*100)
	}
	rate := 0.0
	if took > 0 {
		rate = float64(s.Count) / took.Seconds()
	}
	fmt.Fprintf(&b, "%d %s, %.0f/s", s.Count, s.Of, rate)
	return b.String()
}
