package batch

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/eider-analytics/eider/shared"
)

const base = int64(1_700_000_000_000_000)

// header is that of n events from first on.
func header(first, n uint64) shared.Header {
	return shared.Header{
		Edge: shared.EdgeID{1}, Epoch: 7, EpochFirst: 1, FirstSeq: first, Count: n, BaseTime: base,
		Counters: shared.Counters{Captured: first + n - 1, Queued: first + n - 1},
	}
}

// seal makes a frame of n events.
func seal(first, n uint64) ([]byte, shared.Header) {
	var raw []byte
	for i := range n {
		e := shared.Event{
			Site: "example.com", Kind: shared.KindPageview, Origin: shared.OriginEdge, Time: base + int64(i),
			Pathname: fmt.Sprint("/page/", i%7), Browser: "Firefox",
		}
		raw = shared.AppendEvent(raw, &e, base)
	}
	h := header(first, n)
	return Seal(nil, &h, raw), h
}

func TestWhatWasSealedComesOut(t *testing.T) {
	for _, n := range []uint64{1, 2, 500} {
		b, h := seal(41, n)
		f, rest, err := Next(append(b, "next frame"...))
		if err != nil || string(rest) != "next frame" {
			t.Fatalf("%d events: rest %q, %v", n, rest, err)
		}
		if f.Header != h || !bytes.Equal(f.Bytes, b) {
			t.Fatalf("%d events: header %+v, want %+v", n, f.Header, h)
		}
		var got uint64
		if err := f.Events(func(i uint64, e *shared.Event, err error) {
			if err != nil || i != got || e.Seq != 41+i || e.Time != base+int64(i) || e.Pathname != fmt.Sprint("/page/", i%7) {
				t.Fatalf("event %d: %+v, %v", i, e, err)
			}
			got++
		}); err != nil || got != n {
			t.Fatalf("%d of %d events: %v", got, n, err)
		}
	}
}

func TestManyEventsAreCompressedAndOneIsNotBlownUp(t *testing.T) {
	many, h := seal(1, 500)
	if h.Compression != shared.CompressZstd || len(many) > int(h.RawLen)/3 {
		t.Errorf("500 similar events: %d of %d bytes, compression %d", len(many), h.RawLen, h.Compression)
	}
	random := make([]byte, 300)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	h = header(1, 1)
	if b := Seal(nil, &h, random); h.Compression != shared.CompressNone || int(h.PayloadLen) != len(random) {
		t.Errorf("random bytes grew: %d of %d, compression %d", len(b), len(random), h.Compression)
	}
}

func TestLossMarkerComesOut(t *testing.T) {
	h := header(10, 1<<40)
	h.LossReason = shared.LossDropOldest
	b := SealLost(nil, &h)
	f, rest, err := Next(b)
	if err != nil || len(rest) != 0 || f.Header != h {
		t.Fatalf("%+v, %d left, %v", f.Header, len(rest), err)
	}
	if err := f.Events(func(uint64, *shared.Event, error) { t.Error("a loss marker has an event") }); err != nil {
		t.Error(err)
	}
}

func TestAFrameTornAnywhereIsRefused(t *testing.T) {
	for _, n := range []uint64{1, 40} {
		b, _ := seal(1, n)
		for cut := range b {
			if _, _, err := Next(b[:cut]); !errors.Is(err, ErrShort) {
				t.Fatalf("cut at %d of %d: %v", cut, len(b), err)
			}
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	b, _ := seal(1, 3)
	for i := range 8 * len(b) {
		b[i/8] ^= 1 << (i % 8)
		if f, _, err := Next(b); err == nil {
			t.Fatalf("bit %d of %d: read %+v", i, 8*len(b), f.Header)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	if _, _, err := Next(b); err != nil {
		t.Fatal(err)
	}
}

func TestUnverifiedShowsADamagedFrame(t *testing.T) {
	b, h := seal(5, 3)
	sound, err := Unverified(b)
	if err != nil || sound.Header != h {
		t.Fatalf("%+v, %v", sound.Header, err)
	}
	b[len(b)-SumSize-1] ^= 1
	if _, _, err := Next(b); !errors.Is(err, ErrChecksum) {
		t.Fatal(err)
	}
	f, err := Unverified(b)
	if err != nil || f.Header != h || f.Sum == sound.Sum {
		t.Fatalf("%+v, %v", f.Header, err)
	}
}

// bomb is a frame whose payload is not what its header says.
func bomb(t testing.TB, payload []byte, rawLen uint32) Frame {
	t.Helper()
	h := header(1, 1)
	h.Kind, h.Schema, h.Compression = shared.BatchData, shared.Schema, shared.CompressZstd
	h.RawLen, h.PayloadLen = rawLen, uint32(len(payload))
	b := append(shared.AppendHeader(nil, &h), payload...)
	f, _, err := Next(appendSum(b, 0))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestBombsAreDefused(t *testing.T) {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		size   int
		rawLen uint32
	}{
		"beyond the limit":         {64 << 20, shared.MaxBatchRaw},
		"more than the header has": {1 << 20, 1000},
		"less than the header has": {1000, 1 << 20},
	} {
		f := bomb(t, enc.EncodeAll(make([]byte, c.size), nil), c.rawLen)
		raw, err := f.Raw(nil)
		if err == nil {
			t.Errorf("%s: decompressed to %d bytes", name, len(raw))
		}
		if cap(raw) > shared.MaxBatchRaw+1<<20 {
			t.Errorf("%s: took %d bytes", name, cap(raw))
		}
	}
	garbage := bomb(t, []byte("this is not zstd"), 100)
	if _, err := garbage.Raw(nil); err == nil {
		t.Error("garbage was decompressed")
	}
}

func TestRawDoesNotTouchWhatItWasGivenOnError(t *testing.T) {
	f := bomb(t, []byte("this is not zstd"), 100)
	scratch := make([]byte, 0, 16)
	if raw, err := f.Raw(scratch); err == nil || len(raw) != 0 {
		t.Fatalf("%q, %v", raw, err)
	}
}

func FuzzNext(f *testing.F) {
	one, _ := seal(1, 1)
	many, _ := seal(1, 200)
	lost := header(3, 9)
	lost.LossReason = shared.LossCorruption
	f.Add(one, false)
	f.Add(many, true)
	f.Add(SealLost(nil, &lost), true)
	f.Add([]byte("EIDB\x01\x01\x00\x00\xff\xff\xff\xff"), false)
	sparse := header(1, 3) // as an import's: two lines without an event, and one with
	e := shared.Event{Kind: shared.KindPageview, Origin: shared.OriginImport, Time: base}
	f.Add(Seal(nil, &sparse, shared.AppendEvent(shared.AppendBlank(shared.AppendBlank(nil)), &e, base)), true)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) > SumSize {
			// A right checksum lets the fuzzer in behind it.
			b = appendSum(bytes.Clone(b[:len(b)-SumSize]), 0)
		}
		for len(b) > 0 {
			fr, rest, err := Next(b)
			if err != nil {
				return
			}
			if len(fr.Bytes)+len(rest) != len(b) || len(fr.Bytes) == 0 {
				t.Fatalf("frame of %d and rest of %d make %d", len(fr.Bytes), len(rest), len(b))
			}
			var n, next uint64 // positions rise; those of blanks are left out
			err = fr.Events(func(i uint64, e *shared.Event, err error) {
				if i < next || i >= fr.Header.Count || (e == nil) == (err == nil) {
					t.Fatalf("event %d after %d of %d: %v, %v", i, next, fr.Header.Count, e, err)
				}
				n, next = n+1, i+1
			})
			if err == nil && fr.Header.Kind == shared.BatchData {
				raw, err := fr.Raw(nil)
				if want := shared.CountEvents(raw, 0); err != nil || n != want {
					t.Fatalf("%d events of %d: %v", n, want, err)
				}
			}
			b = rest
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	var raw []byte
	for i := range 500 {
		e := shared.Event{Site: "example.com", Kind: shared.KindPageview, Origin: shared.OriginEdge, Time: base, Pathname: fmt.Sprint("/", i)}
		raw = shared.AppendEvent(raw, &e, base)
	}
	var dst []byte
	for b.Loop() {
		h := header(1, 500)
		dst = Seal(dst[:0], &h, raw)
	}
	b.ReportMetric(float64(b.N*500)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkEvents(b *testing.B) {
	frame, _ := seal(1, 500)
	b.ReportAllocs()
	for b.Loop() {
		f, _, err := Next(frame)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Events(func(uint64, *shared.Event, error) {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*500)/b.Elapsed().Seconds(), "events/s")
}
