package state

import (
	"fmt"
	"reflect"
	"testing"

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
	site := Site{ID: "example", UUID: "u", Domains: []string{"example.com"}, Name: "n", Zone: "UTC", CreatedAt: 1, Origin: "caddyfile"}
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
