package lake

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// world is a spool, a state and a lake that are killed and opened again.
type world struct {
	t        *testing.T
	r        *rand.Rand
	stateDir string
	cfg      Config

	spool   []Batch // every batch ever acknowledged; position = index + 1
	trimmed atomic.Uint64
	edges   []*traffic
	marks   map[shared.EdgeID]state.Mark

	state *state.State
	lake  *Lake
}

// flaky is a state whose volume is full now and then.
type flaky struct {
	*state.State
	mu sync.Mutex
	r  *rand.Rand
}

func (f *flaky) Commit(c state.Commit) error {
	f.mu.Lock()
	full := c.SpoolThrough != 0 && f.r.IntN(4) == 0
	f.mu.Unlock()
	if full {
		return state.ErrNoSpace
	}
	return f.State.Commit(c)
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, r: rand.New(rand.NewPCG(seed, 1)), stateDir: t.TempDir(),
		marks: map[shared.EdgeID]state.Mark{},
		cfg: Config{
			Dir: t.TempDir(), HotDelay: time.Millisecond, CutAge: 15 * time.Millisecond, CutBytes: 64 << 10,
			RetryMin: time.Millisecond, RetryMax: 4 * time.Millisecond,
			Zone: func(site string) string { return map[string]string{"a": "Asia/Tokyo", "b": "America/New_York"}[site] },
		},
	}
	for i := range uint64(2) {
		w.edges = append(w.edges, newTraffic(seed+i, ""))
	}
	return w
}

// open opens state and lake and replays the spool, as the aggregator does.
func (w *world) open() {
	st, err := state.Open(w.stateDir, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.state = st
	m, err := st.Manifest()
	if err != nil {
		w.t.Fatal(err)
	}
	if trimmed := w.trimmed.Load(); trimmed > m.SpoolThrough {
		w.t.Fatalf("the spool was trimmed to %d, but committed only to %d", trimmed, m.SpoolThrough)
	}
	w.cfg.State = &flaky{State: st, r: rand.New(rand.NewPCG(w.r.Uint64(), 1))}
	w.cfg.OnCommitted = w.trimmed.Store
	if w.lake, err = Open(w.cfg); err != nil {
		w.t.Fatal(err)
	}
	for _, b := range w.spool[m.SpoolThrough:] {
		ingest(w.t, w.lake, b)
	}
}

// kill ends the lake wherever its goroutine is.
func (w *world) kill() {
	w.lake.kill()
	if err := w.state.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// batch makes the next batch of one edge, of several sites and days, and puts
// it into the spool.
func (w *world) batch() Batch {
	tr := w.edges[w.r.IntN(len(w.edges))]
	events := tr.take(w.r.IntN(200))
	for i := range events {
		events[i].SiteID = pick(w.r, "a", "a", "a", "b", "c-1", "d_2")
		events[i].Time += w.r.Int64N(3) * 86_400_000_000
	}
	mark := state.Mark{Edge: tr.edge, Epoch: tr.epoch, EpochFirst: 1, Expected: tr.seq + 1, Accepted: tr.seq}
	w.marks[tr.edge] = mark
	b := Batch{SpoolPos: uint64(len(w.spool) + 1), Mark: mark, Events: events}
	w.spool = append(w.spool, b)
	return b
}

// check compares a snapshot with the spool: no event twice, none that was not
// sent, and, where all is true, all of them.
func (w *world) check(all bool) {
	w.t.Helper()
	s := w.lake.Snapshot()
	defer s.Release()
	seen := contents(w.t, s)
	sent := 0
	for _, b := range w.spool {
		for i := range b.Events {
			k := keyOf(&b.Events[i])
			sent++
			if n := seen[k]; n > 1 || (all && n != 1) {
				w.t.Fatalf("event %v of position %d is there %d times", k, b.SpoolPos, n)
			}
			delete(seen, k)
		}
	}
	if len(seen) != 0 {
		w.t.Fatalf("%d events were never sent, of %d", len(seen), sent)
	}
}

func (w *world) checkMarks() {
	w.t.Helper()
	marks, err := w.state.Marks()
	if err != nil {
		w.t.Fatal(err)
	}
	if len(marks) != len(w.marks) {
		w.t.Fatalf("%d marks, want %d", len(marks), len(w.marks))
	}
	for _, m := range marks {
		if m != w.marks[m.Edge] {
			w.t.Fatalf("mark %+v, want %+v", m, w.marks[m.Edge])
		}
	}
}

func TestEveryEventIsThereOnceWhateverHappens(t *testing.T) {
	for range 2 {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		w := newWorld(t, seed)
		w.open()
		for range 40 {
			switch n := w.r.IntN(20); {
			case n < 10:
				ingest(t, w.lake, w.batch())
			case n < 13:
				time.Sleep(time.Duration(w.r.IntN(20)) * time.Millisecond)
			case n < 15:
				flush(t, w.lake)
				w.check(true)
				w.checkMarks()
			case n < 18:
				w.check(false)
			default:
				w.kill()
				w.open()
			}
		}
		w.kill()
		w.open()
		if len(w.spool) > 0 {
			flush(t, w.lake)
			w.checkMarks()
		}
		w.check(true)
		w.kill()
	}
}

// Readers look at snapshots while events come in and are committed: each shows,
// for every site, the events that it shows exactly once, none missing between
// them, and never fewer than the snapshot before.
func TestSnapshotsAreConsistentDuringCommits(t *testing.T) {
	l := openLake(t, Config{HotDelay: time.Millisecond, CutAge: 10 * time.Millisecond, CutBytes: 64 << 10})
	sites := []string{"a", "b", "c"}
	var sent [3]atomic.Uint64
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	const commits = 5 // to be looked at
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var before [3]uint64
			var version uint64
			for ctx.Err() == nil {
				s := l.Snapshot()
				if s.Version < version {
					t.Errorf("version %d after %d", s.Version, version)
				}
				version = s.Version
				before = checkPrefixes(t, s, sites, before)
				for i := range sites {
					if before[i] > sent[i].Load() {
						t.Errorf("site %s shows %d events of %d", sites[i], before[i], sent[i].Load())
					}
				}
				s.Release()
				if t.Failed() {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	streams := []*traffic{newTraffic(1, "a"), newTraffic(2, "b"), newTraffic(3, "c")}
	for pos := uint64(1); ctx.Err() == nil && !t.Failed() && l.Stats().Commits < commits; pos++ {
		i := int(pos) % len(sites)
		events := streams[i].take(20)
		sent[i].Add(20)
		ingest(t, l, Batch{SpoolPos: pos, Events: events})
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
	flush(t, l)
	s := l.Snapshot()
	defer s.Release()
	final := checkPrefixes(t, s, sites, [3]uint64{})
	for i := range sites {
		if final[i] != sent[i].Load() {
			t.Errorf("site %s has %d events of %d", sites[i], final[i], sent[i].Load())
		}
	}
	if n := l.Stats().Commits; n < commits {
		t.Errorf("only %d commits happened", n)
	}
}

// checkPrefixes returns how many events each site shows: the first so many of
// its stream, each once.
func checkPrefixes(t *testing.T, s *Snapshot, sites []string, before [3]uint64) (counts [3]uint64) {
	for i, site := range sites {
		var highest uint64
		seen := map[uint64]bool{}
		for _, f := range s.Files {
			if f.SiteID != site {
				continue
			}
			for _, k := range readKeys(t, f.Path) {
				if seen[k.seq] {
					t.Errorf("version %d: event %d of %s is there twice", s.Version, k.seq, site)
				}
				seen[k.seq] = true
				highest = max(highest, k.seq)
			}
		}
		counts[i] = uint64(len(seen))
		if highest != counts[i] || counts[i] < before[i] {
			t.Errorf("version %d: %s shows %d events up to %d, before %d", s.Version, site, counts[i], highest, before[i])
		}
	}
	return counts
}
