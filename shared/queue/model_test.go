package queue

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// model is what a log must be, as a slice.
type model struct {
	records []Record
	trim    uint64
	holes   [][2]uint64 // dropped as the oldest
}

func (m *model) next() uint64 {
	if n := len(m.records); n > 0 {
		return m.records[n-1].First + m.records[n-1].Count
	}
	return 1
}

func (m *model) at(pos uint64) (Record, bool) {
	for _, h := range m.holes {
		if h[0] <= pos && pos <= h[1] {
			return Record{}, false
		}
	}
	for _, r := range m.records {
		if r.First <= pos && pos < r.First+r.Count {
			return r, true
		}
	}
	return Record{}, false
}

// TestModel plays random operations on a log and on a slice.
func TestModel(t *testing.T) {
	for range 4 {
		playModel(t, rand.Uint64())
	}
}

func playModel(t *testing.T, seed uint64) {
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	cfg := LogConfig{Dir: t.TempDir(), SegmentSize: minSegment, GraceSize: 1 << 20, Grace: 1 << 40}
	l, err := OpenLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := model{trim: 1}
	for step := range 600 {
		switch op := r.IntN(100); {
		case op < 60:
			data := make([]byte, r.IntN(40_000))
			if r.IntN(30) == 0 {
				data = make([]byte, r.IntN(400_000)) // in several parts
			}
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			count := 1 + r.Uint64N(5)
			first, err := l.Append(count, data)
			if err != nil || first != m.next() {
				t.Fatalf("step %d: append at %d instead of %d: %v", step, first, m.next(), err)
			}
			m.records = append(m.records, Record{First: first, Count: count, Data: data})
		case op < 65:
			if err := l.Sync(); err != nil || l.Synced() != m.next() {
				t.Fatalf("step %d: synced %d of %d: %v", step, l.Synced(), m.next(), err)
			}
		case op < 70:
			m.trim += r.Uint64N(m.next() - m.trim + 1)
			if err := l.Trim(m.trim); err != nil {
				t.Fatal(err)
			}
		case op < 94:
			checkAt(t, step, l, &m, 1+r.Uint64N(m.next()+2))
		case op < 96:
			first := max(l.Oldest(), m.trim)
			n, err := l.DropOldest()
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				m.holes = append(m.holes, [2]uint64{first, first + n - 1})
			}
		default:
			if r.IntN(2) == 0 {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				abandon(l)
			}
			if l, err = OpenLog(cfg); err != nil {
				t.Fatal(err)
			}
			if l.Next() != m.next() || l.Trimmed() != m.trim {
				t.Fatalf("step %d: opened at %d, trimmed %d; want %d, %d", step, l.Next(), l.Trimmed(), m.next(), m.trim)
			}
		}
	}
	for pos := uint64(1); pos < m.next(); pos++ {
		checkAt(t, 600, l, &m, pos)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkAt(t *testing.T, step int, l *Log, m *model, pos uint64) {
	t.Helper()
	rec, err := l.Read(pos)
	want, ok := m.at(pos)
	var hole *HoleError
	switch {
	case pos >= m.next():
		if !errors.Is(err, ErrBeyond) {
			t.Fatalf("step %d: position %d of %d: %v", step, pos, m.next(), err)
		}
	case errors.As(err, &hole):
		gone := !ok && (hole.Reason == HoleDropOldest || pos < m.trim)
		if !gone && !(pos < m.trim && hole.Reason == HoleTrimmed) || hole.First > pos || hole.Last < pos {
			t.Fatalf("step %d: position %d (trimmed before %d): %v", step, pos, m.trim, err)
		}
	case err != nil || !ok || rec.First != want.First || rec.Count != want.Count || !bytes.Equal(rec.Data, want.Data):
		t.Fatalf("step %d: position %d: %d+%d, %v", step, pos, rec.First, rec.Count, err)
	}
}
