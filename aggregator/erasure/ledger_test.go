package erasure

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/eider-analytics/eider/aggregator/state"
)

func openState(t *testing.T) *state.State {
	t.Helper()
	s, err := state.Open(filepath.Join(t.TempDir(), "state"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openLedger(t *testing.T, dir string, store Store) *Ledger {
	t.Helper()
	l, err := OpenLedger(dir, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheLedgerIsInTwoPlaces(t *testing.T) {
	dir, st := filepath.Join(t.TempDir(), "erasures"), openState(t)
	l := openLedger(t, dir, st)
	if !l.Empty() || l.Of("a") != nil {
		t.Error("a new ledger erases something")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a ledger that nobody uses made %s: %v", dir, err)
	}
	k, err := l.lastingKey()
	if err != nil {
		t.Fatal(err)
	}
	done := state.Erasure{ID: "1", SiteID: "a", To: 9, AskedAt: 5, State: state.ErasureDone, DoneAt: 6, Key: k.name(), Visitors: []string{k.of("a").visitor(7).String()}}
	open := state.Erasure{ID: "2", SiteID: "b", To: 9, AskedAt: 7, State: state.ErasureOpen}
	forgotten := state.Erasure{ID: "3", SiteID: "c", To: 9, AskedAt: 8, State: state.ErasureDone, DoneAt: 9, ForgottenAt: 10}
	want := []state.Erasure{done, open, forgotten}
	for _, e := range []state.Erasure{forgotten, open, done} {
		if err := l.put(e); err != nil {
			t.Fatal(err)
		}
	}
	check := func(l *Ledger, want []state.Erasure) {
		t.Helper()
		if got := l.List(); !reflect.DeepEqual(got, want) {
			t.Errorf("the ledger is\n%+v, want\n%+v", got, want)
		}
		filed, err1 := readLedger(filepath.Join(dir, ledgerFile))
		stored, err2 := l.store.Erasures()
		if err1 != nil || err2 != nil || len(filed) != len(want) || len(stored) != len(want) {
			t.Errorf("%d in the file, %d in the state: %v %v", len(filed), len(stored), err1, err2)
		}
	}
	check(l, want)
	check(openLedger(t, dir, st), want)
	if l.Of("a") == nil || l.Of("b") == nil || l.Of("c") != nil {
		t.Error("what may come in is not what the entries say")
	}

	// A new state: nothing is done as far as it knows.
	again := openLedger(t, dir, openState(t))
	want[0].State, want[0].DoneAt = state.ErasureOpen, 0
	want[2].State, want[2].DoneAt = state.ErasureOpen, 0
	check(again, want)
	if again.Of("c") == nil {
		t.Error("a forgotten one does not hold while it is carried out again")
	}

	// The key is missing: the entry of a visitor can't be applied.
	if err := os.Remove(filepath.Join(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.ErrorLevel)
	l, err = OpenLedger(dir, st, zap.New(core))
	if err != nil || logs.Len() != 1 || !strings.Contains(logs.All()[0].Message, "restore it from a backup") || l.Of("a") != nil || l.Of("b") == nil {
		t.Errorf("without the key: %v %v", err, logs.All())
	}
}

func TestALedgerThatCantBeRead(t *testing.T) {
	for name, c := range map[string]struct{ file, content, says string }{
		"damaged": {ledgerFile, `{"format":1,"entries":[{`, "restore it from a backup"},
		"newer":   {ledgerFile, `{"format":2,"entries":[]}`, "use the version that wrote it"},
		"key":     {keyFile, "not a key", "restore it from a backup"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLedger(dir, openState(t), nil); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
