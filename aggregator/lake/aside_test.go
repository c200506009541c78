package lake

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// What moves with the segments has to fit into one transaction: of more edges,
// epochs or incidents than that takes the rest goes into the next commit,
// instead of none of it into any.
func TestACommitNeverOutgrowsItsTransaction(t *testing.T) {
	st := openState(t, t.TempDir())
	l := openLake(t, Config{State: st, CutAge: time.Hour})
	const n = 6000
	for i := range uint64(n) {
		edge := shared.EdgeID{1, byte(i), byte(i >> 8)}
		ingest(t, l, Batch{
			SpoolPos: i + 1,
			Mark:     state.Mark{Edge: edge, Epoch: shared.Epoch(1e18 + i), EpochFirst: 1e15, Expected: 1e15 + i, Lost: i},
			Edge: state.Edge{
				ID: edge, Name: "edge<<<<<<<<<<<<<<<<.example.org", Version: "1.2.3", LastSeen: 1_795_305_600_000_000,
				Counters: shared.Counters{Captured: 1e15, Stored: 1e15, Dropped: [shared.NumDropReasons]shared.Dropped{{Count: 1e9, From: 1e15, To: 1e15}}},
			},
		})
	}
	flush(t, l)
	marks, err := st.Marks()
	if err != nil {
		t.Fatal(err)
	}
	edges, err := st.Edges()
	if err != nil {
		t.Fatal(err)
	}
	if len(marks) != n || len(edges) != n {
		t.Errorf("%d marks and %d edges, want %d", len(marks), len(edges), n)
	}
	if s := l.Stats(); s.SpoolThrough != n || s.Commits > 20 {
		t.Errorf("%+v", s)
	}
}

// Markers of losses bring no rows, which is what usually bounds a generation.
func TestIncidentsBoundAGeneration(t *testing.T) {
	st := openState(t, t.TempDir())
	l := openLake(t, Config{State: st, CutAge: time.Hour})
	const n = 4000
	const minute = 60_000_000
	for i := range int64(n) {
		ingest(t, l, Batch{SpoolPos: uint64(i) + 1, Incidents: []state.Incident{
			{Edge: shared.EdgeID{1}, Reason: "corruption", From: (5*i + 1) * minute, To: (5*i + 1) * minute, Count: 1},
		}})
	}
	flush(t, l)
	incidents, err := st.Incidents(0, 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	if len(incidents) != n || l.Stats().SpoolThrough != n {
		t.Errorf("%d incidents, want %d; %+v", len(incidents), n, l.Stats())
	}
}

func TestIngestWaitsWhileWhatIsSetAsideCantBeCommitted(t *testing.T) {
	l := openLake(t, Config{State: refusing{openState(t, t.TempDir())}, CutAge: time.Hour, RetryMin: time.Hour, RetryMax: time.Hour})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for i := uint64(1); ; i++ {
		err := l.Ingest(ctx, Batch{SpoolPos: i, Mark: state.Mark{Edge: shared.EdgeID{1}, Epoch: shared.Epoch(i), Expected: 1}})
		if err != nil {
			break
		}
		if i > 2*maxAside/markSize {
			t.Fatal("it goes on taking what it can't commit")
		}
	}
}

// older is a state that was restored from a backup.
type older struct {
	*state.State
	was state.Manifest
}

func (s older) Manifest() (state.Manifest, error) { return s.was, nil }

func TestAnOlderStateRemovesNoSegmentThatTheSpoolCantReplace(t *testing.T) {
	st, dir := openState(t, t.TempDir()), t.TempDir()
	l := openLake(t, Config{Dir: dir, State: st, CutAge: time.Hour})
	tr := newTraffic(1, "example")
	ingest(t, l, Batch{SpoolPos: 1, Events: tr.take(10)})
	flush(t, l)
	was, err := st.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	ingest(t, l, Batch{SpoolPos: 2, Events: tr.take(10)})
	flush(t, l)
	l.kill()

	count := func(pattern string) int {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	// The spool begins behind what the state does not cover.
	l = openLake(t, Config{Dir: dir, State: older{st, was}, SpoolOldest: 3})
	if n := visible(l); n != 10 {
		t.Errorf("%d events, want those of the manifest", n)
	}
	l.kill()
	if in, out := count("events/*/*/*.parquet"), count("set-aside/*/*/*.parquet"); in != 1 || out != 1 {
		t.Errorf("%d segments and %d aside", in, out)
	}
	// The spool has it all: the file is what an interrupted commit left.
	left, _ := filepath.Glob(filepath.Join(dir, "set-aside/*/*/*.parquet"))
	back := filepath.Join(filepath.Dir(filepath.Join(dir, was.Segments[0].Path)), filepath.Base(left[0]))
	if err := os.Rename(left[0], back); err != nil {
		t.Fatal(err)
	}
	openLake(t, Config{Dir: dir, State: older{st, was}, SpoolOldest: 2}).kill()
	if in, out := count("events/*/*/*.parquet"), count("set-aside/*/*/*.parquet"); in != 1 || out != 0 {
		t.Errorf("%d segments and %d aside", in, out)
	}
}
