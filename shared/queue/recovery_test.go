package queue

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

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

func TestWhatIsNotOursIsRefused(t *testing.T) {
	slot := func(version uint16, magic string) []byte {
		s := &slotFile{magic: magic, slotSize: identitySlot}
		b := make([]byte, 2*identitySlot)
		d := identity{kind: "queue"}
		if err := s.encode(b[:identitySlot], version, d.encode()); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, c := range map[string]struct {
		make func(dir string) error
		want error
		says string
	}{
		"another program's files": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "photo.jpg"), []byte("x"), 0o600)
		}, ErrForeign, "photo.jpg"},
		"a Badger directory": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte("Bdgr"), 0o600)
		}, ErrForeign, "MANIFEST"},
		"an identity that is something else": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, identityFile), []byte("ssh-ed25519 AAAA"), 0o600)
		}, ErrForeign, identityFile},
		"an identity cut to nothing": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, identityFile), nil, 0o600)
		}, ErrCorrupt, identityFile},
		"a damaged identity": {func(dir string) error {
			b := slot(1, identityMagic)
			b[30] ^= 1
			return os.WriteFile(filepath.Join(dir, identityFile), b, 0o600)
		}, ErrCorrupt, identityFile},
		"a newer version": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, identityFile), slot(formatVersion+1, identityMagic), 0o600)
		}, ErrNewer, "run that version"},
		"segments without an identity": {func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, segmentsDir, segmentName(1)), 0o700)
		}, ErrCorrupt, identityFile},
		"a link to a directory": {func(dir string) error {
			return errors.Join(os.Rename(dir, dir+"2"), os.Symlink(dir+"2", dir))
		}, ErrForeign, "symbolic link"},
		"a file": {func(dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		}, nil, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "queue")
			if err := errors.Join(os.Mkdir(dir, 0o700), c.make(dir)); err != nil {
				t.Fatal(err)
			}
			before := listing(t, filepath.Dir(dir))
			_, err := Open(Config{Dir: dir, ReserveFree: MinReserve})
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			if after := listing(t, filepath.Dir(dir)); after != before {
				t.Fatalf("opening changed it:\n%s\nwas\n%s", after, before)
			}
			if _, err := Inspect(dir); err == nil {
				t.Fatal("Inspect accepts it")
			}
		})
	}
}

func listing(t testing.TB, dir string) string {
	t.Helper()
	var s strings.Builder
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		s.WriteString(path + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

func TestASpoolIsNoQueue(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(LogConfig{Dir: dir, Kind: "spool"})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir, ReserveFree: MinReserve}); !errors.Is(err, ErrForeign) {
		t.Fatal(err)
	}
}

func TestTheDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	openQueue(t, dir)
	if _, err := Open(Config{Dir: dir, ReserveFree: MinReserve}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatal(err)
	}
	if _, err := Inspect(dir); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
}

func TestADeletedDirectoryIsANewQueue(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "queue")
	q := openQueue(t, dir)
	add(t, q, 1, 10)
	edge := q.Edge()
	closeQueue(t, q)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	q = openQueue(t, dir)
	if q.Edge() == edge || q.NextSeq() != 1 || balanced(t, q) != (shared.Counters{}) {
		t.Fatalf("edge %s, next %d", q.Edge(), q.NextSeq())
	}
}

// A directory whose creation was cut short at any step is created again.
func TestCreationCutShort(t *testing.T) {
	for _, files := range [][]string{
		{}, {segmentsDir + "/"}, {segmentsDir + "/", identityFile + tmpSuffix}, {"lost+found/"},
		{checkpointFile, countersFile, segmentsDir + "/"},
	} {
		dir := t.TempDir()
		for _, name := range files {
			var err error
			if strings.HasSuffix(name, "/") {
				err = os.Mkdir(filepath.Join(dir, name), 0o700)
			} else {
				err = os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		q := openQueue(t, dir)
		add(t, q, 1, 3)
		if got := drain(t, q, 1); len(got) != 3 {
			t.Fatalf("%v: %v", files, got)
		}
	}
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

func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
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

// A sealed segment is Badger's own log: with its name back, Badger reads it.
func TestASealedSegmentIsBadgers(t *testing.T) {
	dir := t.TempDir()
	l, err := OpenLog(LogConfig{Dir: dir, SegmentSize: minSegment})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := l.Append(3, bytes.Repeat([]byte("abc"), 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	b, err := os.ReadFile(lastLog(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, memFile), b, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := badger.OpenManaged(badger.DefaultOptions(other).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	txn := db.NewTransactionAt(1<<62, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.DefaultIteratorOptions)
	defer it.Close()
	n := uint64(0)
	for it.Rewind(); it.Valid(); it.Next() {
		err := it.Item().Value(func(v []byte) error {
			p, _, err := parsePart(v)
			if p.first != 3*n+1 || string(p.data[:3]) != "abc" {
				t.Errorf("record %d begins at %d", n, p.first)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 20 {
		t.Fatalf("badger finds %d records", n)
	}
}

func TestScanIgnoresWhatOnlyLooksLikeARecord(t *testing.T) {
	good := appendPart(nil, part{first: 7, count: 2, parts: 1, data: []byte("data")})
	forged := bytes.Clone(good)
	binary.LittleEndian.PutUint64(forged[8:], 0) // no such position, though the sum fits
	binary.LittleEndian.PutUint32(forged[4:], crc32.Checksum(forged[8:], castagnoli))
	if _, _, err := parsePart(forged); err == nil {
		t.Fatal("position 0 was accepted")
	}
	n := 0
	b := append([]byte("noise "+recordMagic+" noise"), good...)
	scanLog(b, 0, func(f found) {
		n++
		if f.first != 7 || string(f.data()) != "data" {
			t.Fatalf("%+v", f)
		}
	})
	if n != 1 {
		t.Fatalf("%d records", n)
	}
}

func FuzzScanLog(f *testing.F) {
	dir := f.TempDir()
	w, err := createWriter(dir, 1, minSegment, false, discardLogger)
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		if _, _, err := w.append(uint64(i*10+1), 10, bytes.Repeat([]byte{byte(i)}, 30*i)); err != nil {
			f.Fatal(err)
		}
	}
	b := make([]byte, w.used)
	if _, err := w.log.ReadAt(b, 0); err != nil {
		f.Fatal(err)
	}
	if err := w.dispose(); err != nil {
		f.Fatal(err)
	}
	f.Add(b[logHeader:])
	f.Add(appendPart(nil, part{first: 1, count: 1, index: 0, parts: 2, data: []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		end, _ := scanLog(b, 0, func(f found) {
			if f.first == 0 || f.count == 0 || f.from < 0 || f.to > int64(len(b)) || f.from >= f.to || len(f.data()) > len(b) {
				t.Fatalf("%+v of %d bytes", f, len(b))
			}
			// What the index says is what a reader finds.
			rec, err := readItem(bytes.NewReader(b), item{first: f.first, next: f.first + f.count, from: f.from, to: f.to})
			if err != nil || !bytes.Equal(rec.Data, f.data()) {
				t.Fatalf("%v: %+v", err, f)
			}
		})
		if end > int64(len(b)) {
			t.Fatalf("ends at %d of %d", end, len(b))
		}
	})
}

func FuzzSlots(f *testing.F) {
	s := &slotFile{magic: checkpointMagic, slotSize: 512}
	b := make([]byte, 512)
	c := checkpoint{trim: 5, synced: 9, holes: []hole{{first: 2, last: 3, reason: HoleCorruption}}, meta: []byte("meta")}
	if err := s.encode(b, 1, c.encode()); err != nil {
		f.Fatal(err)
	}
	d := identity{kind: "queue", meta: []byte("m")}
	f.Add(b, c.encode())
	f.Add(b, d.encode())
	f.Fuzz(func(t *testing.T, slot, payload []byte) {
		_, _, _, _ = decodeSlot(slot, checkpointMagic)
		var c checkpoint
		if c.decode(payload) == nil {
			var again checkpoint
			if len(c.holes) <= maxHoles && again.decode(c.encode()) != nil {
				t.Fatalf("%+v does not survive", c)
			}
		}
		_ = new(identity).decode(payload)
	})
}
