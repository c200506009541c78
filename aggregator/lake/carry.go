package lake

import (
	"time"

	"github.com/eider-analytics/eider/shared"
)

// visitGap is the longest pause within a visit, as package stats has it.
const visitGap = int64(30 * time.Minute / time.Microsecond)

// maxRemembered is how many visitors a generation of the memory has: two of
// them take some 10 MB, and hold half an hour of a site with 35 new visitors a
// second.
const maxRemembered = 64 << 10

// recent remembers when visitors were last there, to tell whether an identity
// that an edge sends beside a new one continues a visit. Only then it is kept;
// in every other event it would tie two days of a person together for nothing.
//
// The memory is bounded, in the order of arrival, and empty after a start but
// for what the spool replays: whoever it has forgotten begins a new visit.
type recent struct {
	now, before map[seenKey]int64 // µs since 1970 of the last event
}

type seenKey struct {
	site    string
	visitor uint64
}

func newRecent() recent { return recent{now: map[seenKey]int64{}} }

// continues notes the event and reports whether its previous identity is to be
// kept: it was there with something that makes a visit, at most a visit's pause
// before, and so is this event.
func (r *recent) continues(e *shared.Event) bool {
	if e.VisitorID == 0 || e.Verdict == shared.VerdictBot || e.Kind != shared.KindPageview && e.Kind != shared.KindEvent {
		return false
	}
	last, ok := r.last(seenKey{e.SiteID, e.PrevVisitorID})
	r.note(seenKey{e.SiteID, e.VisitorID}, e.Time)
	return ok && e.PrevVisitorID != 0 && e.PrevVisitorID != e.VisitorID && e.Time >= last && e.Time-last <= visitGap
}

func (r *recent) last(k seenKey) (at int64, ok bool) {
	if at, ok = r.now[k]; !ok {
		at, ok = r.before[k]
	}
	return at, ok
}

func (r *recent) note(k seenKey, at int64) {
	if last, ok := r.last(k); ok && last >= at {
		return
	}
	if len(r.now) >= maxRemembered {
		r.now, r.before = map[seenKey]int64{}, r.now
	}
	r.now[k] = at
}
