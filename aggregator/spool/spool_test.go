package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
	"github.com/eider-analytics/eider/shared/queue"
)

func open(t testing.TB, dir string) *Spool {
	t.Helper()
	s, err := Open(Config{Dir: dir, ReserveFree: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeSpool(t testing.TB, s *Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// record is the n-th of a test: everything in it is a function of n.
func record(n uint64) Record {
	h := shared.Header{Edge: shared.EdgeID{1}, Epoch: 2, EpochFirst: 1, FirstSeq: 10 * n, Count: 10, BaseTime: int64(n)}
	h.LossReason = shared.LossCorruption
	r := Record{
		ReceivedAt: int64(n) * 1000, SkewMS: -int64(n), NotBefore: 5, AcceptFrom: 10*n + 1, Frame: batch.SealLost(nil, &h),
	}
	for i := range n % 3 {
		r.Rejected = append(r.Rejected, shared.Rejected{Seq: 10*n + 2 + 3*i, Reason: shared.Rejections[(n+i)%uint64(len(shared.Rejections))]})
	}
	return r
}

func replay(t testing.TB, s *Spool, from uint64) (got map[uint64]Record, damaged uint64) {
	t.Helper()
	got = map[uint64]Record{}
	last := uint64(0)
	damaged, err := s.Replay(from, func(pos uint64, r Record) error {
		if pos <= last {
			t.Fatalf("position %d after %d", pos, last)
		}
		last = pos
		got[pos] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, damaged
}

func TestEveryReasonHasACodeOfItsOwn(t *testing.T) {
	seen := map[uint64]bool{}
	for _, reason := range shared.Rejections {
		code := codeOf[reason]
		if code == 0 || seen[code] {
			t.Errorf("%s has code %d", reason, code)
		}
		seen[code] = true
	}
}

func TestARecordSurvivesAndDamageIsNoticed(t *testing.T) {
	for n := range uint64(20) {
		want := record(n + 1)
		b := appendRecord(nil, &want)
		got, err := parseRecord(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got, want)
		}
		head := len(b) - len(want.Frame)
		for i := range 8 * head {
			b[i/8] ^= 1 << (i % 8)
			if _, err := parseRecord(b); err == nil {
				t.Fatalf("bit %d was not noticed", i)
			}
			b[i/8] ^= 1 << (i % 8)
		}
		for cut := range head {
			if _, err := parseRecord(b[:cut]); err == nil {
				t.Fatalf("cut at %d was not noticed", cut)
			}
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	for n := range uint64(3) {
		r := record(n + 1)
		f.Add(appendRecord(nil, &r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		again, err := parseRecord(appendRecord(nil, &r))
		if err != nil || !reflect.DeepEqual(r, again) {
			t.Fatalf("%v\n%+v\n%+v", err, r, again)
		}
	})
}

func TestWhatWasAppendedIsThereAfterReopening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir)
	var want []Record
	for n := range uint64(50) {
		r := record(n + 1)
		first, count, err := s.AppendSync(context.Background(), r)
		if err != nil || count != 1 || first != n+1 {
			t.Fatalf("append %d: at %d, %d, %v", n, first, count, err)
		}
		want = append(want, r)
	}
	closeSpool(t, s)
	s = open(t, dir)
	defer closeSpool(t, s)
	got, damaged := replay(t, s, 0)
	if damaged != 0 || len(got) != len(want) {
		t.Fatalf("%d of %d records, %d damaged", len(got), len(want), damaged)
	}
	for i, w := range want {
		if !reflect.DeepEqual(got[uint64(i)+1], w) {
			t.Fatalf("record %d\n got %+v\nwant %+v", i, got[uint64(i)+1], w)
		}
	}
	if got, _ := replay(t, s, 31); len(got) != 20 {
		t.Errorf("%d records from 31 on, want 20", len(got))
	}
}

func TestConcurrentAppendsGetNeighbouringPositions(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeSpool(t, s)
	type span struct {
		first uint64
		of    []Record
	}
	var mu sync.Mutex
	var spans []span
	var wg sync.WaitGroup
	for w := range uint64(8) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(w, 1))
			for range 10 {
				var records []Record
				for range 1 + r.IntN(4) {
					records = append(records, record(1+r.Uint64N(1000)))
				}
				first, n, err := s.AppendSync(context.Background(), records...)
				if err != nil || n != len(records) {
					t.Errorf("%d of %d: %v", n, len(records), err)
				}
				mu.Lock()
				spans = append(spans, span{first, records})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	got, _ := replay(t, s, 0)
	total := 0
	for _, sp := range spans {
		for i, want := range sp.of {
			if !reflect.DeepEqual(got[sp.first+uint64(i)], want) {
				t.Fatalf("position %d holds another record", sp.first+uint64(i))
			}
		}
		total += len(sp.of)
	}
	if total != len(got) {
		t.Errorf("%d appended, %d found", total, len(got))
	}
}

func TestSkipToNeverGivesOutAPositionTwice(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.SkipTo(1001); err != nil {
		t.Fatal(err)
	}
	if err := s.SkipTo(500); err != nil { // nothing to do
		t.Fatal(err)
	}
	first, _, err := s.AppendSync(context.Background(), record(1))
	if err != nil || first != 1001 {
		t.Fatalf("at %d, %v", first, err)
	}
	closeSpool(t, s)
	s = open(t, dir)
	defer closeSpool(t, s)
	if got, damaged := replay(t, s, 0); len(got) != 1 || damaged != 0 || !reflect.DeepEqual(got[1001], record(1)) {
		t.Errorf("%v, %d damaged", got, damaged)
	}
}

func TestTrimKeepsTheTail(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeSpool(t, s)
	big := record(1)
	big.Frame = make([]byte, 64<<10)
	for range 3 * Tail / 2 / 16 {
		batch := make([]Record, 16)
		for i := range batch {
			batch[i] = big
		}
		if _, _, err := s.AppendSync(context.Background(), batch...); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Stats()
	if err := s.Trim(before.Next); err != nil {
		t.Fatal(err)
	}
	after := s.Stats()
	if after.Oldest > before.Next-Tail {
		t.Errorf("oldest %d, the last %d must stay of %d", after.Oldest, Tail, before.Next)
	}
	got, damaged := replay(t, s, before.Next-Tail)
	if len(got) != Tail || damaged != 0 {
		t.Errorf("%d records of the tail, %d damaged", len(got), damaged)
	}
}

func TestAPurgeLeavesNoTail(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	appendN := func(n int) {
		for range n {
			if _, _, err := s.AppendSync(context.Background(), record(1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	appendN(5)
	next, err := s.Cut()
	if err != nil || next != 6 {
		t.Fatal(next, err)
	}
	appendN(2)
	if err := s.Trim(6); err != nil {
		t.Fatal(err)
	}
	if got, _ := replay(t, s, 1); len(got) != 7 {
		t.Fatalf("after a trim %d records are there", len(got))
	}
	if err := s.Purge(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if got, damaged := replay(t, s, 1); len(got) != 2 || damaged != 0 || s.Stats().Oldest != 6 {
		t.Fatalf("after a purge %d records are there, %d damaged, the oldest is %d", len(got), damaged, s.Stats().Oldest)
	}
	closeSpool(t, s)
	s = open(t, dir)
	defer closeSpool(t, s)
	if got, damaged := replay(t, s, 1); len(got) != 2 || damaged != 0 || s.Next() != 8 {
		t.Errorf("reopened: %d records, %d damaged, next %d", len(got), damaged, s.Next())
	}
}

// What is trimmed while the spool is read is no damage.
func TestReplayBesideAPurge(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeSpool(t, s)
	for range 4 {
		if _, _, err := s.AppendSync(context.Background(), record(1)); err != nil {
			t.Fatal(err)
		}
	}
	next, err := s.Cut()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.AppendSync(context.Background(), record(1)); err != nil {
		t.Fatal(err)
	}
	var seen []uint64
	damaged, err := s.Replay(0, func(pos uint64, _ Record) error {
		seen = append(seen, pos)
		return s.Purge(t.Context(), next)
	})
	if err != nil || damaged != 0 || len(seen) != 2 || seen[0] != 1 || seen[1] != 5 {
		t.Errorf("read %d, %d damaged, %v", seen, damaged, err)
	}
}

// faulty is a log that fails on demand: the far end of a disk.
type faulty struct {
	*queue.Log
	appendAfter int // appends that still succeed; -1 = all
	appendErr   error
	syncErr     error
	syncs       int
	syncGate    chan struct{} // if set, Sync says that it has begun, and waits for an answer
}

func (f *faulty) Append(count uint64, data []byte) (uint64, error) {
	if f.appendAfter == 0 {
		return 0, f.appendErr
	}
	f.appendAfter--
	return f.Log.Append(count, data)
}

func (f *faulty) Sync() error {
	f.syncs++
	if f.syncGate != nil {
		f.syncGate <- struct{}{}
		<-f.syncGate
	}
	if f.syncErr != nil {
		return f.syncErr
	}
	return f.Log.Sync()
}

func TestAFullSpoolKeepsWhatFitted(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeSpool(t, s)
	s.log = &faulty{Log: s.log.(*queue.Log), appendAfter: 2, appendErr: queue.ErrFull}
	first, n, err := s.AppendSync(context.Background(), record(1), record(2), record(3))
	if !errors.Is(err, ErrFull) || n != 2 || first != 1 {
		t.Fatalf("%d from %d, %v", n, first, err)
	}
	if _, n, err := s.AppendSync(context.Background(), record(3)); !errors.Is(err, ErrFull) || n != 0 {
		t.Fatalf("%d, %v", n, err)
	}
	if got, _ := replay(t, s, 0); len(got) != 2 || !reflect.DeepEqual(got[2], record(2)) {
		t.Errorf("%v", got)
	}
}

func TestASyncThatKeepsFailingEndsAppends(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for all tries")
	}
	s := open(t, t.TempDir())
	defer closeSpool(t, s)
	f := &faulty{Log: s.log.(*queue.Log), appendAfter: -1, syncErr: errors.New("input/output error")}
	s.log = f
	if _, n, err := s.AppendSync(context.Background(), record(1)); !errors.Is(err, ErrBroken) || n != 0 {
		t.Fatalf("%d, %v", n, err)
	}
	f.syncErr = nil
	if _, _, err := s.AppendSync(context.Background(), record(2)); !errors.Is(err, ErrBroken) {
		t.Fatalf("after a failed sync: %v", err)
	}
	if s.Stats().Broken == nil {
		t.Error("the spool does not say that it is broken")
	}
}

func TestNobodyWaitsForASyncThatHeDoesNotNeed(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeSpool(t, s)
	f := &faulty{Log: s.log.(*queue.Log), appendAfter: -1, syncGate: make(chan struct{})}
	s.log = f
	var appends sync.WaitGroup
	one := func() {
		if _, _, err := s.AppendSync(context.Background(), record(1)); err != nil {
			t.Error(err)
		}
	}
	appends.Go(one)
	<-f.syncGate // it syncs
	for range 7 {
		appends.Go(one)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s.Stats().Next != 9 { // all have appended while the first syncs
			time.Sleep(time.Millisecond)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("appends or health wait for the fsync of another")
	}
	f.syncGate <- struct{}{}
	<-f.syncGate
	f.syncGate <- struct{}{}
	appends.Wait()
	if f.syncs != 2 {
		t.Errorf("%d fsyncs for 8 appends that waited together", f.syncs)
	}
}

func TestAnEndedContextAppendsNothing(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeSpool(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := s.AppendSync(ctx, record(1)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if s.Next() != 1 {
		t.Errorf("next is %d", s.Next())
	}
}

func BenchmarkAppendSync(b *testing.B) {
	s := open(b, b.TempDir())
	defer closeSpool(b, s)
	r := record(1)
	r.Frame = make([]byte, 32<<10)
	b.SetBytes(int64(len(r.Frame)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := s.AppendSync(context.Background(), r); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
