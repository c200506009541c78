package queue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// stuff adds n events of a few kilobytes that don't compress.
func stuff(t testing.TB, q *Queue, n int) {
	t.Helper()
	events := realistic(1)
	for range n {
		q.Capture(1)
		var noise strings.Builder
		for noise.Len() < 4000 {
			noise.WriteString(shared.NewEdgeID().String())
		}
		events[0].Title = noise.String()
		q.Add(&events[0])
	}
	settle(t, q)
}

func small(c *Config) { c.MaxSize, c.segmentSize = 8<<20, minSegment }

func TestDropNewestAtTheCap(t *testing.T) {
	dir := t.TempDir()
	q := openQueue(t, dir, small)
	stuff(t, q, 6000)
	c := balanced(t, q)
	d := c.Dropped[shared.DropCap]
	if d.Count == 0 || c.Lost != 0 || c.Queued+d.Count != 6000 || c.Queued < 500 {
		t.Fatalf("%+v", c)
	}
	if now := time.Now().UnixMicro(); d.From > d.To || now-d.To > time.Minute.Microseconds() {
		t.Fatalf("dropped from %d to %d", d.From, d.To)
	}
	if q.l.Size() > 8<<20 || dirSize(t, dir) > 8<<20 {
		t.Fatalf("%d bytes, %d on disk", q.l.Size(), dirSize(t, dir))
	}
	if err := q.AddWait(context.Background(), realistic(2000)); !errors.Is(err, ErrFull) {
		t.Logf("a waiting event still fits: %v", err)
	}
	if !strings.Contains(q.Stats().Degraded, "maximum size") {
		t.Fatalf("%+v", q.Stats())
	}
	// Drops survive; acknowledgement makes room at once.
	closeQueue(t, q)
	q = openQueue(t, dir, small)
	if again := balanced(t, q); again.Dropped != c.Dropped {
		t.Fatalf("\n got %+v\nwant %+v", again.Dropped, c.Dropped)
	}
	if err := q.Ack(q.NextSeq()-1, 0, 0); err != nil {
		t.Fatal(err)
	}
	before := balanced(t, q).Dropped[shared.DropCap].Count
	stuff(t, q, 500)
	if c := balanced(t, q); c.Dropped[shared.DropCap].Count != before || c.Queued != 500 {
		t.Fatalf("%+v", c)
	}
}

func TestDropOldestLeavesAMarker(t *testing.T) {
	dir := t.TempDir()
	q := openQueue(t, dir, small, func(c *Config) { c.Drop = DropOldest })
	stuff(t, q, 6000)
	c := balanced(t, q)
	if c.DroppedTotal() != 0 || c.Lost == 0 || c.Queued+c.Lost != 6000 {
		t.Fatalf("%+v", c)
	}
	f, err := q.Read(t.Context(), 1)
	if err != nil || f.Header.Kind != shared.BatchLost || f.Header.LossReason != shared.LossDropOldest ||
		f.Header.FirstSeq != 1 || f.Header.Count != c.Lost || f.Header.Counters != (shared.Counters{}) {
		t.Fatalf("%+v, %v", f.Header, err)
	}
	if got := drain(t, q, 1); len(got) != 6000 || got[6000] == "drop_oldest" {
		t.Fatalf("%d", len(got))
	}
	if err := q.Ack(c.Lost/2, 0, 0); err != nil { // inside of the hole
		t.Fatal(err)
	}
	if again := balanced(t, q); again.Lost != c.Lost || again.Queued != c.Queued || again.Stored != 0 {
		t.Fatalf("%+v", again)
	}
	closeQueue(t, q)
	q = openQueue(t, dir, small)
	if again := balanced(t, q); again.Lost != c.Lost || again.Queued != c.Queued {
		t.Fatalf("%+v", again)
	}
	if err := q.Ack(6000, 3, c.Lost-c.Lost/2+2); err != nil { // the rest of the hole, and two
		t.Fatal(err)
	}
	if got := balanced(t, q); got.Lost != c.Lost+2 || got.Rejected != 3 || got.Stored != c.Queued-5 || got.Queued != 0 {
		t.Fatalf("%+v", got)
	}
}

// Acknowledged segments are kept up to a tenth of the cap, and can be read
// again; their space really comes back beyond that.
func TestAcknowledgedIsKeptForAWhile(t *testing.T) {
	dir := t.TempDir()
	q := openQueue(t, dir, func(c *Config) { c.MaxSize, c.segmentSize = 40<<20, minSegment })
	stuff(t, q, 8000)
	full := dirSize(t, dir)
	if err := q.Ack(8000, 0, 0); err != nil {
		t.Fatal(err)
	}
	most := int64(4<<20 + 3*footprint(minSegment)) // grace, and what is open
	waitFor(t, func() bool { return dirSize(t, dir) < most })
	oldest := q.l.Oldest()
	waitFor(t, func() bool { // until the keeper has nothing more to remove
		was := oldest
		time.Sleep(300 * time.Millisecond)
		oldest = q.l.Oldest()
		return oldest == was
	})
	if full < most+4<<20 || oldest == 1 || oldest > 7500 {
		t.Fatalf("%d bytes at first, kept from %d on", full, oldest)
	}
	if got := drain(t, q, oldest); len(got) != int(8001-oldest) {
		t.Fatalf("%d events", len(got))
	}
	kept := q.Kept()
	if len(kept) != 1 || kept[0].First != oldest || kept[0].Last != 8000 || kept[0].Epoch != q.Epoch() {
		t.Fatalf("%+v from %d", kept, oldest)
	}
	f, err := q.Read(t.Context(), 1)
	if err != nil || f.Header.LossReason != shared.LossTrimmed || f.Header.LastSeq() != oldest-1 {
		t.Fatalf("%+v, %v", f.Header, err)
	}
	if c := balanced(t, q); c.Stored != 8000 || c.Lost != 0 {
		t.Fatalf("%+v", c)
	}
}

func TestKeptListsEpochs(t *testing.T) {
	dir := t.TempDir()
	var want []shared.EpochSpan
	for i := range 4 {
		q := openQueue(t, dir)
		if i != 2 { // the third opening seals nothing
			first := q.NextSeq()
			add(t, q, i*10+1, i*10+10)
			want = append(want, shared.EpochSpan{Epoch: q.Epoch(), Range: shared.Range{First: first, Last: first + 9}})
		}
		if i == 3 {
			kept := q.Kept()
			if len(kept) != 3 || kept[0] != want[0] || kept[1] != want[1] || kept[2] != want[2] {
				t.Fatalf("\n got %+v\nwant %+v", kept, want)
			}
		}
		closeQueue(t, q)
	}
}

func TestNewIdentity(t *testing.T) {
	dir := t.TempDir()
	q := openQueue(t, dir)
	add(t, q, 1, 5)
	edge, epoch := q.Edge(), q.Epoch()
	if err := q.NewIdentity(); err != nil {
		t.Fatal(err)
	}
	if q.Edge() == edge || q.Epoch() == epoch {
		t.Fatal("the identity has not changed")
	}
	add(t, q, 6, 9)
	for pos, want := range map[uint64]shared.EdgeID{5: edge, 6: q.Edge()} {
		f, err := q.Read(t.Context(), pos)
		if err != nil || f.Header.Edge != want {
			t.Fatalf("position %d: %+v, %v", pos, f.Header, err)
		}
	}
	edge = q.Edge()
	closeQueue(t, q)
	if q = openQueue(t, dir); q.Edge() != edge {
		t.Fatal("the new edge id does not last")
	}
}

func TestReadWaitsForWhatIsDurable(t *testing.T) {
	q := openQueue(t, t.TempDir(), func(c *Config) { c.Sync = time.Hour })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := q.AddWait(t.Context(), realistic(3)); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Read(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("written, not durable: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		f, err := q.Read(context.Background(), 1)
		if err == nil && f.Header.Count != 3 {
			err = errors.New("another frame")
		}
		got <- err
	}()
	q.sync()
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestSyncAlways(t *testing.T) {
	q := openQueue(t, t.TempDir(), func(c *Config) { c.Sync = SyncAlways })
	if err := q.AddWait(t.Context(), realistic(3)); err != nil {
		t.Fatal(err)
	}
	if q.l.Synced() != 4 {
		t.Fatalf("synced %d", q.l.Synced())
	}
}

func TestWaitingCallsShareABatch(t *testing.T) {
	q := openQueue(t, t.TempDir())
	var calls sync.WaitGroup
	for range 50 {
		calls.Go(func() {
			if err := q.AddWait(context.Background(), realistic(1)); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	settle(t, q)
	frames := 0
	for pos := uint64(1); pos < q.NextSeq(); frames++ {
		f, err := q.Read(t.Context(), pos)
		if err != nil {
			t.Fatal(err)
		}
		pos = f.Header.LastSeq() + 1
	}
	if c := balanced(t, q); c.Captured != 50 || frames > 25 {
		t.Fatalf("%d frames, %+v", frames, c)
	}
}

// A failed sync is not believed when it succeeds later: the records are copied.
func TestASyncThatFailedIsMadeUpFor(t *testing.T) {
	l, err := OpenLog(LogConfig{Dir: t.TempDir(), SegmentSize: minSegment})
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"one", "never on disk", "two"} {
		if _, err := l.Append(1, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	l.mu.Lock()
	l.active.suspect = true // as after an error
	it := l.active.items[1]
	_, err = l.active.file.WriteAt([]byte("gone"), it.from+40) // a page that the disk has not taken
	l.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	var hole *HoleError
	if _, err := l.Read(2); !errors.As(err, &hole) { // who looks before the copy is made
		t.Fatal(err)
	}
	if err := l.Sync(); err == nil {
		t.Fatal("a suspect segment was taken for durable")
	}
	waitFor(t, func() bool { return l.Sync() == nil && l.Synced() == 4 })
	if _, err := l.Append(1, []byte("three")); err != nil {
		t.Fatal(err)
	}
	for pos, want := range map[uint64]string{1: "one", 3: "two", 4: "three"} {
		if rec, err := l.Read(pos); err != nil || string(rec.Data) != want {
			t.Fatalf("%q, %v", rec.Data, err)
		}
	}
	if _, err := l.Read(2); !errors.As(err, &hole) || hole.First != 2 || hole.Last != 2 || hole.Reason != HoleCorruption {
		t.Fatal(err)
	}
	if n := l.lostIn(1, 5); n != 1 {
		t.Errorf("%d records count as lost", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestClosingCountsWhatItCannotWrite(t *testing.T) {
	dir := t.TempDir()
	q := openQueue(t, dir)
	add(t, q, 1, 10)
	closeQueue(t, q)
	e := pageview(11)
	q.Capture(1)
	q.Add(&e) // too late
	if c := balanced(t, q); c.Dropped[shared.DropError].Count != 1 || c.Queued != 10 {
		t.Fatalf("%+v", c)
	}
	if err := q.AddWait(t.Context(), []shared.Event{e}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, err := q.Read(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
}

func TestConfigurationErrors(t *testing.T) {
	for says, cfg := range map[string]Config{
		"directory":    {},
		"reserve_free": {Dir: t.TempDir(), ReserveFree: 1 << 20},
		"maximum size": {Dir: t.TempDir(), MaxSize: 1 << 20},
		"seal_age":     {Dir: t.TempDir(), SealAge: time.Hour},
	} {
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	l, err := OpenLog(LogConfig{Dir: t.TempDir(), SegmentSize: minSegment})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append(1, make([]byte, minSegment)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := l.Trim(5); !errors.Is(err, ErrBeyond) {
		t.Error(err)
	}
}

// dirSize is what the volume has given to a directory.
func dirSize(t testing.TB, dir string) int64 {
	t.Helper()
	var n int64
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // it may be removed while we look
		}
		if fi, err := d.Info(); err == nil {
			n += allocated(fi)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWholeIsOneBatch: whatever else is being written, and however large it is,
// what is added as a whole is one frame, and begins where it was said to.
func TestWholeIsOneBatch(t *testing.T) {
	q := openQueue(t, t.TempDir())
	defer closeQueue(t, q)
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for range 50 {
				if err := q.AddWait(t.Context(), realistic(7)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var firsts []uint64
	const large = 3000 // twice what a batch is sealed at, and more
	for range 10 {
		if err := q.AddWhole(realistic(large), func(first uint64, _ [batch.SumSize]byte) error {
			firsts = append(firsts, first)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	others.Wait()
	if len(firsts) != 10 {
		t.Fatalf("told %d times where a batch begins", len(firsts))
	}
	for _, first := range firsts {
		f, err := q.Read(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.FirstSeq != first || f.Header.Count != large {
			t.Errorf("at %d is a batch from %d of %d events", first, f.Header.FirstSeq, f.Header.Count)
		}
	}
	if c := q.Counters(); c.Captured != 10*large+4*50*7 || c.Unbalanced() != 0 {
		t.Errorf("books %+v", c)
	}
}
