package state

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/eider-analytics/eider/shared"
)

func open(t testing.TB, dir string) *State {
	t.Helper()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func segment(n int) Segment {
	return Segment{
		ID: fmt.Sprintf("seg-%06d", n), SiteID: "example", Date: "2026-11-22", Path: fmt.Sprintf("events/%d.parquet", n),
		Rows: int64(n), Bytes: 10, MinTime: 1, MaxTime: 2, Zone: "Europe/Berlin", Schema: 1, CreatedAt: int64(n),
	}
}

func segments(from, to int) (list []Segment) {
	for n := from; n < to; n++ {
		list = append(list, segment(n))
	}
	return list
}

func commit(t testing.TB, s *State, c Commit) {
	t.Helper()
	if err := s.Commit(c); err != nil {
		t.Fatal(err)
	}
}

func manifest(t testing.TB, s *State) Manifest {
	t.Helper()
	m, err := s.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestACommitIsThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	edge := shared.NewEdgeID()
	mark := Mark{Edge: edge, Epoch: shared.NewEpoch(), EpochFirst: 1, Expected: 1<<63 + 8, Accepted: 7, Rejected: 1, Lost: 2}
	known := Edge{ID: edge, Name: "edge-1", Version: "v1", LastSeen: 5, SkewMS: -3, Epoch: mark.Epoch, Counters: shared.Counters{Captured: 10, Stored: 10}}
	known.Counters.Dropped[shared.DropCap] = shared.Dropped{Count: 3, From: 4, To: 5}
	lost := Incident{Edge: edge, Reason: "ring_full", From: 100, To: 200, Count: 3}
	commit(t, s, Commit{Add: segments(0, 3), Marks: []Mark{mark}, Edges: []Edge{known}, Incidents: []Incident{lost}, SpoolThrough: 9})
	commit(t, s, Commit{Add: segments(3, 4), Remove: []string{segment(1).ID}})
	site := Site{ID: "example", UUID: "u", Domains: []string{"example.com"}, Name: "n", Zone: "UTC", CreatedAt: 1, Origin: "caddyfile", Identity: "day"}
	if err := s.PutSite(site); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		want := Manifest{Segments: []Segment{segment(0), segment(2), segment(3)}, SpoolThrough: 9, Version: 2}
		if m := manifest(t, s); !reflect.DeepEqual(m, want) {
			t.Fatalf("manifest\n got %+v\nwant %+v", m, want)
		}
		marks, err1 := s.Marks()
		edges, err2 := s.Edges()
		incidents, err3 := s.Incidents(150, 160)
		sites, err4 := s.Sites()
		for _, err := range []error{err1, err2, err3, err4} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(marks, []Mark{mark}) || !reflect.DeepEqual(edges, []Edge{known}) ||
			!reflect.DeepEqual(incidents, []Incident{lost}) || !reflect.DeepEqual(sites, []Site{site}) {
			t.Fatalf("got %+v %+v %+v %+v", marks, edges, incidents, sites)
		}
	}
	check()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	check()
}

func TestACommitThatContradictsTheManifestChangesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	commit(t, s, Commit{Add: segments(0, 2), SpoolThrough: 5})
	before := manifest(t, s)
	for name, c := range map[string]Commit{
		"listed already": {Add: segments(1, 2)},
		"added twice":    {Add: append(segments(7, 8), segments(7, 8)...)},
		"no id":          {Add: []Segment{{}}},
		"not listed":     {Remove: []string{"seg-000009"}},
		"removed twice":  {Remove: []string{segment(0).ID, segment(0).ID}},
		"spool goes back": {
			Add: segments(8, 9), SpoolThrough: 4, Marks: []Mark{{Edge: shared.NewEdgeID(), Epoch: 1}},
		},
	} {
		if err := s.Commit(c); err == nil {
			t.Errorf("%s: no error", name)
		}
		if m := manifest(t, s); !reflect.DeepEqual(m, before) {
			t.Errorf("%s: manifest is now %+v", name, m)
		}
	}
	if marks, _ := s.Marks(); len(marks) != 0 {
		t.Errorf("a refused commit left marks %+v", marks)
	}
	commit(t, s, Commit{Add: segments(8, 9)})
}

func TestALargeCommitIsOneStepToo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	const n = 2*stageAt + 1
	commit(t, s, Commit{Add: segments(0, n), SpoolThrough: 1})
	var ids []string
	for i := range n - 1 {
		ids = append(ids, segment(i).ID)
	}
	commit(t, s, Commit{Add: segments(n, n+3), Remove: ids, SpoolThrough: 2})
	want := Manifest{Segments: segments(n-1, n+3), SpoolThrough: 2, Version: 2}
	if m := manifest(t, s); !reflect.DeepEqual(m, want) {
		t.Fatalf("%d segments, version %d", len(m.Segments), m.Version)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if m := manifest(t, s); !reflect.DeepEqual(m, want) {
		t.Fatalf("reopened: %d segments, version %d", len(m.Segments), m.Version)
	}
	// Ids that were removed in stages can be told from live ones afterwards.
	commit(t, s, Commit{Add: segments(0, 1)})
	if m := manifest(t, s); len(m.Segments) != 5 {
		t.Fatalf("%d segments", len(m.Segments))
	}
}

// A commit that ended between its stages is as if it had never begun, whatever
// change comes next.
func TestALargeCommitThatEndsBetweenItsStagesLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, Commit{Add: segments(0, 3)})
	before := manifest(t, s)
	half := s.head
	half.Revision++
	stage := func() {
		t.Helper()
		s.staged = true
		err := s.update(func(txn *badger.Txn) error {
			seg := segment(9)
			if err := putSegment(txn, &seg, half.Revision); err != nil {
				return err
			}
			return putJSON(txn, join(prefixRemoved, segment(1).ID), removal{half.Revision})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	stage()
	if m := manifest(t, s); !reflect.DeepEqual(m, before) {
		t.Fatalf("staged entries count: %+v", m)
	}
	if err := s.PutSite(Site{ID: "other"}); err != nil { // moves the head to the staged revision
		t.Fatal(err)
	}
	if m := manifest(t, s); !reflect.DeepEqual(m, before) {
		t.Fatalf("staged entries count after another change: %+v", m)
	}
	half = s.head
	half.Revision++
	stage()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if err := s.PutSite(Site{ID: "third"}); err != nil {
		t.Fatal(err)
	}
	if m := manifest(t, s); !reflect.DeepEqual(m, before) {
		t.Fatalf("staged entries count after reopening: %+v", m)
	}
}

func TestIncidentsThatTouchAreOne(t *testing.T) {
	const s = 1_000_000 // µs
	a, b := shared.EdgeID{1}, shared.EdgeID{2}
	st := open(t, t.TempDir())
	add := func(list ...Incident) { commit(t, st, Commit{Incidents: list}) }
	add(Incident{a, "ring_full", 100 * s, 110 * s, 1})
	add(Incident{a, "ring_full", 120 * s, 130 * s, 2})                                                  // 10 s later
	add(Incident{a, "max_size", 120 * s, 130 * s, 4})                                                   // another reason
	add(Incident{b, "ring_full", 120 * s, 130 * s, 8})                                                  // another edge
	add(Incident{a, "ring_full", 500 * s, 510 * s, 16}, Incident{a, "ring_full", 900 * s, 901 * s, 32}) // far away
	add(Incident{a, "ring_full", 505 * s, 850 * s, 64})                                                 // joins these two
	add(Incident{a, "ring_full", 20 * s, 30 * s, 128}, Incident{a, "ring_full", 0, 0, 0})               // before; and nothing
	got, err := st.Incidents(0, 1e15)
	if err != nil {
		t.Fatal(err)
	}
	want := []Incident{
		{a, "max_size", 120 * s, 130 * s, 4},
		{a, "ring_full", 20 * s, 30 * s, 128},
		{a, "ring_full", 100 * s, 130 * s, 3},
		{a, "ring_full", 500 * s, 901 * s, 112},
		{b, "ring_full", 120 * s, 130 * s, 8},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got, _ := st.Incidents(131*s, 499*s); len(got) != 0 {
		t.Errorf("a range between them shows %+v", got)
	}
}
