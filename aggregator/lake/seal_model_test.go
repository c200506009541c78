package lake

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// sealWorld is a lake whose days are sealed while events come in, and a model of
// what makes them late: loops over everything that was ever sent.
type sealWorld struct {
	*world
	from  int64 // the first day's beginning, UTC
	sent  []sentEvent
	views []uint64
	days  map[state.DayKey]*modelDay
}

type sentEvent struct {
	shared.Event
	pos uint64
}

type modelDay struct {
	from, to int64
	through  uint64 // spool position that it was sealed with
	open     map[uint64]bool
	changed  bool // its rows, or those around it, were judged anew
	recount  bool // rows that are replayed may be counted a second time
}

const (
	modelDays = 6
	oneHour   = int64(3600e6)
	oneDay    = 24 * oneHour
)

func newSealWorld(t *testing.T, seed uint64) *sealWorld {
	w := &sealWorld{world: newWorld(t, seed), days: map[state.DayKey]*modelDay{}}
	w.from = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).UnixMicro()
	w.cfg.Zone, w.cfg.CutAge, w.cfg.CutBytes = nil, time.Hour, 1<<20          // it is cut when the test says so
	w.cfg.now = func() time.Time { return time.UnixMicro(w.from + 2*oneDay) } // open views are remembered of every day
	return w
}

// event makes a row of any time and kind.
func (w *sealWorld) event(tr *traffic) shared.Event {
	r := w.r
	e := tr.next()
	e.SiteID = pick(r, "a", "a", "b")
	e.Time = w.from + r.Int64N(modelDays*oneDay)
	if r.IntN(3) == 0 { // close to what bounds what matters
		edge := w.from + r.Int64N(modelDays)*oneDay + pick[int64](r, -26, 0, 2, 48, -74)*oneHour
		e.Time = edge + r.Int64N(3) - 1
	}
	e.Kind, e.Origin, e.ViewID, e.BotName = shared.KindPageview, shared.OriginEdge, 0, pick(r, "", "GPTBot")
	switch r.IntN(6) {
	case 0:
		e.ViewID = r.Uint64() | 1
		w.views = append(w.views, e.ViewID)
	case 1, 2:
		if len(w.views) > 0 {
			e.ViewID = pick(r, w.views...)
		}
		e.Origin = shared.OriginBeacon
		if r.IntN(3) == 0 {
			e.Kind, e.Name, e.Origin = shared.KindCompletion, shared.CompletionActivation, shared.OriginEdge
		}
	case 3:
		e.DedupeKey = fmt.Sprint(r.IntN(50))
		if r.IntN(3) == 0 {
			e.Kind, e.Name = shared.KindCompletion, shared.CompletionRequests
		}
	}
	return e
}

func (w *sealWorld) send() {
	tr := w.edges[w.r.IntN(len(w.edges))]
	b := Batch{SpoolPos: uint64(len(w.spool) + 1)}
	for range w.r.IntN(4) {
		b.Events = append(b.Events, w.event(tr))
		w.sent = append(w.sent, sentEvent{b.Events[len(b.Events)-1], b.SpoolPos})
	}
	w.spool = append(w.spool, b)
	ingest(w.t, w.lake, b)
}

// matters says by the rules whether a row that comes later makes the day late.
func (d *modelDay) matters(e *shared.Event) bool {
	requests := e.Kind == shared.KindCompletion && e.Name == shared.CompletionRequests
	load := e.Kind == shared.KindPageview && e.Origin == shared.OriginBeacon || e.Kind == shared.KindCompletion && e.Name == shared.CompletionActivation
	return e.Time >= d.from-26*oneHour && e.Time <= d.to+2*oneHour ||
		e.DedupeKey != "" && !requests && e.Time >= d.from-74*oneHour && e.Time < d.from ||
		load && d.open[e.ViewID] && e.Time > d.to && e.Time <= d.to+48*oneHour
}

// seal seals a day, and sends more while it does.
func (w *sealWorld) seal() {
	k := state.DayKey{SiteID: pick(w.r, "a", "b"), Date: time.UnixMicro(w.from + w.r.Int64N(modelDays)*oneDay).UTC().Format(time.DateOnly), Zone: "UTC"}
	through := uint64(len(w.spool))
	s, err := w.lake.BeginSeal(w.t.Context(), k)
	if errors.Is(err, ErrNothing) {
		return
	}
	if errors.Is(err, state.ErrNoSpace) {
		return
	}
	if err != nil {
		w.t.Fatal(err)
	}
	var open []openView
	for _, v := range viewsOf(w.t, s) {
		if w.r.IntN(2) == 0 {
			open = append(open, v)
		}
	}
	made, err := deriveInto(s, open)
	if err != nil {
		w.t.Fatal(err)
	}
	for range w.r.IntN(3) {
		w.send()
	}
	if w.r.IntN(3) == 0 {
		_ = w.lake.Flush(w.t.Context())
	}
	if w.r.IntN(8) == 0 {
		s.Abandon()
		return
	}
	if _, err := s.Commit(w.t.Context(), made); err != nil {
		w.t.Fatal(err)
	}
	d := &modelDay{from: s.From, to: s.To, through: through, open: map[uint64]bool{}}
	for _, v := range open {
		d.open[v.ViewID] = true
	}
	w.days[k] = d
}

// revise judges a random bot's rows anew.
func (w *sealWorld) revise() {
	sel := Selection{SiteID: pick(w.r, "", "a"), From: time.UnixMicro(w.from + w.r.Int64N(modelDays)*oneDay).UTC().Format(time.DateOnly)}
	var times []sentEvent
	_, err := w.lake.Revise(w.t.Context(), sel, false, func(e *shared.Event) bool {
		if !renameGPTBot(e) {
			return false
		}
		times = append(times, sentEvent{Event: shared.Event{SiteID: e.SiteID, Time: e.Time}})
		return true
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, at := range times {
		for k, d := range w.days {
			// Times are counted by the quarter of an hour.
			if k.SiteID == at.SiteID && at.Time >= d.from-26*oneHour && at.Time < d.to+2*oneHour+oneHour/4 {
				d.changed = true
			}
		}
	}
}

// checkDays compares the days with the model: in a snapshot with everything that
// was sent, each is as late as it should be.
func (w *sealWorld) checkDays() {
	w.t.Helper()
	s := w.lake.Snapshot()
	defer s.Release()
	if len(s.Days) != len(w.days) || !slices.IsSortedFunc(s.Days, func(a, b *Day) int { return a.Compare(b.DayKey) }) {
		w.t.Fatalf("%d days, want %d", len(s.Days), len(w.days))
	}
	sealedFiles := map[string]bool{}
	for _, d := range s.Days {
		m := w.days[d.DayKey]
		want := int64(0)
		for i := range w.sent {
			if e := &w.sent[i]; e.SiteID == d.SiteID && e.pos > m.through && m.matters(&e.Event) {
				want++
			}
		}
		exact := !m.changed && !m.recount
		if exact && d.Late != want || (d.Late == 0) != (want == 0 && !m.changed) {
			w.t.Fatalf("%v: late %d, want %d (%+v)", d.DayKey, d.Late, want, m)
		}
		rows := int64(0)
		for _, f := range s.Files {
			if slices.Contains(d.Segments, f.Path) {
				if sealedFiles[f.Path] = true; !f.Sealed {
					w.t.Fatalf("%s of %v is not sealed", f.Path, d.DayKey)
				}
				rows += f.Rows
			}
		}
		if rows != d.Rows && d.Late == 0 {
			w.t.Fatalf("%v has %d rows, its segments %d", d.DayKey, d.Rows, rows)
		}
	}
	for _, f := range s.Files {
		if f.Sealed && !sealedFiles[f.Path] {
			w.t.Fatalf("%s is no day's", f.Path)
		}
	}
}

func TestADayIsLateIffARowThatMattersCame(t *testing.T) {
	rounds, steps := 2, 90
	if testing.Short() {
		rounds, steps = 1, 60
	}
	for range rounds {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		w := newSealWorld(t, seed)
		w.open()
		for range steps {
			switch n := w.r.IntN(24); {
			case n < 12:
				w.send()
			case n < 18:
				w.seal()
			case n < 20:
				flush(t, w.lake)
				w.check(true)
			case n < 21:
				w.revise()
			case n < 22:
				w.kill()
				for _, d := range w.days { // loads that were hot are in the day's count, and come again
					d.recount = true
				}
				w.open()
			default:
				// What is not queryable yet makes a day late all the same.
				if all := int64(len(w.sent)); visible(w.lake) < all {
					eventually(t, "all is queryable", func() bool { return visible(w.lake) == all })
				}
			}
			if all := int64(len(w.sent)); visible(w.lake) == all {
				w.checkDays()
			}
		}
		if len(w.days) < 3 && !testing.Short() {
			t.Errorf("only %d days were sealed", len(w.days))
		}
		flush(t, w.lake)
		w.check(true)
		w.checkDays()
		w.kill()
	}
}
