package receive

import (
	"bytes"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
	"github.com/eider-analytics/eider/shared/batch"
)

// A time that becomes nonsense when it is corrected must not reach the state:
// it refuses the whole commit, and the same one would be tried for ever.
func TestAClockOfAnotherCenturyDoesNotStopCommits(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	g := newRig(t)
	first := uint64(1)
	for _, offset := range []time.Duration{century, -50 * 365 * 24 * time.Hour, 3 * time.Minute, 0} {
		for _, base := range []int64{1, 60_000_000, time.Now().UnixMicro(), saneTime - 1, saneTime, 1<<63 - 1, -1, -1 << 63} {
			e := newEdge(first)
			e.offset = offset
			g.hello(e)
			h := e.header(first, 1)
			h.LossReason, h.BaseTime = shared.LossCorruption, base
			h.Counters.Captured = 10
			h.Counters.Dropped[shared.DropCap] = shared.Dropped{Count: 1, From: base, To: base}
			g.mustAck(e, first, batch.SealLost(nil, &h))
		}
	}
	g.settle()
	g.sink.commit(t, g.state) // fails the test if it is refused
	now := time.Now().UnixMicro()
	incidents, err := g.state.Incidents(-1<<63, 1<<63-1)
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for _, i := range incidents {
		n += i.Count
		if i.From <= 0 || i.To < i.From || i.To > now+futureTolerated {
			t.Errorf("%s from %d to %d", i.Reason, i.From, i.To)
		}
	}
	if n != 4*8*2 {
		t.Errorf("%d lost or dropped, want %d", n, 4*8*2)
	}
}

// refusedFrame is small on the wire: many events that are all refused.
func (e *edgeSim) refusedFrame(first, count uint64) []byte {
	h := e.header(first, count)
	event := shared.AppendEvent(nil, &shared.Event{Time: h.BaseTime}, h.BaseTime)
	return batch.Seal(nil, &h, bytes.Repeat(event, int(count)))
}

func TestOneFrameAThousandTimesIsNotAThousandAnswers(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	const n = 30_000
	f := e.refusedFrame(1, n)
	body := bytes.Repeat(f, 300)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ack := g.mustAck(e, n, body)
	runtime.ReadMemStats(&after)
	if len(ack.Rejected) != n {
		t.Errorf("%d are refused, want %d", len(ack.Rejected), n)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 200<<20 {
		t.Errorf("a request of %d bytes took %d MiB", len(body), got>>20)
	}
}

func TestWhatIsRememberedOfAnEdgeIsBounded(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	const n = 2000
	var last []byte
	for i := range uint64(2 * keptVerdicts / 10) {
		var body []byte
		for j := range uint64(10) {
			last = e.refusedFrame(1+(10*i+j)*n, n)
			body = append(body, last...)
		}
		g.mustAck(e, 10*(i+1)*n, body)
	}
	listed := 0
	held := g.recv.edge(e.id)
	for _, v := range held.recent {
		listed += len(v.rejected)
	}
	if listed != held.refused || listed > keptRejections || listed < keptRejections-n {
		t.Errorf("%d rejections are remembered, %d by its own count, at most %d", listed, held.refused, keptRejections)
	}
	if ack := g.mustAck(e, 2*keptVerdicts/10*10*n, last); len(ack.Rejected) != n {
		t.Errorf("the newest batch is answered with %d rejections, want %d", len(ack.Rejected), n)
	}
	// The largest batch takes the place of all others.
	first := 2*keptVerdicts/10*10*n + uint64(1)
	big := e.refusedFrame(first, shared.MaxBatchEvents)
	g.mustAck(e, first+shared.MaxBatchEvents-1, big)
	if ack := g.mustAck(e, first+shared.MaxBatchEvents-1, big); len(ack.Rejected) != shared.MaxBatchEvents {
		t.Errorf("%d rejections", len(ack.Rejected))
	}
}

// Markers have no events, but each that waits for the lake takes memory.
func TestMarkersWaitForAStuckLakeInBoundedNumbers(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the receiver's patience")
	}
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	gate := make(chan struct{})
	g.sink.mu.Lock()
	g.sink.gate = gate
	g.sink.mu.Unlock()
	defer g.settle()
	defer close(gate)
	for first := uint64(1); ; first += maxFrames {
		var body []byte
		for seq := first; seq < first+maxFrames; seq++ {
			body = append(body, e.lost(seq, 1, shared.LossCorruption)...)
		}
		if a := g.post(e, body); a.status == http.StatusServiceUnavailable || a.ack.AckedThrough < first+maxFrames-1 {
			break
		}
		if first > 2*pendingEvents {
			t.Fatal("it goes on taking markers that the lake does not take")
		}
	}
}

// A frame of a kilobyte may be taken apart, but not into half a gigabyte.
func TestASmallFrameDoesNotDecodeIntoAllMemory(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	f := e.frame(1, shared.MaxBatchEvents, func(ev *shared.Event) { ev.Pathname = "/" })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	g.mustAck(e, shared.MaxBatchEvents, f)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 256<<20 {
		t.Errorf("a request of %d bytes took %d MiB", len(f), got>>20)
	}
	h := e.header(shared.MaxBatchEvents+1, shared.MaxBatchEvents+1)
	if a := g.post(e, batch.Seal(nil, &h, []byte("x"))); a.status != http.StatusBadRequest {
		t.Errorf("a batch beyond the limit: %d", a.status)
	}
}

// A damaged header may say anything; its range is counted as lost because it
// fits, its books fit nothing.
func TestTheBooksOfADamagedBatchAreNotBelieved(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 5, e.frame(1, 5, nil))
	sound := e.counters
	e.counters.Dropped[shared.DropRing] = shared.Dropped{Count: 1 << 40, From: 1, To: 2}
	bad := e.frame(6, 5, nil)
	bad[len(bad)-40] ^= 1
	for range sameDamage - 1 {
		g.post(e, bad)
	}
	g.mustAck(e, 10, bad)
	e.counters = sound
	e.counters.Dropped[shared.DropRing] = shared.Dropped{Count: 3, From: e.now().UnixMicro(), To: e.now().UnixMicro()}
	g.mustAck(e, 15, e.frame(11, 5, nil))
	g.settle()
	g.sink.commit(t, g.state)
	if got := g.sink.incidents[shared.DropRing.String()]; got != 3 {
		t.Errorf("%d dropped, want 3", got)
	}
	if got := g.sink.incidents[shared.LossUndecodable.String()]; got != 5 {
		t.Errorf("%d lost, want 5", got)
	}
}
