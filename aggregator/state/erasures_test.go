package state

import (
	"reflect"
	"testing"
)

func TestErasuresAreKeptAndCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if s.head.Format != baseFormat {
		t.Errorf("a new store has format %d", s.head.Format)
	}
	first := Erasure{ID: "1", SiteID: "a", From: 1, To: 2, Key: "k", Visitors: []string{"00ff"}, AskedAt: 3, By: "owner", State: ErasureOpen}
	second := Erasure{ID: "2", SiteID: "b", To: 9, Distinct: "ff", Both: true, State: ErasureOpen}
	for _, e := range []Erasure{second, first} {
		if err := s.PutErasure(e); err != nil {
			t.Fatal(err)
		}
	}
	first.State, first.DoneAt, first.Counts = ErasureDone, 7, Erasing{Events: 4}
	if err := s.PutErasure(first); err != nil {
		t.Fatal(err)
	}
	if err := s.PutErasure(Erasure{ID: "3"}); err == nil {
		t.Error("an entry without a site was taken")
	}
	commit(t, s, Commit{Add: segments(0, 2), Erased: []Erased{{SiteID: "a", Date: "2026-11-22", Rows: 2}}})
	commit(t, s, Commit{Add: segments(2, 3), Remove: []string{segment(0).ID}, Erased: []Erased{
		{SiteID: "a", Date: "2026-11-22", Rows: 3, Erasure: "1", Counts: Erasing{Events: 3}},
		{SiteID: "a", Date: "2026-11-23", Rows: 1, Erasure: "1", Counts: Erasing{Hot: 1}},
	}})
	if err := s.Commit(Commit{Remove: []string{"not there"}, Erased: []Erased{{SiteID: "a", Date: "2026-11-22", Rows: 100}}}); err == nil {
		t.Error("a refused commit was taken")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if s.head.Format != FormatDays { // older versions must not open it
		t.Errorf("with erasures it has format %d", s.head.Format)
	}
	entries, err1 := s.Erasures()
	erased, err2 := s.Erased()
	one, err3 := s.Erasing("1")
	none, err4 := s.Erasing("2")
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(entries, []Erasure{first, second}) {
		t.Errorf("entries %+v", entries)
	}
	if want := []Erased{{SiteID: "a", Date: "2026-11-22", Rows: 5}, {SiteID: "a", Date: "2026-11-23", Rows: 1}}; !reflect.DeepEqual(erased, want) {
		t.Errorf("erased %+v", erased)
	}
	if one != (Erasing{Events: 3, Hot: 1}) || none != (Erasing{}) {
		t.Errorf("counted %+v and %+v", one, none)
	}
}
