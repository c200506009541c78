package lake

import (
	"context"
	"testing"
	"time"

	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

func openState(t testing.TB, dir string) *state.State {
	t.Helper()
	s, err := state.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSmoke(t *testing.T) {
	st := openState(t, t.TempDir())
	defer st.Close()
	l, err := Open(Config{Dir: t.TempDir(), State: st})
	if err != nil {
		t.Fatal(err)
	}
	tr := newTraffic(1, "example")
	for i := range 20 {
		ev := tr.take(100)
		if err := l.Ingest(context.Background(), Batch{SpoolPos: uint64(i + 1), Header: shared.Header{}, Events: ev}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%+v", l.Stats())
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", l.Stats())
}
