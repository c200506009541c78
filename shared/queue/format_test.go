package queue

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

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
