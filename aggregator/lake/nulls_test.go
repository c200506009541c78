package lake

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/eider-analytics/eider/shared"
)

// TestNullsStayNull writes random events whose fields are set rarely, often or
// in runs, and looks for every value that came to be where none was.
func TestNullsStayNull(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	typ := reflect.TypeFor[shared.Event]()
	rounds := uint64(60)
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		r := rand.New(rand.NewPCG(seed, round))
		events := make([]shared.Event, 1+r.IntN(150))
		want := map[string]int{}
		for i := range events {
			events[i] = bare()
			events[i].Seq = uint64(i + 1)
		}
		for n := range typ.NumField() {
			f := typ.Field(n)
			if f.Name == "Site" || f.Name == "Props" || !reflect.ValueOf(bare()).Field(n).IsZero() {
				continue
			}
			likely, on := r.Float64()*r.Float64(), false
			for i := range events {
				if on = r.Float64() < likely || on && r.IntN(2) == 0; on {
					set(t, reflect.ValueOf(&events[i]).Elem().Field(n))
					want[squash(f.Name)]++
				}
			}
		}
		path := writeEvents(t, events)
		checkValues(t, fmt.Sprintf("round %d", round), path, len(events), want)
		checkValues(t, fmt.Sprintf("round %d, copied", round), copyRows(t, path), len(events), want)
	}
}

// checkValues compares how many values the columns of a file have.
func checkValues(t *testing.T, what, path string, rows int, want map[string]int) {
	t.Helper()
	got := map[string]int{}
	for _, row := range readFile(t, path) {
		for column := range row {
			got[squash(column)]++
		}
	}
	for column, n := range got {
		if w, rare := want[column]; rare && n != w {
			t.Errorf("%s: column %s has %d values of %d rows, want %d", what, column, n, rows, w)
		}
	}
	for column, n := range want {
		if got[column] != n {
			t.Errorf("%s: column %s has %d values of %d rows, want %d", what, column, got[column], rows, n)
		}
	}
}

// copyRows copies a segment as Revise does.
func copyRows(t *testing.T, path string) string {
	t.Helper()
	to := path + ".copy"
	_, err := writeFile(to, false, func(f *os.File) error {
		e := newEncoder(true)
		e.reset(f)
		return errors.Join(eachBlock(path, e.addRows), e.close())
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}
