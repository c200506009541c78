package receive

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/eider-analytics/eider/shared"
)

func TestInOrderDuplicateStraddleAndGap(t *testing.T) {
	g := newRig(t)
	e := newEdge(101)
	g.hello(e)

	g.mustAck(e, 110, e.frame(101, 10, nil))
	g.mustAck(e, 110, e.frame(101, 10, nil)) // again
	g.mustAck(e, 115, e.frame(106, 10, nil)) // straddles
	gap := g.post(e, e.frame(117, 5, nil))
	if gap.status != http.StatusConflict || gap.err.Code != shared.CodeGap || gap.err.Expected != 116 || gap.err.Epoch == nil || *gap.err.Epoch != e.epoch {
		t.Fatalf("%d %+v", gap.status, gap.err)
	}
	// What is in order before a gap counts; the rest is asked for.
	g.mustAck(e, 120, e.frame(116, 5, nil), e.frame(130, 5, nil))
	// An old duplicate, a new one and one far ahead in one request.
	g.mustAck(e, 125, e.frame(101, 10, nil), e.frame(121, 5, nil), e.frame(121, 5, nil), e.frame(200, 1, nil))
	g.settle()
	g.wantCounts(e, seqs(101, 125)...)
	if got := g.metric("eider_events_accepted_total"); got != 25 {
		t.Errorf("%v accepted, want 25", got)
	}
	if got := g.metric("eider_events_duplicate_total"); got != 10+5+10+5 {
		t.Errorf("%v duplicates, want 30", got)
	}
}

func TestEachEpochHasAMarkOfItsOwn(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 10, e.frame(1, 10, nil))
	old := *e
	e.epoch, e.epochFirst = shared.NewEpoch(), 11
	g.hello(e)
	g.mustAck(e, 20, e.frame(11, 10, nil))
	g.mustAck(&old, 10, old.frame(1, 10, nil)) // a replay after months is harmless
	if a := g.post(e, e.frame(1, 1, nil)); a.status != http.StatusBadRequest && a.status != http.StatusOK {
		t.Errorf("a sequence before its epoch: %d", a.status)
	}
	if a := g.post(e, old.frame(11, 1, nil), e.frame(21, 1, nil)); a.status != http.StatusBadRequest {
		t.Errorf("two epochs in one request: %d", a.status)
	}
	g.settle()
	g.wantCounts(&old, seqs(1, 10)...)
	g.wantCounts(e, seqs(11, 20)...)
}

func TestEventsAreRefusedOneByOne(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	frame := e.frame(1, 10, func(ev *shared.Event) {
		switch ev.Seq {
		case 2:
			ev.Site = "elsewhere.example"
		case 4:
			ev.Kind = "nonsense"
		case 6:
			ev.Title = "control\x00character"
		case 8:
			ev.Time = 1 << 62
		}
	})
	want := []shared.Rejected{
		{Seq: 2, Reason: shared.RejectUnknownSite},
		{Seq: 4, Reason: shared.RejectKind},
		{Seq: 6, Reason: shared.RejectText},
		{Seq: 8, Reason: shared.RejectTime},
	}
	if ack := g.mustAck(e, 10, frame); !reflect.DeepEqual(ack.Rejected, want) {
		t.Errorf("%+v", ack.Rejected)
	}
	// The answer got lost and the edge asks again: it hears the same.
	if ack := g.mustAck(e, 10, frame); !reflect.DeepEqual(ack.Rejected, want) {
		t.Errorf("repeated: %+v", ack.Rejected)
	}
	// Also within one request, and after a crash.
	if ack := g.mustAck(e, 10, frame, frame); !reflect.DeepEqual(ack.Rejected, want) {
		t.Errorf("twice in one request: %+v", ack.Rejected)
	}
	g.sink.commit(t, g.state)
	g.restart()
	g.hello(e)
	if ack := g.mustAck(e, 10, frame); !reflect.DeepEqual(ack.Rejected, want) {
		t.Errorf("after a restart: %+v", ack.Rejected)
	}
	g.settle()
	g.wantCounts(e, 1, 3, 5, 7, 9, 10)
}

func TestARefusalStandsEvenIfTheSiteExistsLater(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 3, e.frame(1, 3, func(ev *shared.Event) {
		if ev.Seq == 2 {
			ev.Site = "late.example"
		}
	}))
	_, _ = g.sites.Register("late.example")
	g.restart() // nothing was committed: all of it is replayed
	g.settle()
	g.wantCounts(e, 1, 3)
	if h := g.recv.Edges()[0]; h.Accepted != 2 || h.Rejected != 1 {
		t.Errorf("%+v", h)
	}
}

func TestAnUndecodableBatchIsQuarantinedAndBlocksNothing(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	bad := e.undecodable(6, 4)
	ack := g.mustAck(e, 12, e.frame(1, 5, nil), bad, e.frame(10, 3, nil))
	want := []shared.Range{{First: 6, Last: 9}}
	if !slices.Equal(ack.Undecodable, want) || len(ack.Rejected) != 0 {
		t.Fatalf("%+v", ack)
	}
	if ack := g.mustAck(e, 12, bad); !slices.Equal(ack.Undecodable, want) {
		t.Errorf("repeated: %+v", ack)
	}
	g.settle()
	g.wantCounts(e, 1, 2, 3, 4, 5, 10, 11, 12)
	g.sink.commit(t, g.state)
	if g.sink.incidents["undecodable"] != 4 {
		t.Errorf("incidents: %v", g.sink.incidents)
	}
	if n := g.metric("eider_events_lost_total", "undecodable"); n != 4 {
		t.Errorf("%v lost", n)
	}
	g.wantLetters(1)
	g.restart()
	g.hello(e)
	if ack := g.mustAck(e, 12, bad); !slices.Equal(ack.Undecodable, want) {
		t.Errorf("after a restart: %+v", ack)
	}
	g.wantLetters(1)
}

func TestLossMarkersAdvanceTheMarkAndCount(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 1_000_010, e.lost(1, 1_000_000, shared.LossDropOldest), e.frame(1_000_001, 10, nil))
	g.mustAck(e, 1_000_010, e.lost(1, 1_000_000, shared.LossDropOldest))
	g.settle()
	g.sink.commit(t, g.state)
	if g.sink.incidents["drop_oldest"] != 1_000_000 {
		t.Errorf("%v", g.sink.incidents)
	}
	if h := g.recv.Edges()[0]; h.Lost != 1_000_000 || h.Accepted != 10 || h.Expected != 1_000_011 {
		t.Errorf("%+v", h)
	}
}

func TestDropsBecomeIncidentsOnce(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	now := e.now().UnixMicro()
	g.mustAck(e, 5, e.frame(1, 5, nil))
	e.counters.Dropped[shared.DropRing] = shared.Dropped{Count: 7, From: now - 1000, To: now}
	late := e.frame(6, 5, nil)
	g.mustAck(e, 10, late)
	g.mustAck(e, 10, late)
	g.mustAck(e, 15, e.frame(11, 5, nil)) // the same counters again
	g.settle()
	g.restart() // replayed, not committed yet
	g.settle()
	g.sink.commit(t, g.state)
	g.restart()
	g.hello(e)
	e.counters.Dropped[shared.DropRing].Count = 10
	g.mustAck(e, 20, e.frame(16, 5, nil))
	g.settle()
	g.sink.commit(t, g.state)
	if g.sink.incidents["ring_full"] != 10 {
		t.Errorf("%v, want 10 drops", g.sink.incidents)
	}
	list, err := g.state.Incidents(now-2000, now+2000)
	if err != nil || len(list) == 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestOtherBytesForAKnownRangeRaiseAnAlarm(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 5, e.frame(1, 5, nil))
	forged := e.frame(1, 5, func(ev *shared.Event) { ev.Pathname = "/forged" })
	g.mustAck(e, 5, forged) // acknowledged, so that it does not block; not counted
	g.settle()
	if n := g.metric("eider_batches_quarantined_total", "conflict"); n != 1 {
		t.Errorf("%v alarms", n)
	}
	g.wantLetters(1)
	for _, ev := range g.sink.events() {
		if ev.Pathname == "/forged" {
			t.Error("a forged event counts")
		}
	}
	// A loss marker over what was delivered is what a damaged queue sends.
	g.mustAck(e, 5, e.lost(1, 5, shared.LossCorruption))
	if n := g.metric("eider_batches_quarantined_total", "conflict"); n != 1 {
		t.Errorf("a loss marker raised an alarm")
	}
	g.wantCounts(e, seqs(1, 5)...)
}

func TestDamageOnTheWayIsSentAgainAndDamageAtTheSourceDoesNotBlock(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.mustAck(e, 5, e.frame(1, 5, nil))
	good := e.frame(6, 5, nil)
	torn := slices.Clone(good)
	torn[len(torn)-40] ^= 1

	for range 2 {
		if a := g.post(e, torn); a.status != http.StatusBadRequest || a.err.Code != "bad_batch" {
			t.Fatalf("%d %+v", a.status, a.err)
		}
	}
	g.mustAck(e, 10, good)

	next := e.frame(11, 5, nil)
	next[len(next)-40] ^= 1
	for range sameDamage - 1 {
		if a := g.post(e, next); a.status != http.StatusBadRequest {
			t.Fatalf("%d %+v", a.status, a.err)
		}
	}
	ack := g.mustAck(e, 15, next)
	if !slices.Equal(ack.Undecodable, []shared.Range{{First: 11, Last: 15}}) {
		t.Errorf("%+v", ack)
	}
	g.mustAck(e, 15, next) // the answer got lost
	g.mustAck(e, 20, e.frame(16, 5, nil))
	g.settle()
	g.wantCounts(e, append(seqs(1, 10), seqs(16, 20)...)...)
	g.wantLetters(1)
}

func TestFramesBeforeADamagedOneCount(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	bad := e.frame(11, 5, nil)
	g.mustAck(e, 10, e.frame(1, 10, nil), bad[:len(bad)-1])
	g.settle()
	g.wantCounts(e, seqs(1, 10)...)
}

// TestAnArchivedSite takes no events, and its domain does not become a new one.
func TestAnArchivedSite(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	g.sites.mu.Lock()
	s := g.sites.sites["example.com"]
	s.Archived = true
	g.sites.sites["example.com"] = s
	g.sites.mu.Unlock()
	if ack := g.mustAck(e, 2, e.frame(1, 2, nil)); len(ack.Rejected) != 2 || ack.Rejected[0].Reason != shared.RejectArchived {
		t.Errorf("rejected %+v", ack.Rejected)
	}
	if a := g.hello(e); a.status != http.StatusOK || len(a.hello.Sites) != 1 || !strings.Contains(a.hello.Sites[0].Error, "archived") {
		t.Errorf("hello is answered %d %+v", a.status, a.hello)
	}
}
