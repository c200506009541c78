package stats

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/eider-analytics/eider/aggregator/lake"
	"github.com/eider-analytics/eider/aggregator/state"
	"github.com/eider-analytics/eider/shared"
)

// anyEvents are events of one day in which each field is set now and then, to
// anything that fits its column.
func anyEvents(r *rand.Rand, n int) []shared.Event {
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC).UnixMicro()
	events := make([]shared.Event, n)
	typ := reflect.TypeFor[shared.Event]()
	for i := range events {
		e := &events[i]
		for f := range typ.NumField() {
			if r.IntN(3) == 0 {
				anyValue(r, typ.Field(f).Name, reflect.ValueOf(e).Elem().Field(f))
			}
		}
		e.SiteID, e.Edge, e.Epoch, e.Seq = testSite, shared.EdgeID{1, byte(r.IntN(2))}, shared.Epoch(1<<63), uint64(i+1)
		e.Time = day + int64(i)*60_000 + r.Int64N(50_000)
		e.ReceivedAt, e.Site = e.Time+5, ""
		e.Origin, e.Kind = shared.OriginEdge, pickOf(r, shared.KindPageview, shared.KindEvent, shared.KindError)
		e.Verdict = pickOf(r, shared.VerdictLikely, shared.VerdictBot, "")
		if i > 0 && r.IntN(10) == 0 { // an identity that goes on
			before := &events[i-1]
			before.VisitorID, before.Kind, before.Verdict = r.Uint64()|1, shared.KindPageview, shared.VerdictLikely
			e.PrevVisitorID, e.VisitorID, e.Kind, e.Verdict = before.VisitorID, r.Uint64()|1<<63, shared.KindPageview, shared.VerdictLikely
		}
	}
	return events
}

func anyValue(r *rand.Rand, name string, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *shared.Opt[int64]:
		*p = shared.Some(r.Int64N(1 << 15))
		switch name {
		case "RevenueAmount":
			*p = shared.Some(pickOf(r, -999_999_999_999_999_999, 999_999_999_999_999_999, 0, -1, r.Int64N(1e9)))
		case "BytesSent", "TTFBUS", "SkewMS":
			*p = shared.Some(pickOf(r, 0, r.Int64N(1<<50)))
		}
	case *shared.Opt[float64]:
		*p = shared.Some(pickOf(r, 0, math.SmallestNonzeroFloat64, r.Float64()*1e6))
	case *shared.Opt[bool]:
		*p = shared.Some(r.IntN(2) == 0)
	case *[]shared.Prop:
		for i := range r.IntN(5) {
			*p = append(*p, shared.Prop{Key: fmt.Sprint("key-", i), Value: pickOf(r, "", "ä\x00'\"", "7"), Type: pickOf(r, shared.PropString, shared.PropNumber, shared.PropDate)})
		}
	default:
		switch v.Kind() {
		case reflect.String:
			v.SetString(pickOf(r, "a", "Reykjavík", "'; --", strings.Repeat("x", 300), fmt.Sprint(r.Uint64())))
		case reflect.Uint64:
			v.SetUint(pickOf(r, 1, math.MaxUint64, 1<<63, r.Uint64()))
		}
	}
}

// values reads a segment with parquet-go: the values of each row's columns that
// are not null, by the row's sequence.
func values(t testing.TB, path string) (rows map[string]string, order []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	columns, rows := file.Schema().Columns(), map[string]string{}
	reader := parquet.NewReader(file)
	defer reader.Close()
	buf := make([]parquet.Row, 100)
	for {
		n, err := reader.ReadRows(buf)
		for _, row := range buf[:n] {
			var list []string
			seq := ""
			for _, v := range row {
				name := strings.Join(columns[v.Column()], ".")
				if name == "seq" {
					seq = v.String()
				}
				if !v.IsNull() {
					// The names of what a map is made of are the writer's.
					list = append(list, strings.ReplaceAll(name, ".key_value.", ".")+"="+v.String())
				}
			}
			slices.Sort(list)
			rows[seq] = strings.Join(list, "\n")
			order = append(order, seq)
		}
		if errors.Is(err, io.EOF) {
			return rows, order
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestASealedDayHasEveryValue: what DuckDB writes is what was read, in every
// column, for whoever reads it, and may be judged anew and sealed again.
func TestASealedDayHasEveryValue(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	g := newGrowingLake(t)
	events := anyEvents(r, 2000)
	for part := range slices.Chunk(events, 300) {
		g.take(part, true)
	}
	before := map[string]string{}
	for _, f := range g.files() {
		rows, _ := values(t, f.Path)
		for seq, row := range rows {
			before[seq] = row
		}
	}
	columns := map[string]bool{}
	for _, row := range before {
		for _, v := range strings.Split(row, "\n") {
			name, _, _ := strings.Cut(v, "=")
			columns[name] = true
		}
	}
	if len(columns) < 75 { // 73 and the two maps' keys and values
		t.Errorf("only %d columns have a value", len(columns))
	}
	day := state.DayKey{SiteID: testSite, Date: "2026-11-22", Zone: "UTC"}
	seal := func() *lake.Day {
		t.Helper()
		s, err := g.lake.BeginSeal(t.Context(), day)
		if err != nil {
			t.Fatal(err)
		}
		made, err := NewSealer(g.Engine).Derive(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		d, err := s.Commit(t.Context(), made)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	compare := func(what, path string) (order []string) {
		t.Helper()
		after, order := values(t, path)
		if len(after) != len(before) {
			t.Fatalf("%s: %d rows, there were %d", what, len(after), len(before))
		}
		for seq, row := range before {
			if after[seq] != row {
				t.Fatalf("%s: row %s was\n%s\nis\n%s", what, seq, row, after[seq])
			}
		}
		return order
	}
	d := seal()
	order := compare("sealed", d.Segments[0])
	sorted := slices.Clone(order)
	index := func(seq string) *shared.Event {
		var n int
		_, _ = fmt.Sscan(seq, &n)
		return &events[n-1]
	}
	slices.SortStableFunc(sorted, func(a, b string) int {
		x, y := index(a), index(b)
		none := func(v uint64) uint64 { return v - 1 } // those without an id are the last
		if x.VisitorID != y.VisitorID {
			if none(x.VisitorID) < none(y.VisitorID) {
				return -1
			}
			return 1
		}
		return int(x.Time - y.Time)
	})
	if !slices.Equal(order, sorted) {
		t.Error("the sealed segment is not sorted by visitor and time")
	}
	// Judged anew by rules that change one row back and forth, it is written by
	// parquet-go again.
	for _, reason := range []string{"for a moment", index(order[7]).VerdictReason} {
		_, err := g.lake.Revise(t.Context(), lake.Selection{}, false, func(e *shared.Event) bool {
			if e.Time != index(order[7]).Time || e.VerdictReason == reason {
				return false
			}
			e.VerdictReason = reason
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	files := g.files()
	if len(files) != 1 || files[0].Sealed {
		t.Fatalf("%+v", files)
	}
	compare("judged anew", files[0].Path)
	if d := seal(); d.Late != 0 {
		t.Errorf("%+v", d)
	} else {
		compare("sealed again", d.Segments[0])
	}
}
