//go:build linux

package queue

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func init() { roles["million"] = million }

// resident is the process's resident memory and its highest, in bytes: heap,
// mapped files and everything else.
func resident() (now, peak int64) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		switch fields[0] {
		case "VmRSS:":
			now, _ = strconv.ParseInt(fields[1], 10, 64)
		case "VmHWM:":
			peak, _ = strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return now << 10, peak << 10
}

// million queues a million events as fast as it can, closes and opens the
// queue, and reads everything, and says what that took of memory.
func million(dir string) error {
	events := realistic(4096)
	base, _ := resident()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // resets the peak
	q, err := Open(Config{Dir: dir, ReserveFree: MinReserve})
	if err != nil {
		return err
	}
	for i := range 1_000_000 {
		q.Capture(1)
		q.Add(&events[i%len(events)])
	}
	if err := q.Flush(context.Background()); err != nil {
		return err
	}
	now, peak := resident()
	fmt.Println("queued", q.Counters().Queued, (now-base)>>10, (peak-base)>>10)
	if err := q.Close(context.Background()); err != nil {
		return err
	}
	if q, err = Open(Config{Dir: dir, ReserveFree: MinReserve}); err != nil {
		return err
	}
	var n uint64
	for pos := uint64(1); pos < q.NextSeq(); {
		f, err := q.Read(context.Background(), pos)
		if err != nil {
			return err
		}
		if err := f.Events(func(_ uint64, _ *shared.Event, _ error) { n++ }); err != nil {
			return err
		}
		pos = f.Header.LastSeq() + 1
	}
	now, peak = resident()
	fmt.Println("read", n, (now-base)>>10, (peak-base)>>10)
	return q.Close(context.Background())
}

// TestMemoryWithAMillionEvents: beyond what the process had before, at most
// 64 MiB at any moment: while a million events are added at full speed, while
// the queue is opened with them, and while they are read.
func TestMemoryWithAMillionEvents(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("takes seconds, and means nothing under the race detector")
	}
	p := start(t, as(t, "million", t.TempDir()))
	for _, step := range []string{"queued", "read"} {
		p.expect(t, step)
		var events, now, peak int64
		if _, err := fmt.Sscanf(p.out.Text(), step+" %d %d %d", &events, &now, &peak); err != nil || events != 1_000_000 {
			t.Fatalf("%q: %v", p.out.Text(), err)
		}
		t.Logf("%s: %d KiB, at most %d KiB beyond the process's own", step, now, peak)
		if peak > 64<<10 {
			t.Errorf("%s: %d KiB, at most 65536 are allowed", step, peak)
		}
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
}
