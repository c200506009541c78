package progress

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		s        State
		took     time.Duration
		want     string
	}{
		{true, State{Share: Share(50, 200), Count: 50, Of: "of 200 requests"}, 2 * time.Second, "[########------------------------]  25 %  50 of 200 requests, 25/s"},
		{false, State{Share: Share(50, 200), Count: 50, Of: "of 200 requests"}, 2 * time.Second, " 25 %  50 of 200 requests, 25/s"},
		{true, State{Share: Share(50, 0), Count: 50, Of: "requests"}, 2 * time.Second, "50 requests, 25/s"},
		{true, State{Doing: "checking", Share: Share(300, 200), Count: 9, Of: "lines"}, time.Second, "checking  [################################] 100 %  9 lines, 9/s"},
		{false, State{Doing: "importing", Share: Share(0, 0), Of: "lines"}, 0, "importing  0 lines, 0/s"},
	} {
		d := Display{Terminal: c.terminal}
		if got := d.text(c.s, c.took); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.s, got, c.want)
		}
	}
}

// A terminal is drawn on ten times a second, a file gets a line every five; at
// the end the state stays or is wiped off, and nothing comes after it.
func TestShow(t *testing.T) {
	for _, c := range []struct {
		name            string
		terminal, stays bool
		took            time.Duration
		want            string
	}{
		{"terminal", true, false, 250 * time.Millisecond, "\r7 lines, 70/s\x1b[K\r7 lines, 35/s\x1b[K\r\x1b[K"},
		{"terminal that keeps it", true, true, 140 * time.Millisecond, "\r7 lines, 70/s\x1b[K\r7 lines, 50/s\x1b[K\n"},
		{"file", false, false, 10500 * time.Millisecond, "7 lines, 1/s\n7 lines, 1/s\n"},
		{"file that keeps it", false, true, 6 * time.Second, "7 lines, 1/s\n7 lines, 1/s\n"},
		{"over at once", true, false, 0, "\r\x1b[K"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b strings.Builder
				d := &Display{
					W: &b, Terminal: c.terminal, Stays: c.stays, Began: time.Now(),
					State: func() State { return State{Share: -1, Count: 7, Of: "lines"} },
				}
				stop := d.Show(t.Context())
				time.Sleep(c.took)
				stop()
				if got := b.String(); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				time.Sleep(time.Minute)
				if got := b.String(); got != c.want {
					t.Errorf("after it was stopped: %q", got)
				}
			})
		})
	}
}
