package erasure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// kept is an event that was accepted, under a path of its own.
type kept struct {
	shared.Event
	site string
	gone bool
}

// model is what must be there, as a list of events and one of erasures.
type model struct {
	r      *rand.Rand
	begun  time.Time // no event is younger
	events []*kept
	book   []plain
	ids    []string // of the entries of book
	edges  []*edge
}

func (m *model) erased(k *kept) bool {
	w := lake.WhoOf(&k.Event)
	w.ReceivedAt = 0
	return slices.ContainsFunc(m.book, func(p plain) bool { return p.erased(k.site, &w) })
}

// batch makes a batch of random events of two sites, six visitors and four days.
func (m *model) batch(e *edge) []byte {
	var events []shared.Event
	for range 1 + m.r.IntN(6) {
		domain := pick(m.r, "a.example", "b.example")
		ev := event(domain, 1+m.r.Uint64N(6), m.begun.UnixMicro()-1-m.r.Int64N(4*day))
		ev.Pathname = fmt.Sprintf("/number-%d/", len(m.events))
		ev.DistinctID = pick(m.r, "", "", "anna", "bert")
		k := &kept{Event: ev, site: domain[:1] + "-example"}
		k.gone = m.erased(k)
		m.events = append(m.events, k)
		events = append(events, ev)
	}
	return e.seal(events...)
}

// ask makes a random request, and does it to the model.
func (m *model) ask(loc *time.Location) (Request, plain) {
	domain := pick(m.r, "a.example", "b.example")
	site := domain[:1] + "-example"
	ask := Request{Site: domain}
	p := plain{entry: state.Erasure{SiteID: site, To: math.MaxInt64, AskedAt: math.MaxInt64, State: state.ErasureOpen}}
	kind := m.r.IntN(8)
	if kind == 0 {
		if ask.Everything = m.r.IntN(3) == 0; ask.Everything {
			return ask, p
		}
		kind = 4
	}
	if kind >= 4 { // days
		first := m.begun.In(loc).AddDate(0, 0, -m.r.IntN(5))
		last := first.AddDate(0, 0, m.r.IntN(2))
		ask.Start, ask.End = first.Format(time.DateOnly), last.Format(time.DateOnly)
		y, mo, d := first.Date()
		p.entry.From = time.Date(y, mo, d, 0, 0, 0, 0, loc).UnixMicro()
		y, mo, d = last.Date()
		p.entry.To = time.Date(y, mo, d+1, 0, 0, 0, 0, loc).UnixMicro()
	}
	if kind&1 == 1 {
		id := 1 + m.r.Uint64N(6)
		ask.VisitorID, p.visitors = fmt.Sprint(id), []uint64{id}
	}
	if kind&2 == 2 {
		ask.DistinctID = pick(m.r, "anna", "bert")
		p.distinct, p.entry.Both = ask.DistinctID, kind&1 == 1
		for _, k := range m.events {
			if !p.entry.Both && !k.gone && k.site == site && k.DistinctID == p.distinct && k.Time >= p.entry.From && k.Time < p.entry.To {
				p.visitors = append(p.visitors, k.VisitorID)
			}
		}
	}
	return ask, p
}

// TestAgainstAModel plays random deliveries, late and repeated ones, kills with
// replays, and erasures.
func TestAgainstAModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	m := &model{r: rand.New(rand.NewPCG(seed, 1)), begun: time.Now().Add(-time.Minute), edges: []*edge{newEdge(), newEdge()}}
	g := newRig(t, t.TempDir())
	for _, e := range m.edges {
		g.send(e, m.batch(e))
	}
	for range 70 {
		e := m.edges[m.r.IntN(2)]
		switch n := m.r.IntN(20); {
		case n < 9:
			frame := m.batch(e)
			g.send(e, frame)
			if m.r.IntN(4) == 0 {
				g.send(e, frame) // its answer was lost
			}
		case n < 11:
			again := &edge{e.id, e.epoch, 1}
			g.send(e, again.seal(event("a.example", 1+m.r.Uint64N(6), m.begun.UnixMicro()-5))) // a dead letter
		case n < 13:
			g.restart()
		case n < 14 && len(m.ids) > 0:
			at := m.r.IntN(len(m.ids))
			if _, err := g.eraser.Forget(t.Context(), m.ids[at]); err != nil {
				t.Fatal(err)
			}
			m.ids, m.book = slices.Delete(m.ids, at, at+1), slices.Delete(m.book, at, at+1)
		case n < 17:
			ask, p := m.ask(loc)
			report, err := g.eraser.Erase(t.Context(), ask)
			if err != nil || report.State != state.ErasureDone {
				t.Fatalf("%+v: %+v %v", ask, report, err)
			}
			m.book, m.ids = append(m.book, p), append(m.ids, report.LedgerID)
			var taken int64
			for _, k := range m.events {
				if !k.gone && m.erased(k) {
					k.gone = true
					taken++
				}
			}
			if report.Hot+report.Events != taken {
				t.Fatalf("%+v took %d rows, want %d", ask, report.Hot+report.Events, taken)
			}
		default:
			m.check(g)
		}
	}
	m.check(g)
	g.must(g.eraser.Sweep(t.Context()))
	for _, k := range m.events {
		if k.gone && m.r.IntN(8) == 0 {
			if files := g.holds(k.Pathname); len(files) != 0 {
				t.Errorf("%s is erased, and in %q", k.Pathname, files)
			}
		}
	}
}

func (m *model) check(g *rig) {
	g.t.Helper()
	want := map[string]int{}
	for _, k := range m.events {
		if !k.gone {
			want[k.site+k.Pathname] = 1
		}
	}
	g.wantPaths(want)
	g.verify()
}
