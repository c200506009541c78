package lake

import (
	"context"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/shared"
)

// verdictColumns are those that Revise may change.
var verdictColumns = []string{"verdict", "verdict_reason", "bot_name", "bot_category", "bot_operator", "ai_purpose"}

// renameGPTBot is a rule of today.
func renameGPTBot(e *shared.Event) bool {
	if e.BotName != "GPTBot" || e.VerdictReason == "known_agent" {
		return false
	}
	e.VerdictReason, e.BotCategory, e.BotOperator, e.AIPurpose = "known_agent", "ai", "OpenAI", "training"
	return true
}

// rowsOf reads every row of a snapshot, by its key.
func rowsOf(t *testing.T, s *Snapshot) map[rowKey]record {
	t.Helper()
	all := map[rowKey]record{}
	for _, f := range s.Files {
		for _, r := range readFile(t, f.Path) {
			if _, twice := all[r.key()]; twice {
				t.Fatalf("%v is there twice", r.key())
			}
			all[r.key()] = r
		}
	}
	return all
}

// text is a column's only value, or "".
func (r record) text(column string) string {
	if v := r[column]; len(v) == 1 {
		return v[0].String()
	}
	return ""
}

// rest is the row without what Revise may change.
func (r record) rest() record {
	c := maps.Clone(r)
	for _, column := range verdictColumns {
		delete(c, column)
	}
	return c
}

func sameRecord(a, b record) bool {
	return maps.EqualFunc(a, b, func(x, y []parquet.Value) bool {
		// The order of a map's entries means nothing.
		key := func(v parquet.Value) string { return v.String() }
		xs, ys := []string{}, []string{}
		for _, v := range x {
			xs = append(xs, key(v))
		}
		for _, v := range y {
			ys = append(ys, key(v))
		}
		slices.Sort(xs)
		slices.Sort(ys)
		return slices.Equal(xs, ys)
	})
}

func TestReviseChangesVerdictsAndNothingElse(t *testing.T) {
	l := openLake(t, Config{CutAge: time.Hour})
	pos := uint64(0)
	for _, site := range []string{"a", "b"} {
		tr := newTraffic(7, site)
		if site == "b" {
			tr.edge[5] = 1
		}
		for range 4 {
			pos++
			ingest(t, l, Batch{SpoolPos: pos, Events: tr.take(700)})
			flush(t, l)
		}
	}
	held := l.Snapshot()
	defer held.Release()
	before := rowsOf(t, held)
	bots := map[string]int64{}
	for _, r := range before {
		if r.text("bot_name") == "GPTBot" {
			bots[r.text("site_id")]++
		}
	}

	dry, err := l.Revise(t.Context(), Selection{}, true, renameGPTBot)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Rewritten{Segments: 8, Written: 8, Rows: 5600, Changed: bots["a"] + bots["b"]}); dry != want || dry.Changed == 0 {
		t.Fatalf("a dry run says %+v, want %+v", dry, want)
	}
	same := l.Snapshot()
	if !reflect.DeepEqual(same.Files, held.Files) {
		t.Fatal("a dry run changed the list of files")
	}
	same.Release()
	if none, err := l.Revise(t.Context(), Selection{From: "2026-11-23"}, false, renameGPTBot); err != nil || none != (Rewritten{}) {
		t.Fatalf("days that are not there: %+v %v", none, err)
	}

	got, err := l.Revise(t.Context(), Selection{SiteID: "a", From: "2026-11-22", To: "2026-11-22"}, false, renameGPTBot)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Rewritten{Segments: 4, Written: 4, Rows: 2800, Changed: bots["a"]}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	after := l.Snapshot()
	defer after.Release()
	if after.Version <= held.Version || len(after.Files) != len(held.Files) {
		t.Errorf("version %d after %d, %d files after %d", after.Version, held.Version, len(after.Files), len(held.Files))
	}
	now := rowsOf(t, after)
	if len(now) != len(before) {
		t.Fatalf("%d rows, there were %d", len(now), len(before))
	}
	for key, was := range before {
		is := now[key]
		if !sameRecord(was.rest(), is.rest()) {
			t.Fatalf("%v was\n%v\nis\n%v", key, was.rest(), is.rest())
		}
		wantReason := was.text("verdict_reason")
		if was.text("site_id") == "a" && was.text("bot_name") == "GPTBot" {
			wantReason = "known_agent"
		}
		if is.text("verdict_reason") != wantReason || is.text("verdict") != was.text("verdict") || is.text("bot_name") != was.text("bot_name") {
			t.Fatalf("%v is judged %s %s", key, is.text("verdict"), is.text("verdict_reason"))
		}
	}
	// Who began to read before keeps what there was.
	for key, r := range rowsOf(t, held) {
		if !sameRecord(r, before[key]) {
			t.Fatalf("a held snapshot changed at %v", key)
		}
	}
	if again, err := l.Revise(t.Context(), Selection{SiteID: "a"}, false, renameGPTBot); err != nil || again.Changed != 0 || again.Written != 0 {
		t.Errorf("a second time: %+v %v", again, err)
	}
	held.Release()
	for _, f := range held.Files {
		_, err := os.Stat(f.Path)
		if gone := errors.Is(err, os.ErrNotExist); gone != (f.SiteID == "a") {
			t.Errorf("%s: gone is %v after its last reader", f.Path, gone)
		}
	}
}

// Events come in, and are cut, while history is judged anew.
func TestReviseBesideTheIntake(t *testing.T) {
	l := openLake(t, Config{HotDelay: time.Millisecond, CutAge: 2 * time.Millisecond})
	var wg sync.WaitGroup
	tr := newTraffic(9, "a")
	const batches, each = 60, 50
	wg.Go(func() {
		for pos := uint64(1); pos <= batches; pos++ {
			if err := l.Ingest(context.Background(), Batch{SpoolPos: pos, Events: tr.take(each)}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	for range 5 {
		if _, err := l.Revise(t.Context(), Selection{}, false, renameGPTBot); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	wg.Wait()
	flush(t, l)
	if _, err := l.Revise(t.Context(), Selection{}, false, renameGPTBot); err != nil {
		t.Error(err)
	}
	s := l.Snapshot()
	defer s.Release()
	rows := rowsOf(t, s)
	if len(rows) != batches*each {
		t.Errorf("%d rows, want %d", len(rows), batches*each)
	}
	for key, r := range rows {
		if r.text("bot_name") == "GPTBot" && r.text("verdict_reason") != "known_agent" {
			t.Fatalf("%v was not judged anew", key)
		}
	}
}

func TestReviseSaysWhatIsWrong(t *testing.T) {
	l := openLake(t, Config{CutAge: time.Hour})
	ingest(t, l, Batch{SpoolPos: 1, Events: newTraffic(3, "a").take(100)})
	flush(t, l)
	path := l.Snapshot().Files[0].Path
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Revise(t.Context(), Selection{}, false, renameGPTBot); err == nil || !strings.Contains(err.Error(), "revise segment") {
		t.Errorf("a torn segment: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Revise(ctx, Selection{}, false, renameGPTBot); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
