package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

func openQueue(t testing.TB, dir string, change ...func(*Config)) *Queue {
	t.Helper()
	cfg := Config{Dir: dir, ReserveFree: MinReserve, SealAge: time.Millisecond, Sync: 5 * time.Millisecond}
	for _, f := range change {
		f(&cfg)
	}
	q, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeQueue(t, q) })
	return q
}

func closeQueue(t testing.TB, q *Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := q.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

// pageview is an event whose pathname tells which one it is.
func pageview(id int) shared.Event {
	return shared.Event{
		Site: "example.com", Kind: shared.KindPageview, Origin: shared.OriginEdge, Verdict: shared.VerdictLikely,
		Time: time.Now().UnixMicro(), Pathname: fmt.Sprintf("/%d", id),
	}
}

// add captures and adds events first to last, and waits until they are durable.
func add(t testing.TB, q *Queue, first, last int) {
	t.Helper()
	for id := first; id <= last; id++ {
		q.Capture(1)
		e := pageview(id)
		q.Add(&e)
	}
	settle(t, q)
}

func settle(t testing.TB, q *Queue) {
	t.Helper()
	if err := q.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	q.sync()
}

// drain reads everything from pos on and returns the pathnames by position;
// lost positions have the loss's reason.
func drain(t testing.TB, q *Queue, pos uint64) map[uint64]string {
	t.Helper()
	got := map[uint64]string{}
	for pos < q.l.Synced() {
		f, err := q.Read(context.Background(), pos)
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.FirstSeq > pos || f.Header.LastSeq() < pos {
			t.Fatalf("read %d, got %d to %d", pos, f.Header.FirstSeq, f.Header.LastSeq())
		}
		if f.Header.Kind == shared.BatchLost {
			for at := pos; at <= f.Header.LastSeq(); at++ {
				got[at] = f.Header.LossReason.String()
			}
		}
		err = f.Events(func(_ uint64, e *shared.Event, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Seq >= pos {
				got[e.Seq] = e.Pathname
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		pos = f.Header.LastSeq() + 1
	}
	return got
}

func balanced(t testing.TB, q *Queue) shared.Counters {
	t.Helper()
	c := q.Counters()
	if n := c.Unbalanced(); n != 0 || int64(c.Queued) < 0 {
		t.Fatalf("the books are off by %d: %+v", n, c)
	}
	return c
}

func TestReadDoesNotDeleteAcknowledgementDoes(t *testing.T) {
	dir := t.TempDir()
	q := openQueue(t, dir)
	add(t, q, 1, 1000)
	for range 2 {
		if got := drain(t, q, 1); len(got) != 1000 || got[1] != "/1" || got[1000] != "/1000" {
			t.Fatalf("%d events, %q, %q", len(got), got[1], got[1000])
		}
	}
	if err := q.Ack(600, 10, 5); err != nil {
		t.Fatal(err)
	}
	if err := q.Ack(600, 10, 5); err != nil { // again: counts nothing
		t.Fatal(err)
	}
	want := shared.Counters{Captured: 1000, Queued: 400, Stored: 585, Rejected: 10, Lost: 5}
	if c := balanced(t, q); c != want {
		t.Fatalf("\n got %+v\nwant %+v", c, want)
	}
	edge, epoch := q.Edge(), q.Epoch()
	closeQueue(t, q)
	q = openQueue(t, dir)
	if q.Edge() != edge || q.Epoch() == epoch || q.Acked() != 600 || q.NextSeq() != 1001 {
		t.Fatalf("edge %s epoch %s acked %d next %d", q.Edge(), q.Epoch(), q.Acked(), q.NextSeq())
	}
	if c := balanced(t, q); c != want {
		t.Fatalf("after opening again\n got %+v\nwant %+v", c, want)
	}
	if got := drain(t, q, 601); len(got) != 400 || got[601] != "/601" {
		t.Fatalf("%d events, %q", len(got), got[601])
	}
	add(t, q, 1001, 1001)
	f, err := q.Read(context.Background(), 1001)
	if err != nil || f.Header.Epoch != q.Epoch() || f.Header.EpochFirst != 1001 {
		t.Fatalf("%+v, %v", f.Header, err)
	}
}

func TestRotationOverManySegments(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(LogConfig{Dir: dir, SegmentSize: minSegment})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var want [][]byte
	var firsts []uint64
	for range 400 {
		data := make([]byte, r.IntN(40_000))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		first, err := l.Append(uint64(1+r.IntN(5)), data)
		if err != nil {
			t.Fatal(err)
		}
		want, firsts = append(want, data), append(firsts, first)
	}
	check := func() {
		t.Helper()
		for i, first := range firsts {
			rec, err := l.Read(first)
			if err != nil || rec.First != first || string(rec.Data) != string(want[i]) {
				t.Fatalf("record %d at %d: %v", i, first, err)
			}
		}
	}
	check()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLog(LogConfig{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	check()
	if err := l.Trim(l.Next()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return l.Oldest() == l.Next() })
	if _, err := l.Read(1); !errors.As(err, new(*HoleError)) {
		t.Fatalf("what was trimmed is %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
	}
}
