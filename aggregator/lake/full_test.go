package lake

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/eider-analytics/eider/internal/volume"
)

// On a full volume nothing is lost and nothing ends: what was queryable stays
// so, Ingest waits once its buffer is full, and all goes on when there is room.
func TestAFullVolume(t *testing.T) {
	dir := volume.Tmpfs(t, 6<<20)
	l := openLake(t, Config{
		Dir: filepath.Join(dir, "lake"), HotDelay: 5 * time.Millisecond, CutAge: 50 * time.Millisecond,
		CutBytes: 128 << 10, MaxBuffered: 256 << 10, RetryMin: 5 * time.Millisecond, RetryMax: 20 * time.Millisecond,
	})
	tr := newTraffic(1, "example")
	pos, sent := uint64(0), int64(0)
	send := func(ctx context.Context) error {
		b := Batch{SpoolPos: pos + 1, Events: tr.take(100)}
		err := l.Ingest(ctx, b)
		if err == nil {
			pos++
			sent += 100
		} else {
			tr.seq -= 100 // nothing was taken: the same events come again
		}
		return err
	}
	if err := send(t.Context()); err != nil {
		t.Fatal(err)
	}
	flush(t, l)
	if err := send(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all events are queryable", func() bool { return visible(l) == sent })
	shown := sent

	ballast := filepath.Join(dir, "ballast")
	volume.Fill(t, ballast)
	waited := false
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := send(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			waited = true
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !waited {
		t.Errorf("Ingest took %d events without waiting", sent)
	}
	eventually(t, "the lake says that it can't write", func() bool { return !l.Stats().DegradedSince.IsZero() })
	if s := l.Stats(); !errors.Is(s.Err, syscall.ENOSPC) || s.HotBytes > 512<<10 {
		t.Errorf("%+v", s)
	}
	s := l.Snapshot()
	if n := int64(len(contents(t, s))); n < shown {
		t.Errorf("%d events are queryable, %d were", n, shown)
	}
	s.Release()
	before := l.Stats().SpoolThrough

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := send(t.Context()); err != nil { // goes through once there is room
		t.Fatal(err)
	}
	flush(t, l)
	all := l.Snapshot()
	defer all.Release()
	seen := contents(t, all)
	for k, n := range seen {
		if n != 1 {
			t.Errorf("event %v is there %d times", k, n)
		}
	}
	if int64(len(seen)) != sent {
		t.Errorf("%d events of %d", len(seen), sent)
	}
	if s := l.Stats(); !s.DegradedSince.IsZero() || s.Err != nil || s.SpoolThrough <= before {
		t.Errorf("%+v", s)
	}
	if tmp, _ := filepath.Glob(filepath.Join(dir, "lake/events/*/*/*"+tmpSuffix)); len(tmp) != 0 {
		t.Errorf("left are %v", tmp)
	}
}
