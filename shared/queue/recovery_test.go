package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

// abandon leaves a log as a killed process would: files as they are, only the
// lock let go.
func abandon(l *Log) {
	l.mu.Lock()
	l.closed = true
	l.keeper.Broadcast()
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	l.closeFiles()
}

func abandonQueue(q *Queue) {
	q.batches.close()
	q.closing.Do(func() {
		close(q.stop)
		q.finished.Wait()
		q.books.file.close()
		abandon(q.l)
	})
}

// lastLog is the file with the newest records.
func lastLog(t testing.TB, dir string) string {
	t.Helper()
	for _, pattern := range []string{memFile, sealedFile} {
		paths, _ := filepath.Glob(filepath.Join(dir, segmentsDir, "*", pattern))
		best := ""
		for _, p := range paths {
			if items, _, _, err := indexOf(p); err == nil && len(items) > 0 {
				best = p
			}
		}
		if best != "" {
			return best
		}
	}
	t.Fatal("no segment with records")
	return ""
}

// killedQueue writes n events in batches of ten and leaves the queue as after
// a kill. It returns the directory.
func killedQueue(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	q := openQueue(t, dir)
	for id := 1; id <= n; id += 10 {
		add(t, q, id, id+9)
	}
	abandonQueue(q)
	return dir
}

func TestTornTailAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(LogConfig{Dir: dir, SegmentSize: minSegment})
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"first", "second", "third and last"} {
		if _, err := l.Append(10, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	log := lastLog(t, dir)
	items, end, _, err := indexOf(log)
	if err != nil || len(items) != 3 {
		t.Fatalf("%v, %v", items, err)
	}
	abandon(l)
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	// Cut anywhere inside of the last record, by zeros as after a power loss
	// and by a shorter file, everything before it is there and it is not.
	for cut := items[2].from; cut < end; cut++ {
		for _, zero := range []bool{true, false} {
			torn := bytes.Clone(whole[:cut])
			if zero {
				torn = append(torn, make([]byte, int64(len(whole))-cut)...)
			}
			if err := os.WriteFile(log, torn, 0o600); err != nil {
				t.Fatal(err)
			}
			got, _, _, err := indexOf(log)
			want := 2
			if cut >= items[2].to-entryCRC {
				want = 3 // only bytes that Badger adds are missing: it is whole
			}
			if err != nil || len(got) != want {
				t.Fatalf("cut at %d of %d (zeros %v): %d records, %v", cut, end, zero, len(got), err)
			}
		}
	}
	// And once through the front door.
	if err := os.WriteFile(log, whole[:items[2].from+40], 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = OpenLog(LogConfig{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if l.Next() != 21 {
		t.Fatalf("next is %d", l.Next())
	}
	if first, err := l.Append(1, []byte("again")); err != nil || first != 21 {
		t.Fatalf("%d, %v", first, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDamageCostsWhatWasDamagedAndIsCounted(t *testing.T) {
	dir := killedQueue(t, 1000)
	log := lastLog(t, dir)
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	items, _, _ := indexBytes(b)
	hit := items[len(items)/2]
	for i := range 16 {
		b[(hit.from+hit.to)/2+int64(i)] ^= 0xff
	}
	if err := os.WriteFile(log, b, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Inspect(dir)
	if err != nil || len(report.Missing) != 1 || report.Missing[0].First != hit.first || report.Missing[0].Last != hit.next-1 {
		t.Fatalf("%+v, %v", report.Missing, err)
	}
	q := openQueue(t, dir)
	lost := hit.next - hit.first
	if c := balanced(t, q); c.Lost != lost || c.Captured != 1000 || c != report.Counters {
		t.Fatalf("%+v\n%+v", c, report.Counters)
	}
	got := drain(t, q, 1)
	for pos := uint64(1); pos <= 1000; pos++ {
		want := pageview(int(pos)).Pathname
		if hit.first <= pos && pos < hit.next {
			want = shared.LossCorruption.String()
		}
		if got[pos] != want {
			t.Fatalf("position %d is %q, want %q", pos, got[pos], want)
		}
	}
	// The marker is the same bytes at the next opening, and its acknowledgement
	// is counted once.
	before, err := q.Read(t.Context(), hit.first)
	if err != nil {
		t.Fatal(err)
	}
	closeQueue(t, q)
	q = openQueue(t, dir)
	after, err := q.Read(t.Context(), hit.first)
	if err != nil || !bytes.Equal(before.Bytes, after.Bytes) || after.Header.BaseTime == 0 {
		t.Fatalf("%+v\n%+v\n%v", before.Header, after.Header, err)
	}
	if err := q.Ack(1000, 0, 0); err != nil {
		t.Fatal(err)
	}
	if c := balanced(t, q); c.Stored != 1000-lost || c.Lost != lost || c.Queued != 0 {
		t.Fatalf("%+v", c)
	}
}

// Everything behind what was found and below what was durable is lost, and
// new events get sequences behind it.
func TestLostTailBelowTheSyncedMark(t *testing.T) {
	for name, damage := range map[string]func(path string, items []item) error{
		"cut":     func(path string, items []item) error { return os.Truncate(path, items[60].from) },
		"removed": func(path string, _ []item) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := killedQueue(t, 1000)
			log := lastLog(t, dir)
			items, _, _, err := indexOf(log)
			if err != nil {
				t.Fatal(err)
			}
			kept := items[60].first - 1
			if name == "removed" {
				kept = 0
			}
			if err := damage(log, items); err != nil {
				t.Fatal(err)
			}
			q := openQueue(t, dir)
			if c := balanced(t, q); c.Lost != 1000-kept || c.Queued != kept || q.NextSeq() != 1001 {
				t.Fatalf("next %d, %+v", q.NextSeq(), c)
			}
			add(t, q, 1001, 1010)
			got := drain(t, q, 1)
			if len(got) != 1010 || got[kept+1] != "corruption" || got[1000] != "corruption" || got[1010] != "/1010" {
				t.Fatalf("%d: %q %q %q", len(got), got[kept+1], got[1000], got[1010])
			}
			f, err := q.Read(t.Context(), kept+1)
			if err != nil || f.Header.Epoch == q.Epoch() || f.Header.LastSeq() != 1000 {
				t.Fatalf("the marker belongs to the epoch that lost it: %+v, %v", f.Header, err)
			}
		})
	}
}

func TestDamageFoundWhileReading(t *testing.T) {
	dir := killedQueue(t, 200)
	q := openQueue(t, dir) // seals
	log := lastLog(t, dir)
	items, _, _, err := indexOf(log)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(log, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("rot"), items[5].to-60); err != nil {
		t.Fatal(err)
	}
	f.Close()
	got := drain(t, q, 1)
	if got[items[5].first] != "corruption" || got[items[5].next] != pageview(int(items[5].next)).Pathname {
		t.Fatalf("%q, %q", got[items[5].first], got[items[5].next])
	}
	if c := balanced(t, q); c.Lost != items[5].next-items[5].first {
		t.Fatalf("%+v", c)
	}
}

func TestAHalfWrittenCheckpointLeavesTheOther(t *testing.T) {
	dir := t.TempDir()
	q := openQueue(t, dir)
	add(t, q, 1, 100)
	for _, through := range []uint64{10, 20, 30} {
		if err := q.Ack(through, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	abandonQueue(q)
	path := filepath.Join(dir, checkpointFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newest := 0
	if binary.LittleEndian.Uint64(b[checkpointSlot+16:]) > binary.LittleEndian.Uint64(b[16:]) {
		newest = checkpointSlot
	}
	b[newest+40] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	q = openQueue(t, dir)
	if q.Acked() != 20 {
		t.Fatalf("acked %d", q.Acked())
	}
	balanced(t, q)
	closeQueue(t, q)

	// Both damaged: said so, and the way out that it names works.
	for i := range b {
		b[i] ^= 0x55
	}
	copy(b, checkpointMagic)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, ReserveFree: MinReserve}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "delete "+path) {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	q = openQueue(t, dir)
	if c := balanced(t, q); c.Queued != 100 || q.Acked() != 0 {
		t.Fatalf("acked %d, %+v", q.Acked(), c)
	}
}
