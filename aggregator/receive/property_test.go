package receive

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the property test; 0 = another one each time")
	stepFlag = flag.Int("steps", 300, "steps of the property test")
)

// life is one epoch of a simulated edge: its frames in order, and what must
// become of each sequence.
type life struct {
	edgeSim
	frames [][]byte
	first  []uint64 // of each frame
	last   []uint64
	next   uint64
	good   map[uint64]bool             // must count once
	why    map[uint64]shared.Rejection // must be refused
	lost   uint64
}

// world is edges that misbehave, an aggregator that crashes, and what the
// result must be by a rule that fits into one line: a sequence counts once if
// its event is good, whatever happened on the way.
type world struct {
	*rig
	r     *rand.Rand
	edges [][]*life // by edge, epochs in order
}

func TestWhateverHappensEveryEventCountsOnce(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed %d -steps %d", seed, *stepFlag)
	w := &world{rig: newRig(t), r: rand.New(rand.NewPCG(seed, 7))}
	for range 3 {
		w.edges = append(w.edges, []*life{newLife(1)})
	}
	for range *stepFlag {
		w.step()
	}
	w.deliverAll()
	w.settle()
	w.sink.commit(t, w.state)
	w.check()
}

func newLife(first uint64) *life {
	return &life{edgeSim: *newEdge(first), next: first, good: map[uint64]bool{}, why: map[uint64]shared.Rejection{}}
}

func (w *world) step() {
	epochs := w.edges[w.r.IntN(len(w.edges))]
	l := epochs[len(epochs)-1]
	switch n := w.r.IntN(100); {
	case n < 45:
		l.grow(w.r)
	case n < 90:
		w.misdeliver(epochs[w.r.IntN(len(epochs))])
	case n < 94:
		w.sink.commit(w.t, w.state)
	case n < 97:
		w.restart()
	default:
		w.reincarnate(l)
	}
}

// reincarnate restarts the edge's process: a new epoch of the same edge.
func (w *world) reincarnate(old *life) {
	for i, epochs := range w.edges {
		if epochs[len(epochs)-1] != old {
			continue
		}
		l := newLife(old.next)
		l.id, l.counters = old.id, old.counters
		w.edges[i] = append(epochs, l)
		for _, e := range epochs { // what is left of them is sent by the new process
			e.boot = l.boot
		}
	}
}

// grow seals another frame.
func (l *life) grow(r *rand.Rand) {
	first, count := l.next, 1+r.Uint64N(6)
	kind := r.IntN(20)
	if kind == 0 {
		l.counters.Dropped[shared.DropRing].Count += 1 + r.Uint64N(5)
	}
	var frame []byte
	switch kind {
	case 1:
		frame = l.frameLost(first, count)
	case 2:
		frame = l.undecodable(first, count)
		l.lost += count
	default:
		if n := len(l.frames); kind < 6 && n > 0 && l.last[n-1] > l.first[n-1] && l.good[l.last[n-1]] {
			first = l.last[n-1] // straddles what is there: its events are the same
			count++
		}
		frame = l.frame(first, count, func(e *shared.Event) {
			if e.Seq < l.next {
				return
			}
			switch e.Seq % 11 {
			case 3:
				e.Site, l.why[e.Seq] = "unknown.example", shared.RejectUnknownSite
			case 7:
				e.Kind, l.why[e.Seq] = "nonsense", shared.RejectKind
			default:
				l.good[e.Seq] = true
			}
		})
	}
	l.frames, l.first, l.last = append(l.frames, frame), append(l.first, first), append(l.last, first+count-1)
	l.next = first + count
}

func (l *life) frameLost(first, count uint64) []byte {
	l.lost += count
	return l.edgeSim.lost(first, count, shared.LossDropOldest)
}

// misdeliver sends a run of frames from anywhere, perhaps in another order,
// perhaps cut, perhaps twice. The answer is not even looked at.
func (w *world) misdeliver(l *life) {
	if len(l.frames) == 0 {
		return
	}
	from := w.r.IntN(len(l.frames))
	to := from + 1 + w.r.IntN(min(8, len(l.frames)-from))
	run := slices.Clone(l.frames[from:to])
	if w.r.IntN(4) == 0 {
		w.r.Shuffle(len(run), func(i, j int) { run[i], run[j] = run[j], run[i] })
	}
	body := bytes.Join(run, nil)
	if w.r.IntN(4) == 0 {
		body = body[:w.r.IntN(len(body))]
	}
	for range 1 + w.r.IntN(2) {
		if w.post(&l.edgeSim, body).err.Code == shared.CodeEdgeUnknown {
			w.greet(l)
		}
	}
}

// greet says hello as the edge's current process.
func (w *world) greet(l *life) {
	if a := w.hello(&l.edgeSim); a.status != http.StatusOK {
		w.t.Fatalf("hello: %d %+v", a.status, a.err)
	}
}

// deliverAll does what an edge does: from the first frame on, as the answers
// say. It checks that the answers repeat what was refused.
func (w *world) deliverAll() {
	for _, epochs := range w.edges {
		for _, l := range epochs {
			w.greet(l)
			for i, frame := range l.frames {
				a := w.post(&l.edgeSim, frame)
				if a.status != http.StatusOK || a.ack.AckedThrough < l.last[i] {
					w.t.Fatalf("frame %d to %d: %d %+v %+v", l.first[i], l.last[i], a.status, a.ack, a.err)
				}
				for _, rej := range a.ack.Rejected {
					if l.why[rej.Seq] != rej.Reason {
						w.t.Errorf("sequence %d refused for %q, want %q", rej.Seq, rej.Reason, l.why[rej.Seq])
					}
				}
			}
		}
	}
}

func (w *world) check() {
	got := w.sink.counts()
	var dropped, lost uint64
	for _, epochs := range w.edges {
		for _, l := range epochs {
			for seq := range l.good {
				n := name{l.id, l.epoch, seq}
				if got[n] != 1 {
					w.t.Errorf("good sequence %d counts %d times", seq, got[n])
				}
				delete(got, n)
			}
			w.checkBooks(l)
			lost += l.lost
		}
		last := epochs[len(epochs)-1]
		for i := len(epochs) - 1; i >= 0 && len(last.frames) == 0; i-- {
			last = epochs[i]
		}
		dropped += last.counters.Dropped[shared.DropRing].Count
	}
	for n := range got {
		w.t.Errorf("sequence %d counts and must not", n.seq)
	}
	i := w.sink.incidents
	if i["ring_full"] != dropped || i["drop_oldest"]+i["undecodable"] != lost {
		w.t.Errorf("incidents %v, want %d dropped and %d lost", i, dropped, lost)
	}
}

// checkBooks checks an epoch's mark as it was committed.
func (w *world) checkBooks(l *life) {
	marks, err := w.state.Marks()
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(marks, func(m state.Mark) bool { return m.Epoch == l.epoch })
	if i < 0 {
		if l.next != l.epochFirst {
			w.t.Errorf("epoch %s has no mark", l.epoch)
		}
		return
	}
	m := marks[i]
	if m.Expected != l.next || m.Accepted != uint64(len(l.good)) || m.Rejected != uint64(len(l.why)) || m.Lost != l.lost {
		w.t.Errorf("mark %+v, want next %d, %d accepted, %d rejected, %d lost", m, l.next, len(l.good), len(l.why), l.lost)
	}
}

func TestRecoverWaitsForTheLake(t *testing.T) {
	g := newRig(t)
	e := newEdge(1)
	g.hello(e)
	for first := uint64(1); first <= 100; first += 10 {
		g.mustAck(e, first+9, e.frame(first, 10, nil))
	}
	g.settle()
	g.sink.crash()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := g.recv.Close(ctx); err != nil {
		t.Fatal(err)
	}
	g.sink.refuse = errRefused
	fresh, err := New(g.recv.cfg2(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Recover(context.Background()); err == nil {
		t.Fatal("recovered although the lake took nothing")
	}
	g.sink.refuse = nil
	g.restart()
	g.settle()
	g.wantCounts(e, seqs(1, 100)...)
}
