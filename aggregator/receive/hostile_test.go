package receive

import (
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
